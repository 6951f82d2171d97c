// The catalogue, when it is large, and when the client is late.
import * as office from "../support/office.mjs";
import { mainHeading } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

test.describe("a catalogue larger than a page of a listing", () => {
  test.use({ serverArgs: ["--requests-per-minute", "0"] });

  test("what stands last in it has its price in the basket, and can be ordered", async ({
    context: ada,
    page,
    server,
  }) => {
    const opened = await office.openShop(server);
    const numbers = Array.from({ length: 204 }, (_, index) => String(index).padStart(3, "0"));
    await office.listProducts(
      opened,
      numbers.map((number) => ({ sku: `copy-${number}`, name: `Copy ${number}`, tags: [] })),
    );
    await office.listProducts(opened, [{ sku: "tub-99", name: "Zinc tub", tags: ["zinc"] }]);
    await office.done(opened, opened.token, "ReceiveStock", "inventory-tub-99", { quantity: 9 });

    await office.letIn(opened, ada, "educator", { name: "Ada" });
    await page.goto("/shop");
    await expect(page.getByRole("link", { name: "zinc", exact: true })).toBeVisible();
    await page.goto("/office/stock");
    await expect(office.productRow(page, "tub-99")).toContainText("Zinc tub");
    await page.goto("/shop/tub-99");
    await shop.isLive(page);
    await page.getByRole("button", { name: /Add to basket/ }).click();
    await page.goto("/basket");
    const line = page.getByRole("row").filter({ hasText: "Zinc tub" });
    await office.rowSays(line, "Price", /9\.00/);
    await expect(line).toContainText("9 left");
    await page.getByRole("button", { name: "Place order" }).click();
    await page.waitForURL(/\/orders\/[0-9a-f-]{36}$/);
    await expect(shop.status(page)).toContainText("confirmed");
  });
});

test("a product that is no longer sold says so in the basket", async ({ context: ada, page, server }) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  await shop.fillBasket(page);
  await office.done(opened, opened.token, "RetireProduct", "product-mug-01", {});
  await expect(page.getByText("This product is no longer available.")).toBeVisible();
});

test("a click before the client is there is kept, and done once it is", async ({
  context: ada,
  page,
  server,
}) => {
  await shop.openSandbox(page);
  await shop.settled(server, ada);
  const client = await held(page, /\.wasm$/);
  await page.goto("/shop", { waitUntil: "domcontentloaded" });
  const mug = shop.product(page, "Enamel mug");
  const add = mug.getByRole("button", { name: /Add to basket/ });
  await add.click();
  await add.click();
  await expect(add).toHaveAttribute("aria-busy", "true");
  client.release();
  await expect(mug).toContainText("2 in basket");
  await expect(add).not.toHaveAttribute("aria-busy");
  await page.goto("/basket");
  await expect(page.getByLabel("Quantity: Enamel mug")).toHaveValue("2");
});

test("on a phone nothing moves while the client arrives and connects", async ({ newPerson, server }) => {
  const ada = await newPerson({ viewport: { width: 360, height: 740 } });
  await ada.addInitScript(() => {
    globalThis.shift = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) globalThis.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  const page = await ada.newPage();
  await shop.openSandbox(page);
  await shop.settled(server, ada);
  for (const path of ["/shop", "/orders"]) {
    const client = await held(page, /\.wasm$/);
    await page.goto(path, { waitUntil: "domcontentloaded" });
    await expect(mainHeading(page)).toBeVisible();
    await painted(page);
    client.release();
    await shop.isLive(page);
    await painted(page);
    expect(await page.evaluate(() => globalThis.shift), path).toBeLessThan(0.05);
  }
});

/** Holds back what the page loads from addresses like this, until it is released. */
async function held(page, pattern) {
  let release;
  const released = new Promise((resolve) => {
    release = resolve;
  });
  await page.route(pattern, async (route) => {
    await released;
    await route.continue();
  });
  return { release };
}

/** Waits until what the page shows by now is on the screen. */
function painted(page) {
  return page.evaluate(
    () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
  );
}
