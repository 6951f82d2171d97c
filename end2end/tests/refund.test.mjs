// Money that the staff gives back: with a reason, which the customer reads.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as action from "../support/action.mjs";
import { browse } from "../support/browser.mjs";
import * as check from "../support/check.mjs";
import * as find from "../support/find.mjs";
import * as office from "../support/office.mjs";
import { startServer } from "../support/server.mjs";
import * as shop from "../support/shop.mjs";

test("staff gives the money of an order back, and its customer is told why", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const grace = await browse(t, server);
  await office.letIn(opened, grace, "staff", { name: "Grace" });
  const ada = await grace.person();
  const bearer = await office.letIn(opened, ada, "customer", { name: "Ada" });
  const [id, kept] = [await office.orderToShip(opened, bearer), await office.orderToShip(opened, bearer)];
  const watching = await ada.open(`/orders/${id}`);
  await shop.isLive(watching);
  await check.containsText(shop.bell(watching), "2");

  const page = await grace.open("/office/payments");
  const second = await grace.open("/office/payments");
  for (const tab of [page, second]) await shop.isLive(tab);
  const row = shop.row(page, id);
  await check.containsText(row, "paid");
  await find.button(row, /^Refund/).click();
  await check.containsText(row, "This gives EUR 12.50 back");
  await action.press(page, "Keep the money");
  await check.isHidden(find.field(page, "Reason"));
  await find.button(row, /^Refund/).click();
  await action.fill(page, "Reason", "the handle came off");
  await action.press(page, "Give the money back");
  for (const tab of [page, second]) {
    await check.containsText(shop.row(tab, id), "given back");
    await check.containsText(shop.row(tab, id), "the handle came off");
    await check.isHidden(find.button(shop.row(tab, id), /^Refund/));
    await check.isVisible(find.button(shop.row(tab, kept), /^Refund/));
  }
  await check.containsText(shop.entry(watching, "PaymentRefunded"), "the handle came off");
  await check.containsText(shop.bell(watching), "3");
  await watching.goto("/inbox");
  await check.isVisible(find.text(watching, "the handle came off"));
});

test("a student sees what was paid, and gives nothing back", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const id = await office.orderToShip(opened, opened.token);
  const eve = await browse(t, server);
  const bearer = await office.letIn(opened, eve, "student", { name: "Eve" });
  const page = await eve.open("/office/payments");
  await shop.isLive(page);
  await check.containsText(shop.row(page, id), "paid");
  assert.equal(await find.button(page, /^Refund/).count(), 0);
  const refused = await office.command(opened, bearer, "RefundPayment", `payment-${id}`, { reason: "for me" });
  assert.equal(refused.status, 403);
});
