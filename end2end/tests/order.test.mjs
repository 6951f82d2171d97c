// The whole way of an order, seen from several tabs and two browsers at once.
import { openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

test("an order and its cancellation appear in every open tab and in another browser", async ({
  context: ada,
  page: first,
  newPerson,
}) => {
  await first.goto("/");
  const code = await shop.openSandbox(first);
  await expect(first.locator(".products > li")).toHaveCount(24);

  const second = await openTab(ada, "/orders");
  await shop.isLive(second);
  const before = await second.locator("tr[data-order]").count();
  const grace = await newPerson();
  const third = await shop.join(grace, code, "Grace");
  await third.getByRole("link", { name: "Orders" }).click();
  await shop.isLive(third);

  const id = await shop.order(first);
  // Beside the orders of the template.
  await expect(second.locator("tr[data-order]")).toHaveCount(before + 1);
  for (const page of [second, third]) {
    await expect(shop.row(page, id)).toContainText(/created|reserved|confirmed/);
    await expect(shop.row(page, id)).toContainText("Ada");
  }

  await shop.cancel(first, "changed my mind");
  for (const page of [second, third]) await expect(shop.row(page, id)).toContainText("cancelled");
  await expect(first.getByText("changed my mind").first()).toBeVisible();
});

test("a student cannot cancel another person's order, and is told why", async ({
  page,
  newPerson,
  pageErrors,
}) => {
  await page.goto("/");
  const code = await shop.openSandbox(page);
  const id = await shop.order(page);

  const grace = await newPerson();
  pageErrors.allow(/422/);
  const other = await shop.join(grace, code, "Grace");
  await other.goto(`/orders/${id}`);
  await shop.isLive(other);
  await other.getByRole("button", { name: "Cancel this order" }).click();
  await other.getByLabel("Reason").fill("just because");
  await other.getByRole("button", { name: "Cancel order" }).click();
  await expect(other.getByText("only the customer or the shop can cancel an order")).toBeVisible();
  await expect(shop.status(other)).toContainText(/created|reserved|confirmed/);
});

test("the freshness mark is true: it stands at the position of the newest event", async ({
  context: ada,
  page,
  server,
}) => {
  await page.goto("/");
  await shop.openSandbox(page);
  await page.goto("/orders");
  // The orders of the template are settled, and nothing follows from this command: its event stays the
  // newest.
  await shop.settled(server, ada);
  const { token } = await shop.tell(server, ada, "ReceiveStock", "inventory-mug-01", { quantity: 1 });
  await expect(page.locator(".freshness__token")).toContainText(token);
  await expect(page.locator(".freshness__word")).toContainText("live");
});

test("the basket survives a reload", async ({ page }) => {
  await page.goto("/");
  await shop.openSandbox(page);
  await shop.isLive(page);
  await shop
    .product(page, "Enamel mug")
    .getByRole("button", { name: /Add to basket/ })
    .click();
  await page.goto("/basket");
  await expect(page.getByRole("link", { name: "Enamel mug" })).toBeVisible();
  await page.reload();
  await expect(page.getByRole("link", { name: "Enamel mug" })).toBeVisible();
});

test("a join code that no workspace has is refused", async ({ page }) => {
  await page.goto("/join/ZZZZZZZ");
  await page.getByLabel("Your name").fill("Ada");
  await page.getByRole("button", { name: "Join workspace" }).click();
  await expect(page.getByText("No workspace has this code").first()).toBeVisible();
});
