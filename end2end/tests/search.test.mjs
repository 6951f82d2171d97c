// Searching the catalogue: as one types, with an address to pass on, and without a script too.
import { checkAccessibility } from "../support/axe.mjs";
import { openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

test("a search finds as one types, marks its matches, stays live, and has an address", async ({
  context: ada,
  page,
  server,
}) => {
  await page.goto("/");
  await shop.openSandbox(page);
  await shop.isLive(page);
  const cards = page.locator(".products > li");
  await expect(cards).toHaveCount(24);
  await page.getByLabel("Search the catalogue").fill("enamel mug");
  await expect(cards.first().locator("mark").first()).toBeVisible();
  await expect(cards.first()).toContainText("Enamel mug");
  await expect(page).toHaveURL((url) => url.search === "?q=enamel%20mug");
  await checkAccessibility(page);

  // A mistyped letter still finds it.
  await page.getByLabel("Search the catalogue").fill("enamle");
  await expect(cards.first()).toContainText("Enamel mug");

  // The results are live.
  const stock = cards.first().locator(".stock");
  const before = await stock.textContent();
  const reservation = { order: "0198c1f0-0000-7000-8000-00000000000a", quantity: 1 };
  await shop.tell(server, ada, "ReserveStock", "inventory-mug-01", reservation);
  await expect.poll(() => stock.textContent()).not.toBe(before);

  await page.getByLabel("Search the catalogue").fill("qqqqqqqq");
  await expect(page.getByText("No results")).toBeVisible();
  await page.getByLabel("Search the catalogue").fill("");
  await expect(cards).toHaveCount(24);
  await expect(page).toHaveURL((url) => url.search === "");
});

test("without a script the search is a plain form", async ({ newPerson }) => {
  const ada = await newPerson({ javaScriptEnabled: false });
  const page = await openTab(ada, "/");
  await shop.openSandbox(page);
  await page.getByLabel("Search the catalogue").fill("enamel");
  await page.getByRole("button", { name: "Search" }).click();
  await page.waitForURL((url) => url.searchParams.get("q") === "enamel");
  // A page without a script waits for no view, and the index may still be reading the first events of the
  // sandbox.
  await expect(async () => {
    await page.reload();
    const [first] = await page.locator(".products > li").allTextContents();
    expect(first ?? "").toMatch(/Enamel mug/);
  }).toPass();
});
