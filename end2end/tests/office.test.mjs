// The back office, used by those who run the shop and watched by those who buy.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as action from "../support/action.mjs";
import { checkAccessibility } from "../support/axe.mjs";
import { browse } from "../support/browser.mjs";
import * as check from "../support/check.mjs";
import * as find from "../support/find.mjs";
import { tabTo } from "../support/keyboard.mjs";
import * as office from "../support/office.mjs";
import { startServer } from "../support/server.mjs";
import * as shop from "../support/shop.mjs";

const PAGES = [
  "/office",
  "/office/orders?status=all",
  "/office/stock",
  "/office/stock?low=1",
  "/office/products",
  "/office/payments",
  "/office/customers",
  "/office/customers?by=spend",
  "/office/sales",
  "/office/activity",
  "/office/people",
];

test("a customer is refused in the back office, on its pages and by the API, and told what to do", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const ada = await browse(t, server);
  ada.expectTrouble(/403/);
  const bearer = await office.letIn(opened, ada, "customer");
  const page = await ada.open("/shop");
  await shop.isLive(page);
  assert.equal(await find.link(page, "Back office").count(), 0, "a place that is not theirs is not offered");
  for (const path of PAGES) {
    const answer = await page.goto(path);
    assert.equal(answer.status(), 403, path);
    await check.hasTitle(page, "The back office is not yours");
  }
  await checkAccessibility(page);
  await action.follow(page, "To your orders");
  await check.hasPath(page, "/orders");

  const refused = await office.command(opened, bearer, "ReceiveStock", "inventory-mug-01", { quantity: 1 });
  assert.equal(refused.status, 403);
  for (const listing of ["inventory?listing=all", "orders?listing=by_status&group=confirmed"]) {
    const answer = await server.fetch(`/api/v1/views/${listing}`, { headers: { authorization: `Bearer ${bearer}` } });
    assert.equal(answer.status, 403, listing);
  }
});

test("a student looks at the back office, and is offered nothing to do", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const ada = await browse(t, server);
  await office.letIn(opened, ada, "student");
  const page = await ada.open("/office/stock");
  await check.isVisible(find.text(page, "You may look at everything here."));
  await shop.isLive(page);
  await check.isVisible(office.productRow(page, "mug-01"));
  assert.equal(await find.button(page, /^Receive/).count(), 0);
});

test("staff ships an order and delivers it, while its customer watches", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const grace = await browse(t, server);
  await office.letIn(opened, grace, "staff", { name: "Grace" });
  const ada = await grace.person();
  const bearer = await office.letIn(opened, ada, "customer", { name: "Ada" });
  const id = await office.orderToShip(opened, bearer);

  const watching = await ada.open(`/orders/${id}`);
  await shop.isLive(watching);
  await check.containsText(shop.status(watching), "confirmed");
  const page = await grace.open("/office");
  await shop.isLive(page);
  await find.button(shop.row(page, id), /^Ship/).click();
  await check.containsText(shop.status(watching), "shipped");
  // It is not to be shipped any more, so its row leaves.
  await check.isHidden(shop.row(page, id));

  await action.follow(page, "To deliver");
  await page.waitForURL((url) => url.searchParams.get("status") === "shipped");
  await shop.isLive(page);
  await find.button(shop.row(page, id), /^Deliver/).click();
  await check.containsText(shop.status(watching), "delivered");
  await check.isHidden(shop.row(page, id));
  await check.isVisible(find.text(page, "Nothing here right now"));
});

test("staff cancels an order with a reason that its customer reads", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const grace = await browse(t, server);
  await office.letIn(opened, grace, "staff", { name: "Grace" });
  const ada = await grace.person();
  const bearer = await office.letIn(opened, ada, "customer", { name: "Ada" });
  const id = await office.orderToShip(opened, bearer);

  const watching = await ada.open(`/orders/${id}`);
  await shop.isLive(watching);
  const page = await grace.open("/office");
  await shop.isLive(page);
  await find.button(shop.row(page, id), /^Cancel/).click();
  await page.keyboard.press("Escape");
  await check.isHidden(find.field(page, "Reason"));
  await find.button(shop.row(page, id), /^Cancel/).click();
  await action.fill(page, "Reason", "the kiln broke");
  await action.press(page, "Cancel the order");
  await check.containsText(shop.status(watching), "cancelled");
  await check.isVisible(find.text(watching, "the kiln broke").first());
  await check.isHidden(shop.row(page, id));
});

test("what comes too late is refused, and the reason stands beside the button", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const grace = await browse(t, server);
  grace.expectTrouble(/422/);
  const bearer = await office.letIn(opened, grace, "staff", { name: "Grace" });
  const id = await office.orderToShip(opened, bearer);
  const page = await grace.open("/");
  // A tab that hears of nothing: its socket is answered by nobody.
  await page.routeWebSocket(/\/api\/v1\/live/, () => {});
  await page.goto("/office");
  await check.containsText(shop.connection(page), /^(live|connecting|reconnecting)$/);
  await office.done(opened, bearer, "ShipOrder", `order-${id}`, {});
  await find.button(shop.row(page, id), /^Cancel/).click();
  await action.fill(page, "Reason", "changed our mind");
  await action.press(page, "Cancel the order");
  await check.isVisible(shop.row(page, id).getByRole("alert").filter({ hasText: /shipped/ }));
});

test("stock that has come in is seen by a customer who looks at the product", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const grace = await browse(t, server);
  await office.letIn(opened, grace, "staff", { name: "Grace" });
  await office.done(opened, opened.token, "ListProduct", "product-cup-99", {
    sku: "cup-99",
    name: "Tea cup",
    description: "Holds tea.",
    price: { amount: 900, currency: "EUR" },
    tags: ["kitchen"],
  });
  await office.done(opened, opened.token, "ReceiveStock", "inventory-cup-99", { quantity: 2 });
  const ada = await grace.person();
  await office.letIn(opened, ada, "customer", { name: "Ada" });
  const watching = await ada.open("/shop/cup-99");
  await shop.isLive(watching);
  await check.isVisible(find.text(watching, "only 2 left"));

  const page = await grace.open("/office/stock?low=1");
  await shop.isLive(page);
  const row = office.productRow(page, "cup-99");
  await check.containsText(row, "low");
  const field = find.field(row, "How many came in: Tea cup");
  for (const wrong of ["", "0", "-3", "1.5", "1000001"]) {
    await field.fill(wrong);
    await find.button(row, /^Receive/).click();
    await check.containsText(row, "Write a whole number from 1 to 1000000.");
  }
  await field.fill("40");
  await find.button(row, /^Receive/).click();
  await check.isVisible(find.text(watching, "42 left"));
  // Forty-two are not few.
  await check.isHidden(row);
  await page.goto("/office/stock");
  await office.rowSays(office.productRow(page, "cup-99"), "On hand", /^42$/);
  await office.rowSays(office.productRow(page, "cup-99"), "Reserved", /^0$/);
});

test("a product is listed, gets another price, and is retired, and the catalogue shows it", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const grace = await browse(t, server);
  grace.expectTrouble(/422/);
  await office.letIn(opened, grace, "staff", { name: "Grace" });
  const ada = await grace.person();
  await office.letIn(opened, ada, "customer", { name: "Ada" });
  const watching = await ada.open("/shop");
  await shop.isLive(watching);

  const page = await grace.open("/office/products");
  await shop.isLive(page);
  await find.text(page, "List a new product").click();
  await action.fill(page, "SKU", "cup-99");
  await action.fill(page, "Description", "Holds tea.");
  await page.getByLabel("Price", { exact: true }).fill("9,50");
  await page.getByLabel("Tags", { exact: true }).fill("kitchen, new");
  await action.press(page, "List the product");
  await check.containsText(page.locator("#new-name-error"), /1 to 120/);
  await page.getByLabel("Name", { exact: true }).fill("Tea cup");
  await action.press(page, "List the product");
  await check.isVisible(find.text(page, "Tea cup is in the catalogue."));
  await check.containsText(shop.product(watching, "Tea cup"), "9.50");

  const row = office.productRow(page, "cup-99");
  await find.button(row, /^Change price/).click();
  await find.field(row, "Price: Tea cup").fill("free");
  await find.button(row, "Set price").click();
  await check.containsText(row, "Write a price above zero");
  await find.field(row, "Price: Tea cup").fill("11");
  await find.button(row, "Set price").click();
  await check.containsText(shop.product(watching, "Tea cup"), "11.00");

  await find.button(row, /^Retire/).first().click();
  await check.containsText(row, "This takes Tea cup out of the catalogue.");
  await find.button(row, "Retire the product").click();
  await check.isHidden(row);
  await check.isHidden(shop.product(watching, "Tea cup"));
});

test("the sales dashboard counts what is sold while one looks, as a chart and as a table", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const grace = await browse(t, server);
  const bearer = await office.letIn(opened, grace, "staff", { name: "Grace" });
  const page = await grace.open("/office/sales");
  await shop.isLive(page);
  await check.isVisible(find.text(page, "Nothing sold yet"));

  const sold = [await office.orderToShip(opened, bearer), await office.orderToShip(opened, bearer)];
  const top = page.locator('tr[data-sku="mug-01"]');
  await office.rowSays(top, "Pieces", /^2$/);
  // Mostly on one day; on two where midnight has just come.
  const days = await office.daysOf(opened, "OrderConfirmed");
  await check.isCount(page.locator(".chart__wide rect"), days.size);
  await find.button(page, "Table").click();
  for (const [day, count] of days) {
    const row = page.getByRole("row").filter({ hasText: day });
    await office.rowSays(row, "Orders", new RegExp(`^${count}$`));
    await office.rowSays(row, "Pieces", new RegExp(`^${count}$`));
  }

  await office.done(opened, bearer, "CancelOrder", `order-${sold[0]}`, { reason: "broken" });
  await office.rowSays(top, "Pieces", /^1$/);
  await find.button(page, "Chart").click();
  await check.isVisible(page.locator(".chart__wide svg"));
});

test("the feed shows what happens, and only what is asked for", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const grace = await browse(t, server);
  const bearer = await office.letIn(opened, grace, "educator", { name: "Grace" });
  const page = await grace.open("/office/activity");
  await shop.isLive(page);
  await find.button(page, "Orders").click();
  const entries = page.locator(".feed__entry");
  const id = await office.orderToShip(opened, bearer);
  await check.isVisible(entries.filter({ hasText: "OrderCreated" }).first());
  assert.equal(await entries.filter({ hasText: "ProductListed" }).count(), 0);
  await find.link(entries.filter({ hasText: "OrderCreated" }), "To the order").click();
  await check.hasPath(page, `/orders/${id}`);
});

test("customers are listed with what they ordered, and lead to their orders", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const grace = await browse(t, server);
  await office.letIn(opened, grace, "staff", { name: "Grace" });
  const page = await grace.open("/office/customers");
  await shop.isLive(page);
  const ada = await office.token(opened, "customer", { name: "Ada" });
  const id = await office.orderToShip(opened, ada);
  const row = page.getByRole("row").filter({ hasText: "Ada" });
  await office.rowSays(row, "Orders", /^1$/);
  await find.link(row, "1").click();
  await check.hasPath(page, "/office/orders");
  await check.isVisible(shop.row(page, id));
  assert.equal(await page.locator("tr[data-order]").count(), 1);
});

test("the keyboard alone ships an order", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const grace = await browse(t, server);
  const bearer = await office.letIn(opened, grace, "staff", { name: "Grace" });
  const id = await office.orderToShip(opened, bearer);
  const page = await grace.open("/shop");
  await shop.isLive(page);
  await tabTo(page, find.link(page, "Back office"));
  await page.keyboard.press("Enter");
  await check.hasPath(page, "/office");
  await shop.isLive(page);
  const cancel = find.button(shop.row(page, id), /^Cancel/);
  await tabTo(page, cancel);
  await page.keyboard.press("Enter");
  await check.hasFocus(find.field(page, "Reason"));
  await page.keyboard.type("not yet");
  await page.keyboard.press("Escape");
  await check.hasFocus(cancel);
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await check.isHidden(shop.row(page, id));
});

test("no page of the back office has an accessibility violation, or sticks out of a phone", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const grace = await browse(t, server);
  const bearer = await office.letIn(opened, grace, "staff", { name: "Grace" });
  await office.orderToShip(opened, bearer);
  const page = await grace.open("/office");
  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme });
    for (const path of PAGES) {
      await page.goto(path);
      await shop.isLive(page);
      await check.hasTitle(page);
      for (const width of [1280, 360]) {
        await page.setViewportSize({ width, height: 800 });
        await check.fitsItsWidth(page);
        await checkAccessibility(page);
      }
    }
  }
});

test("a page loads the program of its place, and no other", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const grace = await browse(t, server);
  const page = await grace.context.newPage();
  // What runs is what the page's own script imports; the other one may be fetched ahead, and arrive before it.
  const imported = async () => {
    const scripts = await page.locator('script[type="module"]').allTextContents();
    return scripts.flatMap((script) => [...script.matchAll(/\/pkg\/(\w+)\.[0-9a-f]+\.wasm/g)].map(([, program]) => program));
  };
  const loaded = [];
  page.on("response", (response) => {
    const [, program] = new URL(response.url()).pathname.match(/^\/pkg\/(\w+)\.[0-9a-f]+\.wasm$/) ?? [];
    if (program) loaded.push(program);
  });
  await page.goto("/sign-in");
  assert.deepEqual(await imported(), ["entry"]);
  await check.eventually(async () => assert.ok(loaded.includes("entry"), `${loaded}`));

  await office.letIn(opened, grace, "educator", { name: "Grace" });
  for (const path of ["/shop", "/orders", "/office", "/streams"]) {
    loaded.length = 0;
    await page.goto(path);
    await shop.isLive(page);
    assert.deepEqual(await imported(), ["workspace"], path);
    assert.deepEqual([...new Set(loaded)], ["workspace"], path);
  }
});
