// What a tab does while the server is away, and after.
import assert from "node:assert/strict";
import { test } from "node:test";
import { browse } from "../support/browser.mjs";
import * as action from "../support/action.mjs";
import * as check from "../support/check.mjs";
import { startServer } from "../support/server.mjs";
import * as shop from "../support/shop.mjs";

for (const how of ["stop", "kill"]) {
  test(`a tab goes on by itself after the server was ${how === "stop" ? "stopped" : "killed"} and started again`, async (t) => {
    const server = await startServer(t);
    const ada = await browse(t, server);
    ada.expectTrouble(/WebSocket connection|ERR_CONNECTION_REFUSED/);
    const page = await ada.open("/");
    const code = await shop.openSandbox(page);
    const before = await shop.order(page);
    await page.goto("/orders");
    await shop.isLive(page);

    await server[how]();
    await check.containsText(shop.connection(page), "reconnecting");
    await check.containsText(page.locator(".freshness__word"), "not live");
    await server.start();
    // Something happens before the tab is back: it must not be missed.
    const after = "0198c1f0-0000-7000-8000-000000000002";
    await (await shop.program(server, code)).order(after);

    await check.containsText(shop.row(page, after), /created|reserved|confirmed/);
    await check.containsText(shop.connection(page), /^live$/);
    for (const id of [before, after]) await check.isCount(shop.row(page, id), 1);
    await check.containsText(shop.row(page, before), /created|reserved|confirmed/);
  });
}

test("a browser without a network says so, and catches up when it is back", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  ada.expectTrouble(/WebSocket connection|ERR_INTERNET_DISCONNECTED/);
  const page = await ada.open("/");
  const code = await shop.openSandbox(page);
  await page.goto("/orders");
  await shop.isLive(page);

  await ada.context.setOffline(true);
  await check.containsText(shop.connection(page), "offline");
  await action.follow(page, "Shop");
  await check.containsText(shop.connection(page), "This one stays");
  await check.hasPath(page, "/orders");
  const missed = "0198c1f0-0000-7000-8000-000000000003";
  await (await shop.program(server, code)).order(missed);
  await ada.context.setOffline(false);
  await check.containsText(shop.row(page, missed), /created|reserved|confirmed/);
  await check.containsText(shop.connection(page), /^live$/);
});

test("a tab whose session has ended says so, and shows the way in", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  ada.expectTrouble(/WebSocket connection|ERR_CONNECTION_REFUSED|401/);
  const page = await ada.open("/");
  await shop.openSandbox(page);
  await page.goto("/orders");
  await shop.isLive(page);

  await ada.context.clearCookies();
  await server.stop();
  await server.start();
  await check.containsText(shop.connection(page), "session ended");
  await check.containsText(page.locator(".freshness__word"), "not live");
  await action.follow(page, "Open or join a workspace");
  await check.hasPath(page, "/");
});
