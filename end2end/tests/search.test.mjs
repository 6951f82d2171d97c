// Searching the catalogue: as one types, with an address to pass on, and without a script too.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkAccessibility } from "../support/axe.mjs";
import { browse } from "../support/browser.mjs";
import * as action from "../support/action.mjs";
import * as check from "../support/check.mjs";
import * as find from "../support/find.mjs";
import { startServer } from "../support/server.mjs";
import * as shop from "../support/shop.mjs";

test("what one types is found, marked, live, and has an address", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server);
  const page = await ada.open("/");
  await shop.openSandbox(page);
  await shop.isLive(page);
  const cards = page.locator(".products > li");
  await check.isCount(cards, 24);
  await action.fill(page, "Search the catalogue", "enamel mug");
  await check.isVisible(cards.first().locator("mark").first());
  await check.containsText(cards.first(), "Enamel mug");
  await check.hasSearch(page, "?q=enamel%20mug");
  await checkAccessibility(page);

  // A mistyped letter does no harm.
  await action.fill(page, "Search the catalogue", "enamle");
  await check.containsText(cards.first(), "Enamel mug");

  // What is found is as live as the rest.
  const stock = cards.first().locator(".stock");
  const before = await stock.textContent();
  await shop.tell(server, ada.context, "ReserveStock", "inventory-mug-01", { order: "0198c1f0-0000-7000-8000-00000000000a", quantity: 1 });
  await check.eventually(async () => assert.notEqual(await stock.textContent(), before));

  await action.fill(page, "Search the catalogue", "qqqqqqqq");
  await check.isVisible(find.text(page, "Nothing found"));
  await action.fill(page, "Search the catalogue", "");
  await check.isCount(cards, 24);
  await check.hasSearch(page, "");
});

test("without a script the search is a plain form", async (t) => {
  const server = await startServer(t);
  const ada = await browse(t, server, { javaScriptEnabled: false });
  const page = await ada.open("/");
  await shop.openSandbox(page);
  await action.fill(page, "Search the catalogue", "enamel");
  await action.press(page, "Search");
  await page.waitForURL((url) => url.searchParams.get("q") === "enamel");
  // A page without a script waits for nothing, and the index may still be reading what the sandbox began with.
  await check.eventually(async () => {
    await page.reload();
    const [first] = await page.locator(".products > li").allTextContents();
    assert.match(first ?? "", /Enamel mug/);
  });
});
