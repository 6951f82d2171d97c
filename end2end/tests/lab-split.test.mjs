// The split view, beyond an educator's own hold: who may hold, which views are shown, and what is not there.
import { checkEveryLook } from "../support/axe.mjs";
import { tabTo } from "../support/keyboard.mjs";
import * as office from "../support/office.mjs";
import { openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

/** The column of a view. */
function view(page, name) {
  return page.locator(`[data-testid="split-view"][data-view="${name}"]`);
}

/** The check box of a view. */
function choice(page, name) {
  return page.getByRole("checkbox", { name, exact: true });
}

/** Pauses or resumes a view as the educator. */
async function control(opened, name, what) {
  const answer = await opened.server.fetch(`/api/v1/lab/projections/${name}/${what}`, {
    method: "POST",
    headers: { authorization: `Bearer ${opened.token}` },
  });
  expect(answer.ok, `${what} answered ${answer.status}`).toBe(true);
}

test("a student sees the moment that an educator holds, and can hold none", async ({
  context: eve,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, eve, "student", { name: "Eve" });
  const page = await openTab(eve, "/lab/split");
  await shop.isLive(page);
  const orders = view(page, "orders");
  const phone = page.getByTestId("split-phone");
  const behind = orders.locator("[data-behind]");
  await expect(orders.getByRole("button")).toHaveCount(0);
  await expect(behind).toHaveAttribute("data-behind", "0");

  await control(opened, "orders", "pause");
  await page.getByRole("button", { name: "Place an order" }).click();
  const log = page.getByTestId("split-log").locator("tr[data-event]");
  await expect(log.filter({ hasText: "OrderCreated" })).toHaveCount(1);
  await expect(behind).not.toHaveAttribute("data-behind", "0");
  await expect(orders.getByText("Held:")).toBeVisible();
  await expect(orders.locator("[data-key]")).toHaveCount(0);
  await expect(phone.locator("li[data-order]")).toHaveCount(0);

  await control(opened, "orders", "resume");
  await expect(behind).toHaveAttribute("data-behind", "0");
  await expect(orders.getByText("Held:")).toBeHidden();
  await expect(phone.locator("li[data-order]")).toHaveCount(1);
  await expect(orders.getByTestId("split-measured")).toContainText(/\d+ behind/);
});

test("three views are shown at most, which the keyboard chooses", async ({ context: ada, server }) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  const page = await openTab(ada, "/lab/split");
  await shop.isLive(page);
  for (const name of ["orders", "inventory", "activity"]) await expect(view(page, name)).toBeVisible();
  await expect(view(page, "sales")).toBeHidden();
  await expect(choice(page, "sales")).toBeDisabled();

  await tabTo(page, choice(page, "activity"));
  await page.keyboard.press("Space");
  await expect(view(page, "activity")).toBeHidden();
  await tabTo(page, choice(page, "sales"));
  await page.keyboard.press("Space");
  await expect(view(page, "sales")).toBeVisible();
  await expect(choice(page, "activity")).toBeDisabled();
  await checkEveryLook(page);
});

test("without a product in stock the split view says why nothing can be ordered", async ({
  context: ada,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.done(opened, opened.token, "RetireProduct", "product-mug-01", {});
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  const page = await openTab(ada, "/lab/split");
  await shop.isLive(page);
  await expect(page.getByText("No product is in stock")).toBeVisible();
  const order = page.getByRole("button", { name: "Place an order" });
  await expect(order).toHaveAttribute("aria-disabled", "true");
  // A disabled button is not waited for.
  await order.click({ force: true });
  await expect(page.getByTestId("split-phone").locator("li[data-order]")).toHaveCount(0);
});
