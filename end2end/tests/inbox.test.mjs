// What people are told: in every open tab, counted until it is read, and by the browser itself where they asked for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkAccessibility } from "../support/axe.mjs";
import { browse } from "../support/browser.mjs";
import * as action from "../support/action.mjs";
import * as check from "../support/check.mjs";
import * as find from "../support/find.mjs";
import { startServer } from "../support/server.mjs";
import * as shop from "../support/shop.mjs";

test("a confirmed order is told in every tab, and read in all of them at once", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  const page = await ada.open("/");
  await shop.openSandbox(page);
  await page.goto("/inbox");
  await check.isVisible(find.text(page, "Nothing to tell"));
  await checkAccessibility(page);
  await shop.isLive(page);

  const second = await ada.open("/shop");
  const id = await shop.order(second);
  await check.isVisible(find.link(page, /The order is confirmed/));
  for (const tab of [page, second]) await check.containsText(shop.bell(tab), "1");
  await checkAccessibility(page);
  await action.press(page, "Mark as read");
  for (const tab of [page, second]) await check.containsText(shop.bell(tab), /^\D*$/);
  await check.isHidden(find.button(page, "Mark all as read"));

  await shop.tell(server, ada.context, "ShipOrder", `order-${id}`, {});
  await check.isVisible(find.link(page, /The goods are on their way/));
  await shop.tell(server, ada.context, "DeliverOrder", `order-${id}`, {});
  await check.containsText(shop.bell(page), "2");
  await action.press(page, "Mark all as read");
  await check.containsText(shop.bell(page), /^\D*$/);
  await find.link(page, /The goods have arrived/).click();
  await check.hasPath(page, `/orders/${id}`);
});

test("the browser tells only who asked for it, and only while nobody looks", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  await ada.context.grantPermissions(["notifications"]);
  // What the browser would show is written down instead.
  await ada.context.addInitScript(() => {
    globalThis.told = [];
    const permission = globalThis.Notification.permission;
    globalThis.Notification = class {
      static permission = permission;
      static requestPermission = async () => permission;
      constructor(title, options) {
        globalThis.told.push({ title, tag: options.tag });
      }
    };
  });
  const page = await ada.open("/");
  await shop.openSandbox(page);
  await page.goto("/inbox");
  await shop.isLive(page);
  const second = await ada.open("/shop");
  await shop.order(second);
  await check.isVisible(find.link(page, /The order is confirmed/));
  assert.deepEqual(await page.evaluate(() => globalThis.told), [], "nobody asked");

  await action.press(page, "Tell me in the browser");
  await check.isVisible(find.button(page, "Do not tell me in the browser any more"));
  await page.evaluate(() => Object.defineProperty(document, "hidden", { get: () => true }));
  const id = await shop.order(second, "Star map");
  await check.eventually(async () => {
    const told = await page.evaluate(() => globalThis.told);
    assert.deepEqual(told.map(({ title }) => title), ["The order is confirmed"], id);
  });
});
