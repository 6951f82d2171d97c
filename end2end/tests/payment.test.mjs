// The outcomes of an order, by its payment: each stands in the time line, with its reason.
import { openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

test("two tabs see an order placed, reserved, paid, confirmed and shipped", async ({
  context: ada,
  page,
  server,
}) => {
  await page.goto("/");
  await shop.openSandbox(page);
  const id = await shop.order(page);
  const second = await openTab(ada, `/orders/${id}`);
  for (const tab of [page, second]) {
    await expect(shop.status(tab)).toContainText("confirmed");
    for (const event of ["OrderCreated", "StockReserved", "PaymentProcessed", "OrderConfirmed"]) {
      await expect(shop.entry(tab, event)).toBeVisible();
    }
    await expect(shop.entry(tab, "OrderConfirmed")).toContainText("caused by");
  }
  await shop.tell(server, ada, "ShipOrder", `order-${id}`, {});
  for (const tab of [page, second]) {
    await expect(shop.status(tab)).toContainText("shipped");
    await expect(shop.entry(tab, "OrderShipped")).toBeVisible();
  }
  await expect(page.getByText("This order has been shipped and can no longer be cancelled.")).toBeVisible();
});

for (const [card, reason] of [
  ["Declined card", /declined/],
  ["Card with insufficient funds", /funds|money/],
]) {
  test(`${card}: the order is rejected with the reason, and its stock is given back`, async ({ page }) => {
    await page.goto("/");
    await shop.openSandbox(page);
    await shop.order(page, "Enamel mug", card);
    await expect(shop.status(page)).toContainText("rejected");
    await expect(shop.entry(page, "PaymentFailed")).toContainText(reason);
    await expect(shop.entry(page, "StockReleased")).toBeVisible();
    await expect(shop.entry(page, "OrderRejected")).toContainText(reason);
    await expect(page.getByText("This order was rejected and cannot be cancelled.")).toBeVisible();
  });
}

test("a card that fails twice is charged in the end, once", async ({ page }) => {
  await page.goto("/");
  await shop.openSandbox(page);
  await shop.order(page, "Enamel mug", "Card that fails twice, then works");
  await expect(shop.status(page)).toContainText("confirmed");
  await expect(shop.entry(page, "PaymentProcessed")).toBeVisible();
  expect(await shop.entries(page, "PaymentProcessed").count()).toBe(1);
});

test("a card that answers too late: the order is rejected at the deadline, and the charge refunded", async ({
  context: ada,
  page,
  server,
}) => {
  await page.goto("/");
  await shop.openSandbox(page);
  const id = await shop.order(page, "Enamel mug", "Card that times out");
  await shop.putClockForwardUntil(server, ada, id, "rejected");
  await expect(shop.status(page)).toContainText("rejected");
  await expect(shop.entry(page, "PaymentRefunded")).toBeVisible();
  for (const once of ["OrderRejected", "PaymentProcessed", "PaymentRefunded"]) {
    expect(await shop.entries(page, once).count(), once).toBe(1);
  }
  await expect(shop.entry(page, "StockReleased")).toBeVisible();
  await page.goto("/office/payments");
  await expect(shop.row(page, id)).toContainText("refunded");
});

test("two people buy the last one: one gets it, the other is told why not", async ({
  context: ada,
  page: first,
  newPerson,
  pageErrors,
  server,
}) => {
  pageErrors.allow(/WebSocket connection|ERR_INTERNET_DISCONNECTED/);
  await first.goto("/");
  const code = await shop.openSandbox(first);
  await shop.tell(server, ada, "ListProduct", "product-one-01", {
    sku: "one-01",
    name: "Only one",
    description: "There is one of it.",
    price: { amount: 900, currency: "EUR" },
    tags: [],
  });
  await shop.tell(server, ada, "ReceiveStock", "inventory-one-01", { quantity: 1 });
  const grace = await newPerson();
  const second = await shop.join(grace, code, "Grace");
  for (const page of [first, second]) {
    await page.goto("/shop");
    await expect(shop.product(page, "Only one")).toContainText("only 1 left");
  }
  await shop.fillBasket(second, "Only one");
  // Grace still sees one when she orders: her connection is gone.
  await grace.setOffline(true);
  await expect(shop.connection(second)).toContainText("offline");
  await second.getByRole("button", { name: "Place order" }).click();
  await expect(second.getByText(/waiting for the connection/)).toBeVisible();

  await shop.order(first, "Only one");
  await expect(shop.status(first)).toContainText("confirmed");
  await grace.setOffline(false);
  await second.waitForURL(/\/orders\/[0-9a-f-]{36}$/);
  await expect(shop.status(second)).toContainText("rejected");
  await expect(shop.entry(second, "StockReservationFailed")).toContainText("1 wanted, 0 available");

  // From now on the catalogue says so before an order.
  await first.goto("/shop");
  await expect(shop.product(first, "Only one")).toContainText("sold out");
});
