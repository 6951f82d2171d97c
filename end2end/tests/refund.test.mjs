// Refunds by the staff: each has a reason, which the customer reads.
import * as office from "../support/office.mjs";
import { openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

test("staff refunds an order, and its customer is told why", async ({
  context: grace,
  page,
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, grace, "staff", { name: "Grace" });
  const ada = await newPerson();
  const bearer = await office.letIn(opened, ada, "customer", { name: "Ada" });
  const [id, kept] = [await office.orderToShip(opened, bearer), await office.orderToShip(opened, bearer)];
  const watching = await openTab(ada, `/orders/${id}`);
  await shop.isLive(watching);
  await expect(shop.bell(watching)).toContainText("2");

  await page.goto("/office/payments");
  const second = await openTab(grace, "/office/payments");
  for (const tab of [page, second]) await shop.isLive(tab);
  const row = shop.row(page, id);
  await expect(row).toContainText("paid");
  await row.getByRole("button", { name: /^Refund/ }).click();
  await expect(row).toContainText("This refunds EUR 12.50");
  await page.getByRole("button", { name: "Keep payment" }).click();
  await expect(page.getByLabel("Reason")).toBeHidden();
  await row.getByRole("button", { name: /^Refund/ }).click();
  await page.getByLabel("Reason").fill("the handle came off");
  await page.getByRole("button", { name: "Confirm refund" }).click();
  for (const tab of [page, second]) {
    await expect(shop.row(tab, id)).toContainText("refunded");
    await expect(shop.row(tab, id)).toContainText("the handle came off");
    await expect(shop.row(tab, id).getByRole("button", { name: /^Refund/ })).toBeHidden();
    await expect(shop.row(tab, kept).getByRole("button", { name: /^Refund/ })).toBeVisible();
  }
  await expect(shop.entry(watching, "PaymentRefunded")).toContainText("the handle came off");
  await expect(shop.status(watching)).toContainText("refunded");
  await expect(shop.bell(watching)).toContainText("3");
  await watching.goto("/inbox");
  await expect(watching.getByText("the handle came off")).toBeVisible();
});

test("a student sees the payments, and can refund none", async ({ context: eve, page, server }) => {
  const opened = await office.openShop(server);
  const id = await office.orderToShip(opened, opened.token);
  const bearer = await office.letIn(opened, eve, "student", { name: "Eve" });
  await page.goto("/office/payments");
  await shop.isLive(page);
  await expect(shop.row(page, id)).toContainText("paid");
  expect(await page.getByRole("button", { name: /^Refund/ }).count()).toBe(0);
  const refused = await office.command(opened, bearer, "RefundPayment", `payment-${id}`, {
    reason: "for me",
  });
  expect(refused.status).toBe(403);
});
