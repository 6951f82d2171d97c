// A tab while the server is away, and after.
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

for (const [how, participle] of [
  ["stop", "stopped"],
  ["kill", "killed"],
]) {
  test(`a tab reconnects by itself after the server was ${participle} and started again`, async ({
    page,
    pageErrors,
    server,
  }) => {
    pageErrors.allow(/WebSocket connection|ERR_CONNECTION_REFUSED/);
    await page.goto("/");
    const code = await shop.openSandbox(page);
    const before = await shop.order(page);
    await page.goto("/orders");
    await shop.isLive(page);

    await server[how]();
    await expect(shop.connection(page)).toContainText("reconnecting");
    await expect(page.locator(".freshness__word")).toContainText("not live");
    await server.start();
    // An order before the tab has reconnected: the tab must not miss it.
    const after = "0198c1f0-0000-7000-8000-000000000002";
    await (await shop.program(server, code)).order(after);

    await expect(shop.row(page, after)).toContainText(/created|reserved|confirmed/);
    await expect(shop.connection(page)).toHaveText("live");
    for (const id of [before, after]) await expect(shop.row(page, id)).toHaveCount(1);
    await expect(shop.row(page, before)).toContainText(/created|reserved|confirmed/);
  });
}

test("a browser without a network says so, and catches up when it is back", async ({
  context: ada,
  page,
  pageErrors,
  server,
}) => {
  pageErrors.allow(/WebSocket connection|ERR_INTERNET_DISCONNECTED/);
  await page.goto("/");
  const code = await shop.openSandbox(page);
  await page.goto("/orders");
  await shop.isLive(page);

  await ada.setOffline(true);
  await expect(shop.connection(page)).toContainText("offline");
  await page.getByRole("link", { name: "Shop" }).click();
  await expect(shop.connection(page)).toContainText("This page reconnects by itself");
  await expect(page).toHavePath("/orders");
  const missed = "0198c1f0-0000-7000-8000-000000000003";
  await (await shop.program(server, code)).order(missed);
  await ada.setOffline(false);
  await expect(shop.row(page, missed)).toContainText(/created|reserved|confirmed/);
  await expect(shop.connection(page)).toHaveText("live");
});

test("a tab whose session has ended says so, and links to the home page", async ({
  context: ada,
  page,
  pageErrors,
  server,
}) => {
  pageErrors.allow(/WebSocket connection|ERR_CONNECTION_REFUSED|401/);
  await page.goto("/");
  await shop.openSandbox(page);
  await page.goto("/orders");
  await shop.isLive(page);

  await ada.clearCookies();
  await server.stop();
  await server.start();
  await expect(shop.connection(page)).toContainText("session ended");
  await expect(page.locator(".freshness__word")).toContainText("not live");
  await page.getByRole("link", { name: "Open or join a workspace" }).click();
  await expect(page).toHavePath("/");
});
