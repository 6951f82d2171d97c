// What becomes of an order, by how it is paid: every outcome stands in its time line, with why.
import assert from "node:assert/strict";
import { test } from "node:test";
import { browse } from "../support/browser.mjs";
import * as check from "../support/check.mjs";
import * as find from "../support/find.mjs";
import { startServer } from "../support/server.mjs";
import * as shop from "../support/shop.mjs";

test("an order is seen in two tabs to be placed, reserved, paid, confirmed and shipped", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  const page = await ada.open("/");
  await shop.openSandbox(page);
  const id = await shop.order(page);
  const second = await ada.open(`/orders/${id}`);
  for (const tab of [page, second]) {
    await check.containsText(shop.status(tab), "confirmed");
    for (const event of ["OrderCreated", "StockReserved", "PaymentProcessed", "OrderConfirmed"]) {
      await check.isVisible(shop.entry(tab, event));
    }
    await check.containsText(shop.entry(tab, "OrderConfirmed"), "caused by");
  }
  await shop.tell(server, ada.context, "ShipOrder", `order-${id}`, {});
  for (const tab of [page, second]) {
    await check.containsText(shop.status(tab), "shipped");
    await check.isVisible(shop.entry(tab, "OrderShipped"));
  }
  await check.isVisible(find.text(page, "This order is on its way, and cannot be cancelled any more."));
});

for (const [card, reason] of [
  ["Card that is declined", /declined/],
  ["Card without enough money", /funds|money/],
]) {
  test(`${card}: the order is rejected with the reason, and its stock is given back`, async (t) => {
    const server = await startServer(t);
    const ada = await browse(t, server);
    const page = await ada.open("/");
    await shop.openSandbox(page);
    await shop.order(page, "Enamel mug", card);
    await check.containsText(shop.status(page), "rejected");
    await check.containsText(shop.entry(page, "PaymentFailed"), reason);
    await check.isVisible(shop.entry(page, "StockReleased"));
    await check.containsText(shop.entry(page, "OrderRejected"), reason);
    await check.isVisible(find.text(page, "This order was rejected. There is nothing left to cancel."));
  });
}

test("a card that fails twice is charged in the end, once", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  const page = await ada.open("/");
  await shop.openSandbox(page);
  await shop.order(page, "Enamel mug", "Card that fails twice, then works");
  await check.containsText(shop.status(page), "confirmed");
  await check.isVisible(shop.entry(page, "PaymentProcessed"));
  assert.equal(await shop.entries(page, "PaymentProcessed").count(), 1);
});

test("a card that answers too late: the order is rejected at the deadline, and the late charge is given back", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  const page = await ada.open("/");
  await shop.openSandbox(page);
  const id = await shop.order(page, "Enamel mug", "Card that answers too late");
  await shop.putClockForwardUntil(server, ada.context, id, "rejected");
  await check.containsText(shop.status(page), "rejected");
  await check.isVisible(shop.entry(page, "PaymentRefunded"));
  for (const once of ["OrderRejected", "PaymentProcessed", "PaymentRefunded"]) {
    assert.equal(await shop.entries(page, once).count(), 1, once);
  }
  await check.isVisible(shop.entry(page, "StockReleased"));
  await page.goto("/office/payments");
  await check.containsText(shop.row(page, id), "given back");
});

test("the last one is bought by two: one gets it, the other is told why not", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  ada.expectTrouble(/WebSocket connection|ERR_INTERNET_DISCONNECTED/);
  const first = await ada.open("/");
  const code = await shop.openSandbox(first);
  await shop.tell(server, ada.context, "ListProduct", "product-one-01", {
    sku: "one-01",
    name: "Only one",
    description: "There is one of it.",
    price: { amount: 900, currency: "EUR" },
    tags: [],
  });
  await shop.tell(server, ada.context, "ReceiveStock", "inventory-one-01", { quantity: 1 });
  const grace = await ada.person();
  const second = await shop.join(grace, code, "Grace");
  for (const page of [first, second]) {
    await page.goto("/shop");
    await check.containsText(shop.product(page, "Only one"), "only 1 left");
  }
  await shop.fillBasket(second, "Only one");
  // Grace still sees one when she orders: her connection is gone.
  await grace.context.setOffline(true);
  await check.containsText(shop.connection(second), "offline");
  await find.button(second, "Place order").click();
  await check.isVisible(find.text(second, /waits for the connection/));

  await shop.order(first, "Only one");
  await check.containsText(shop.status(first), "confirmed");
  await grace.context.setOffline(false);
  await second.waitForURL(/\/orders\/[0-9a-f-]{36}$/);
  await check.containsText(shop.status(second), "rejected");
  await check.containsText(shop.entry(second, "StockReservationFailed"), "1 wanted, 0 available");

  // Whoever looks now is told before ordering.
  await first.goto("/shop");
  await check.containsText(shop.product(first, "Only one"), "sold out");
});
