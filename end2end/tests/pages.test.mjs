// Every page: rendered without JavaScript, without an accessibility violation in either theme, no wider than a phone,
// usable by keyboard.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkAccessibility } from "../support/axe.mjs";
import { browse } from "../support/browser.mjs";
import * as check from "../support/check.mjs";
import * as find from "../support/find.mjs";
import { tabTo } from "../support/keyboard.mjs";
import { startServer } from "../support/server.mjs";
import * as shop from "../support/shop.mjs";

/** The pages of a workspace with one order. */
function pages(id) {
  return {
    landing: "/",
    join: "/join/ABCDEFG",
    catalogue: "/shop",
    "catalogue-tag": "/shop?tag=pantry",
    product: "/shop/mug-01",
    basket: "/basket",
    inbox: "/inbox",
    mailbox: "/mailbox",
    register: "/register",
    "sign-in": "/sign-in",
    account: "/account",
    orders: "/orders",
    order: `/orders/${id}`,
    streams: "/streams",
    stream: `/streams/order-${id}`,
  };
}

test("no page has an accessibility violation, in either theme, or sticks out of a phone", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  const page = await ada.open("/");
  await shop.openSandbox(page);
  const id = await shop.order(page, "Emerald ink");
  await shop.order(page, "Desk lamp");
  await page.goto("/shop");
  await shop.isLive(page);
  await find.button(shop.product(page, "Star map"), /Add to basket/).click();

  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme });
    for (const [name, path] of Object.entries(pages(id))) {
      await page.goto(path);
      if (!/^\/($|join|register|sign-in|account)/.test(path)) await shop.isLive(page);
      await check.hasTitle(page);
      await checkAccessibility(page);
      const before = page.viewportSize();
      await page.setViewportSize({ width: 360, height: 740 });
      await check.fitsItsWidth(page);
      await checkAccessibility(page);
      await page.setViewportSize(before);
    }
  }
});

test("without JavaScript the catalogue, the orders, the log and the way in still work", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server, { javaScriptEnabled: false });
  const page = await ada.open("/");
  const code = await shop.openSandbox(page);
  // A page without a script waits for nothing: ask until the views have folded what the sandbox began with.
  await check.eventually(async () => {
    await page.reload();
    assert.equal(await page.locator(".products > li").count(), 24);
  });
  await check.isVisible(find.text(page, "Enamel mug").first());

  const id = "0198c1f0-0000-7000-8000-000000000004";
  const program = await shop.program(server, code);
  await program.order(id);
  // The same for the order.
  await check.eventually(async () => {
    await page.goto("/orders");
    assert.equal(await shop.row(page, id).count(), 1);
  });
  await find.link(shop.row(page, id), /…|0198/).click();
  await check.hasPath(page, `/orders/${id}`);
  await check.containsText(shop.status(page), /created|reserved|confirmed/);
  await page.goto(`/streams/order-${id}`);
  await check.isVisible(find.text(page, "OrderCreated").first());
});

test("a visitor without a workspace is shown the way in, and an address without a page says so", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  ada.expectTrouble(/404/);
  const page = await ada.open("/orders");
  await check.hasTitle(page, "You are not in a workspace");
  await checkAccessibility(page);
  const answer = await server.fetch("/nowhere");
  assert.equal(answer.status, 404);
  await page.goto("/nowhere");
  await check.hasTitle(page, "There is nothing here");
});

test("the keyboard alone opens a sandbox and fills the basket, orders and cancels", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  const page = await ada.open("/");
  await tabTo(page, find.button(page, "Open a sandbox"));
  await page.keyboard.press("Enter");
  await check.hasPath(page, "/shop");
  await shop.isLive(page);
  await tabTo(page, find.button(shop.product(page, "Beeswax candle"), /Add to basket/));
  await page.keyboard.press("Enter");
  await tabTo(page, find.link(page, /^Basket/));
  await page.keyboard.press("Enter");
  await check.hasPath(page, "/basket");
  await shop.isLive(page);
  const cards = page.getByRole("radio");
  await tabTo(page, cards.first());
  await page.keyboard.press("ArrowDown");
  assert.ok(await cards.nth(1).isChecked());
  await page.keyboard.press("ArrowUp");
  assert.ok(await cards.first().isChecked());
  await tabTo(page, find.button(page, "Place order"));
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/orders\/[0-9a-f-]{36}$/);
  await check.containsText(shop.status(page), /created|reserved|confirmed/);
  await shop.isLive(page);
  await tabTo(page, find.button(page, "Cancel this order"));
  await page.keyboard.press("Enter");
  // The question takes the focus.
  await tabTo(page, find.field(page, "Reason"));
  await page.keyboard.type("no hands");
  await tabTo(page, find.button(page, "Cancel the order"));
  await page.keyboard.press("Enter");
  await check.containsText(shop.status(page), "cancelled");
  await check.isVisible(find.text(page, "no hands").first());
});

test("the verify button finds everything as it should be", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  const page = await ada.open("/");
  await shop.openSandbox(page);
  await shop.order(page);
  await page.goto("/streams");
  await shop.isLive(page);
  await find.button(page, "Verify everything").click();
  await check.isVisible(find.text(page, /All is well: \d+ events/));
});
