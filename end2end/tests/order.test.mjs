// The whole way of an order, seen from several tabs and two browsers at once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { browse } from "../support/browser.mjs";
import * as action from "../support/action.mjs";
import * as check from "../support/check.mjs";
import * as find from "../support/find.mjs";
import { startServer } from "../support/server.mjs";
import * as shop from "../support/shop.mjs";

test("an order appears in every open tab and in another browser, and so does its cancellation", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  const first = await ada.open("/");
  const code = await shop.openSandbox(first);
  await check.isCount(first.locator(".products > li"), 24);

  const second = await ada.open("/orders");
  await shop.isLive(second);
  const before = await second.locator("tr[data-order]").count();
  const grace = await ada.person();
  const third = await shop.join(grace, code, "Grace");
  await action.follow(third, "Orders");
  await shop.isLive(third);

  const id = await shop.order(first);
  // What the template has ordered is there as well.
  await check.isCount(second.locator("tr[data-order]"), before + 1);
  for (const page of [second, third]) {
    await check.containsText(shop.row(page, id), /created|reserved|confirmed/);
    await check.containsText(shop.row(page, id), "Ada");
  }

  await shop.cancel(first, "changed my mind");
  for (const page of [second, third]) await check.containsText(shop.row(page, id), "cancelled");
  await check.isVisible(find.text(first, "changed my mind").first());
});

test("a student cannot cancel somebody else's order, and is told why", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  const page = await ada.open("/");
  const code = await shop.openSandbox(page);
  const id = await shop.order(page);

  const grace = await ada.person();
  ada.expectTrouble(/422/);
  const other = await shop.join(grace, code, "Grace");
  await other.goto(`/orders/${id}`);
  await shop.isLive(other);
  await action.press(other, "Cancel this order");
  await action.fill(other, "Reason", "just because");
  await action.press(other, "Cancel the order");
  await check.isVisible(find.text(other, "only the customer or the shop can cancel an order"));
  await check.containsText(shop.status(other), /created|reserved|confirmed/);
});

test("the freshness mark is true: it stands at the position of the newest event", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  const page = await ada.open("/");
  await shop.openSandbox(page);
  await page.goto("/orders");
  // What the template's orders lead to is over, and nothing follows from this: its event stays the newest.
  await shop.settled(server, ada.context);
  const { token } = await shop.tell(server, ada.context, "ReceiveStock", "inventory-mug-01", { quantity: 1 });
  await check.containsText(page.locator(".freshness__token"), token);
  await check.containsText(page.locator(".freshness__word"), "live");
});

test("the basket survives a reload", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  const page = await ada.open("/");
  await shop.openSandbox(page);
  await shop.isLive(page);
  await find.button(shop.product(page, "Enamel mug"), /Add to basket/).click();
  await page.goto("/basket");
  await check.isVisible(find.link(page, "Enamel mug"));
  await page.reload();
  await check.isVisible(find.link(page, "Enamel mug"));
});

test("nobody gets in with a code that no workspace has", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  const page = await ada.open("/join/ZZZZZZZ");
  await action.fill(page, "Your name", "Ada");
  await action.press(page, "Join the workspace");
  await check.isVisible(find.text(page, "No workspace has this code").first());
});
