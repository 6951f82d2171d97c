// The interface in the languages that it is wholly translated into.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { checkAccessibility } from "../support/axe.mjs";
import { tabTo } from "../support/keyboard.mjs";
import * as office from "../support/office.mjs";
import { fitsItsWidth, mainHeading, railIsWhole } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

const TRANSLATED = { de: "ltr", ar: "rtl", ja: "ltr" };
const PAGES = [
  "/shop",
  "/shop?q=qqqqqqqq",
  "/shop/mug-01",
  "/basket",
  "/orders",
  "/inbox",
  "/mailbox",
  "/account",
  "/office/orders?status=all",
  "/office/stock",
  "/office/products",
  "/office/payments",
  "/office/customers",
  "/office/sales",
  "/office/activity",
  "/office/people",
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
];
const OUTSIDE = [
  "/",
  "/open",
  "/join",
  "/register",
  "/sign-in",
  "/forgot-password",
  "/reset-password",
  "/confirm-email",
  "/infographic",
  "/nowhere",
];

async function texts(language) {
  const file = path.join(import.meta.dirname, `../../app/locales/${language}.json`);
  return JSON.parse(await readFile(file, "utf8"));
}

/** The English sentences that a translation words otherwise: none of them may be seen in it. */
async function englishTexts(language) {
  const leaves = (texts) =>
    Object.entries(texts).flatMap(([key, value]) =>
      typeof value === "string" ? [[key, value]] : leaves(value).map(([rest, text]) => [`${key}.${rest}`, text]),
    );
  const translated = new Map(leaves(await texts(language)));
  return leaves(await texts("en"))
    .filter(([key, text]) => text.includes(" ") && !text.includes("{{") && translated.get(key) !== text)
    .map(([, text]) => text);
}

/** Fails when the page, as it is now, has English left, sticks out, or breaks a rule of accessibility. */
async function checkPage(page, language, english) {
  await expect(page.locator("html")).toHaveAttribute("lang", language);
  await expect(page.locator("html")).toHaveAttribute("dir", TRANSLATED[language]);
  for (const width of [360, 1280]) {
    await page.setViewportSize({ width, height: 800 });
    await fitsItsWidth(page);
    await railIsWhole(page);
  }
  const seen = (await page.locator("body").innerText()).split("\n").map((line) => line.trim());
  const codes = /^(customer|student|staff|educator|system|tok_\w+)$/;
  const left = seen.filter((line) => english.includes(line) || line.split(" · ").some((part) => codes.test(part)));
  expect(left, `${page.url()} has English left`).toEqual([]);
  await checkAccessibility(page);
}

for (const language of Object.keys(TRANSLATED)) {
  test(`every page in ${language}`, async ({ page, context: ada, pageErrors, server }) => {
    test.slow();
    pageErrors.allow(/404/);
    const english = await englishTexts(language);
    for (const address of OUTSIDE) {
      await page.goto(`${address}?lang=${language}`);
      await expect(mainHeading(page)).toBeVisible();
      await checkPage(page, language, english);
    }
    const opened = await office.openFullShop(server);
    const own = await office.letIn(opened, ada, "educator", { name: "Ada" });
    const order = await office.orderToShip(opened, own);
    for (const address of [...PAGES, `/orders/${order}`, `/lab/streams/order-${order}`]) {
      await page.goto(address);
      await expect(mainHeading(page)).toBeVisible();
      await expect(page.locator(".connection")).toHaveAttribute("data-state", "live");
      await checkPage(page, language, english);
    }
  });
}

test("from landing to an order in Arabic, by keyboard", async ({ page }) => {
  const ar = await texts("ar");
  const button = (name) => page.getByRole("button", { name });
  await page.goto("/?lang=ar");
  await tabTo(page, button(ar.landing.try_it));
  await page.keyboard.press("Enter");
  await expect(page).toHavePath("/shop");
  await expect(page.locator("html")).toHaveAttribute("dir", "rtl");
  await tabTo(page, button(ar.product.add).first());
  await page.keyboard.press("Enter");
  await tabTo(page, page.getByRole("link", { name: ar.basket.place }).first());
  await page.keyboard.press("Enter");
  await expect(page).toHavePath("/basket");
  await tabTo(page, button(ar.basket.place_order));
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/orders\/[0-9a-f-]{36}$/);
  await expect(shop.status(page)).toContainText(ar.status.confirmed);
});

test("the switch changes the language, and the choice is remembered", async ({ page }) => {
  await page.goto("/sign-in");
  await page.locator(".languages > summary").click();
  await page.getByRole("link", { name: "Deutsch" }).click();
  await expect(page.locator("html")).toHaveAttribute("lang", "de");
  await page.goto("/");
  await expect(page.locator("html")).toHaveAttribute("lang", "de");
  await expect(mainHeading(page)).toHaveText((await texts("de")).landing.title);
});

test("120 letters without a space do not widen a page", async ({ page, context: ada, server }) => {
  const opened = await office.openShop(server);
  const name = "x".repeat(120);
  await office.done(opened, opened.token, "ListProduct", "product-long-01", {
    sku: "long-01",
    name,
    description: name,
    price: { amount: 100, currency: "EUR" },
    tags: [],
  });
  await office.letIn(opened, ada, "educator", { name: "y".repeat(40) });
  await page.setViewportSize({ width: 360, height: 800 });
  for (const address of ["/shop", "/shop/long-01", "/office/products", "/office/activity", "/lab/streams"]) {
    await page.goto(address);
    await shop.isLive(page);
    await fitsItsWidth(page);
  }
});
