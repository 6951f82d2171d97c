// The whole way of an order, seen from several tabs and two browsers at once.
import * as office from "../support/office.mjs";
import { mainHeading, openTab } from "../support/page.mjs";
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

test("two clicks at one place never act on two orders", async ({ context: grace, page, server }) => {
  const opened = await office.openShop(server);
  const bearer = await office.letIn(opened, grace, "staff", { name: "Grace" });
  const ids = [];
  for (let count = 0; count < 3; count += 1) ids.push(await office.orderToShip(opened, bearer));
  await page.goto("/office");
  await shop.isLive(page);
  const [first, ...others] = ids;
  const other = shop.row(page, others[0]);
  const before = await other.boundingBox();
  const ship = await shop.row(page, first).getByRole("button", { name: /^Ship/ }).boundingBox();
  const place = [ship.x + ship.width / 2, ship.y + ship.height / 2];
  await page.mouse.move(...place);
  await page.mouse.click(...place);
  await expect(shop.row(page, first)).toBeHidden();
  await page.mouse.click(...place);
  await expect(page.getByText("This list has changed.")).toBeVisible();
  // A row may grow by what it says about its command, but none moves up to the pointer.
  expect((await other.boundingBox()).y).toBeGreaterThanOrEqual(before.y);

  await page.mouse.move(1, 1);
  await expect(page.getByText("This list has changed.")).toBeHidden();
  expect((await other.boundingBox()).y, "the rows close up").toBeLessThan(before.y);
  await office.settled(opened);
  for (const id of others) await expect(shop.row(page, id)).toContainText("confirmed");
});

test("an order that the log does not have is not waited for", async ({ page, pageErrors }) => {
  pageErrors.allow(/404/);
  await page.goto("/");
  await shop.openSandbox(page);
  await shop.order(page);
  const answer = await page.goto("/orders/nope");
  expect(answer.status()).toBe(404);
  await expect(mainHeading(page)).toContainText("Page not found");
  await page.getByRole("main").getByRole("link", { name: "Orders" }).click();
  await expect(page).toHavePath("/orders");
});
