// What people do without a connection: it shows at once, waits, and is sent once when the connection is back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { browse } from "../support/browser.mjs";
import * as action from "../support/action.mjs";
import * as check from "../support/check.mjs";
import * as find from "../support/find.mjs";
import { startServer } from "../support/server.mjs";
import * as shop from "../support/shop.mjs";

/** The orders that the log has. */
async function placed(server, program) {
  const answer = await server.fetch("/api/v1/events?type=OrderCreated", {
    headers: { authorization: `Bearer ${program.access}` },
  });
  return (await answer.json()).data.map((event) => event.stream);
}

test("an order that is placed offline waits, and is sent exactly once when the connection is back", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  ada.expectTrouble(/WebSocket connection|ERR_INTERNET_DISCONNECTED/);
  const page = await ada.open("/");
  const code = await shop.openSandbox(page);
  const program = await shop.program(server, code);
  const before = await placed(server, program);
  await shop.fillBasket(page, "Enamel mug");

  await ada.context.setOffline(true);
  await check.containsText(shop.connection(page), "offline");
  await action.press(page, "Place order");
  await check.isVisible(find.text(page, /waits for the connection/));
  await check.isVisible(find.text(page, "1 × Enamel mug"));
  assert.equal((await placed(server, program)).length, before.length, "nothing has been sent");

  await ada.context.setOffline(false);
  await page.waitForURL(/\/orders\/[0-9a-f-]{36}$/);
  const id = new URL(page.url()).pathname.split("/").pop();
  const after = await placed(server, program);
  assert.deepEqual(after.slice(before.length), [`order-${id}`], "it was placed once");
});

test("what waits survives the page, and is sent by the next one", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  ada.expectTrouble(/WebSocket connection|ERR_INTERNET_DISCONNECTED/);
  const page = await ada.open("/");
  const code = await shop.openSandbox(page);
  const program = await shop.program(server, code);
  const before = await placed(server, program);
  await shop.fillBasket(page, "Star map");
  await ada.context.setOffline(true);
  await check.containsText(shop.connection(page), "offline");
  await action.press(page, "Place order");
  await check.isVisible(find.text(page, /waits for the connection/));
  await page.close();

  await ada.context.setOffline(false);
  await ada.open("/orders");
  await check.eventually(async () => {
    const after = await placed(server, program);
    assert.equal(after.length, before.length + 1, "it was placed once");
  });
});

test("what waits can be taken back, and the basket is as it was", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  ada.expectTrouble(/WebSocket connection|ERR_INTERNET_DISCONNECTED/);
  const page = await ada.open("/");
  await shop.openSandbox(page);
  await shop.fillBasket(page, "Enamel mug");
  await ada.context.setOffline(true);
  await check.containsText(shop.connection(page), "offline");
  await action.press(page, "Place order");
  await action.press(page, "Back into the basket");
  await check.isVisible(find.link(page, "Enamel mug"));
  await check.isVisible(find.button(page, "Place order"));
  await check.isHidden(find.text(page, /waits for the connection/));
});

test("a cancellation that had to wait is told who was faster", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  ada.expectTrouble(/WebSocket connection|ERR_INTERNET_DISCONNECTED|409/);
  const page = await ada.open("/");
  await shop.openSandbox(page);
  const id = await shop.order(page);
  await shop.isLive(page);
  await check.containsText(shop.status(page), "confirmed");

  await ada.context.setOffline(true);
  await check.containsText(shop.connection(page), "offline");
  await action.press(page, "Cancel this order");
  await action.fill(page, "Reason", "too slow");
  await action.press(page, "Cancel the order");
  // It shows at once, and says that it is only meant so far.
  await check.containsText(shop.status(page), "cancelled");
  await check.isVisible(find.text(page, /waits for the connection/));

  // Meanwhile the shop is faster.
  await shop.tell(server, ada.context, "ShipOrder", `order-${id}`, {});
  await ada.context.setOffline(false);
  await check.isVisible(find.text(page, /Somebody was faster/));
  await check.isVisible(page.getByRole("alert").getByText("OrderShipped"));
  await check.containsText(shop.status(page), "shipped");
  await action.press(page, "Look again");
  await check.isHidden(find.text(page, /Somebody was faster/));
  await check.isVisible(find.text(page, "This order is on its way, and cannot be cancelled any more."));
});
