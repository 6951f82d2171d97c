// Every page: rendered without JavaScript, without an accessibility violation in either theme, no wider than
// a phone, usable by keyboard.
import { checkAccessibility } from "../support/axe.mjs";
import { tabTo } from "../support/keyboard.mjs";
import { fitsItsWidth, mainHeading, openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

/** The pages of a workspace with one order. */
function pages(id) {
  return [
    "/",
    "/join/ABCDEFG",
    "/shop",
    "/shop?tag=pantry",
    "/shop/mug-01",
    "/basket",
    "/inbox",
    "/mailbox",
    "/register",
    "/sign-in",
    "/forgot-password",
    "/reset-password?token=abc",
    "/confirm-email?token=abc",
    "/account",
    "/orders",
    `/orders/${id}`,
    "/lab",
    "/lab?sheet=business",
    "/class",
    "/lab/class",
    "/lab/lessons",
    "/lab/lessons/happy_path",
    "/lab/glossary",
    "/lab/dials",
    "/lab/projections",
    "/lab/views",
    "/lab/dead-letters",
    "/lab/split",
    "/lab/recording",
    "/lab/streams",
    "/lab/streams?category=order&type=OrderCreated",
    `/lab/streams/order-${id}`,
  ];
}

test("no page has an accessibility violation, in either theme, or sticks out of a phone", async ({
  page,
}) => {
  await page.goto("/");
  await shop.openSandbox(page);
  const id = await shop.order(page, "Emerald ink");
  await shop.order(page, "Desk lamp");
  await page.goto("/shop");
  await shop.isLive(page);
  await shop
    .product(page, "Star map")
    .getByRole("button", { name: /Add to basket/ })
    .click();

  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme });
    for (const path of pages(id)) {
      await page.goto(path);
      if (!/^\/($|join|register|sign-in|forgot|reset|confirm|account)/.test(path)) await shop.isLive(page);
      await expect(mainHeading(page)).toBeVisible();
      await checkAccessibility(page);
      const before = page.viewportSize();
      await page.setViewportSize({ width: 360, height: 740 });
      await fitsItsWidth(page);
      await checkAccessibility(page);
      await page.setViewportSize(before);
    }
  }
});

test("without JavaScript the catalogue, the orders, the log and the way in still work", async ({
  newPerson,
  server,
}) => {
  const ada = await newPerson({ javaScriptEnabled: false });
  const page = await openTab(ada, "/");
  const code = await shop.openSandbox(page);
  // A page without a script waits for no view: reload until the views have folded the first events of the
  // sandbox.
  await expect(async () => {
    await page.reload();
    expect(await page.locator(".products > li").count()).toBe(24);
  }).toPass();
  await expect(page.getByText("Enamel mug").first()).toBeVisible();

  const id = "0198c1f0-0000-7000-8000-000000000004";
  const program = await shop.program(server, code);
  await program.order(id);
  // The same for the order.
  await expect(async () => {
    await page.goto("/orders");
    expect(await shop.row(page, id).count()).toBe(1);
  }).toPass();
  await shop
    .row(page, id)
    .getByRole("link", { name: /…|0198/ })
    .click();
  await expect(page).toHavePath(`/orders/${id}`);
  await expect(shop.status(page)).toContainText(/created|reserved|confirmed/);
  await page.goto(`/lab/streams/order-${id}`);
  await expect(page.getByText("OrderCreated").first()).toBeVisible();
});

test("a visitor without a workspace is shown how to get one, and an unknown address says so", async ({
  page,
  pageErrors,
  server,
}) => {
  pageErrors.allow(/404/);
  await page.goto("/orders");
  await expect(mainHeading(page)).toContainText("You are not in a workspace");
  await checkAccessibility(page);
  const answer = await server.fetch("/nowhere");
  expect(answer.status).toBe(404);
  await page.goto("/nowhere");
  await expect(mainHeading(page)).toContainText("Page not found");
});

test("the keyboard alone opens a sandbox and fills the basket, orders and cancels", async ({ page }) => {
  await page.goto("/");
  await tabTo(page, page.getByRole("button", { name: "Try it" }));
  await page.keyboard.press("Enter");
  await expect(page).toHavePath("/shop");
  await shop.isLive(page);
  await tabTo(page, shop.product(page, "Beeswax candle").getByRole("button", { name: /Add to basket/ }));
  await page.keyboard.press("Enter");
  await tabTo(page, page.getByRole("link", { name: /^Basket/ }));
  await page.keyboard.press("Enter");
  await expect(page).toHavePath("/basket");
  await shop.isLive(page);
  const cards = page.getByRole("radio");
  await tabTo(page, cards.first());
  await page.keyboard.press("ArrowDown");
  await expect(cards.nth(1)).toBeChecked();
  await page.keyboard.press("ArrowUp");
  await expect(cards.first()).toBeChecked();
  await tabTo(page, page.getByRole("button", { name: "Place order" }));
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/orders\/[0-9a-f-]{36}$/);
  await expect(shop.status(page)).toContainText(/created|reserved|confirmed/);
  await shop.isLive(page);
  await tabTo(page, page.getByRole("button", { name: "Cancel this order" }));
  await page.keyboard.press("Enter");
  // The question takes the focus.
  await tabTo(page, page.getByLabel("Reason"));
  await page.keyboard.type("no hands");
  await tabTo(page, page.getByRole("button", { name: "Cancel order" }));
  await page.keyboard.press("Enter");
  await expect(shop.status(page)).toContainText("cancelled");
  await expect(page.getByText("no hands").first()).toBeVisible();
});

test("the verify button finds everything as it should be", async ({ page }) => {
  await page.goto("/");
  await shop.openSandbox(page);
  await shop.order(page);
  await page.goto("/lab/streams");
  await shop.isLive(page);
  await page.getByRole("button", { name: "Verify everything" }).click();
  await expect(page.getByText(/Everything matches\. Events with the right hash: \d+/)).toBeVisible();
});
