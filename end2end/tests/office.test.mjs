// The back office: the staff works in it, and the customers watch.
import { checkAccessibility } from "../support/axe.mjs";
import { tabTo } from "../support/keyboard.mjs";
import * as office from "../support/office.mjs";
import { fitsItsWidth, mainHeading, openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

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

test("a customer is refused by the pages and the API of the back office, and told what to do", async ({
  context: ada,
  page,
  pageErrors,
  server,
}) => {
  const opened = await office.openShop(server);
  pageErrors.allow(/403/);
  const bearer = await office.letIn(opened, ada, "customer");
  await page.goto("/shop");
  await shop.isLive(page);
  expect(
    await page.getByRole("link", { name: "Back office" }).count(),
    "a link that leads to a refusal is not offered",
  ).toBe(0);
  for (const path of PAGES) {
    const answer = await page.goto(path);
    expect(answer.status(), path).toBe(403);
    await expect(mainHeading(page)).toContainText("No access to the back office");
  }
  await checkAccessibility(page);
  await page.getByRole("link", { name: "Go to your orders" }).click();
  await expect(page).toHavePath("/orders");

  const refused = await office.command(opened, bearer, "ReceiveStock", "inventory-mug-01", { quantity: 1 });
  expect(refused.status).toBe(403);
  for (const listing of ["inventory?listing=all", "orders?listing=by_status&group=confirmed"]) {
    const answer = await server.fetch(`/api/v1/views/${listing}`, {
      headers: { authorization: `Bearer ${bearer}` },
    });
    expect(answer.status, listing).toBe(403);
  }
});

test("a student looks at the back office, and is offered nothing to do", async ({
  context: ada,
  page,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, ada, "student");
  await page.goto("/office/stock");
  await expect(page.getByText("You have read-only access.")).toBeVisible();
  await shop.isLive(page);
  await expect(office.productRow(page, "mug-01")).toBeVisible();
  expect(await page.getByRole("button", { name: /^Receive/ }).count()).toBe(0);
});

test("staff ships an order and delivers it, while its customer watches", async ({
  context: grace,
  page,
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, grace, "staff", { name: "Grace" });
  const ada = await newPerson();
  const bearer = await office.letIn(opened, ada, "customer", { name: "Ada" });
  const id = await office.orderToShip(opened, bearer);

  const watching = await openTab(ada, `/orders/${id}`);
  await shop.isLive(watching);
  await expect(shop.status(watching)).toContainText("confirmed");
  await page.goto("/office");
  await shop.isLive(page);
  await shop.row(page, id).getByRole("button", { name: /^Ship/ }).click();
  await expect(shop.status(watching)).toContainText("shipped");
  // The list of orders to ship drops its row.
  await expect(shop.row(page, id)).toBeHidden();

  await page.getByRole("link", { name: "To deliver" }).click();
  await page.waitForURL((url) => url.searchParams.get("status") === "shipped");
  await shop.isLive(page);
  await shop
    .row(page, id)
    .getByRole("button", { name: /^Deliver/ })
    .click();
  await expect(shop.status(watching)).toContainText("delivered");
  await expect(shop.row(page, id)).toBeHidden();
  await expect(page.getByText("No orders here")).toBeVisible();
});

test("staff cancels an order with a reason that its customer reads", async ({
  context: grace,
  page,
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, grace, "staff", { name: "Grace" });
  const ada = await newPerson();
  const bearer = await office.letIn(opened, ada, "customer", { name: "Ada" });
  const id = await office.orderToShip(opened, bearer);

  const watching = await openTab(ada, `/orders/${id}`);
  await shop.isLive(watching);
  await page.goto("/office");
  await shop.isLive(page);
  await shop
    .row(page, id)
    .getByRole("button", { name: /^Cancel/ })
    .click();
  await page.keyboard.press("Escape");
  await expect(page.getByLabel("Reason")).toBeHidden();
  await shop
    .row(page, id)
    .getByRole("button", { name: /^Cancel/ })
    .click();
  await page.getByLabel("Reason").fill("the kiln broke");
  await page.getByRole("button", { name: "Cancel order" }).click();
  await expect(shop.status(watching)).toContainText("cancelled");
  await expect(watching.getByText("the kiln broke").first()).toBeVisible();
  await expect(shop.row(page, id)).toBeHidden();
});

test("a late cancellation is refused, and the reason stands beside the button", async ({
  context: grace,
  page,
  pageErrors,
  server,
}) => {
  const opened = await office.openShop(server);
  pageErrors.allow(/422/);
  const bearer = await office.letIn(opened, grace, "staff", { name: "Grace" });
  const id = await office.orderToShip(opened, bearer);
  await page.goto("/");
  // A tab without live updates: its WebSocket gets no answer.
  await page.routeWebSocket(/\/api\/v1\/live/, () => {});
  await page.goto("/office");
  await expect(shop.connection(page)).toHaveText(/^(live|connecting|reconnecting)$/);
  await office.done(opened, bearer, "ShipOrder", `order-${id}`, {});
  await shop
    .row(page, id)
    .getByRole("button", { name: /^Cancel/ })
    .click();
  await page.getByLabel("Reason").fill("changed our mind");
  await page.getByRole("button", { name: "Cancel order" }).click();
  await expect(
    shop
      .row(page, id)
      .getByRole("alert")
      .filter({ hasText: /shipped/ }),
  ).toBeVisible();
});

test("a customer who looks at a product sees its stock come in", async ({
  context: grace,
  page,
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, grace, "staff", { name: "Grace" });
  await office.done(opened, opened.token, "ListProduct", "product-cup-99", {
    sku: "cup-99",
    name: "Tea cup",
    description: "Holds tea.",
    price: { amount: 900, currency: "EUR" },
    tags: ["kitchen"],
  });
  await office.done(opened, opened.token, "ReceiveStock", "inventory-cup-99", { quantity: 2 });
  const ada = await newPerson();
  await office.letIn(opened, ada, "customer", { name: "Ada" });
  const watching = await openTab(ada, "/shop/cup-99");
  await shop.isLive(watching);
  await expect(watching.getByText("only 2 left")).toBeVisible();

  await page.goto("/office/stock?low=1");
  await shop.isLive(page);
  const row = office.productRow(page, "cup-99");
  await expect(row).toContainText("low");
  const field = row.getByLabel("Quantity received: Tea cup");
  for (const wrong of ["", "0", "-3", "1.5", "1000001"]) {
    await field.fill(wrong);
    await row.getByRole("button", { name: /^Receive/ }).click();
    await expect(row).toContainText("Enter a whole number from 1 to 1000000.");
  }
  await field.fill("40");
  await row.getByRole("button", { name: /^Receive/ }).click();
  await expect(watching.getByText("42 left")).toBeVisible();
  // The list of low stock drops the row.
  await expect(row).toBeHidden();
  await page.goto("/office/stock");
  await office.rowSays(office.productRow(page, "cup-99"), "On hand", "42");
  await office.rowSays(office.productRow(page, "cup-99"), "Reserved", "0");
});

test("a product is listed, gets another price, and is retired, and the catalogue shows it", async ({
  context: grace,
  page,
  newPerson,
  pageErrors,
  server,
}) => {
  const opened = await office.openShop(server);
  pageErrors.allow(/422/);
  await office.letIn(opened, grace, "staff", { name: "Grace" });
  const ada = await newPerson();
  await office.letIn(opened, ada, "customer", { name: "Ada" });
  const watching = await openTab(ada, "/shop");
  await shop.isLive(watching);

  await page.goto("/office/products");
  await shop.isLive(page);
  await page.getByText("New product").click();
  await page.getByLabel("SKU").fill("cup-99");
  await page.getByLabel("Description").fill("Holds tea.");
  await page.getByLabel("Price", { exact: true }).fill("9,50");
  await page.getByLabel("Tags", { exact: true }).fill("kitchen, new");
  await page.getByRole("button", { name: "List product" }).click();
  await expect(page.locator("#new-name-error")).toContainText(/1 to 120/);
  await page.getByLabel("Name", { exact: true }).fill("Tea cup");
  await page.getByRole("button", { name: "List product" }).click();
  await expect(page.getByText("Tea cup is now in the catalogue.")).toBeVisible();
  await expect(shop.product(watching, "Tea cup")).toContainText("9.50");

  const row = office.productRow(page, "cup-99");
  await row.getByRole("button", { name: /^Change price/ }).click();
  await row.getByLabel("Price: Tea cup").fill("free");
  await row.getByRole("button", { name: "Save price" }).click();
  await expect(row).toContainText("Enter a price above zero");
  await row.getByLabel("Price: Tea cup").fill("11");
  await row.getByRole("button", { name: "Save price" }).click();
  await expect(shop.product(watching, "Tea cup")).toContainText("11.00");

  await row
    .getByRole("button", { name: /^Retire/ })
    .first()
    .click();
  await expect(row).toContainText("This removes Tea cup from the catalogue.");
  await row.getByRole("button", { name: "Retire product" }).click();
  await expect(row).toBeHidden();
  await expect(shop.product(watching, "Tea cup")).toBeHidden();
});

test("a price that another person has changed meanwhile is not replaced in silence", async ({
  context: grace,
  page,
  pageErrors,
  server,
}) => {
  const opened = await office.openShop(server);
  pageErrors.allow(/422/);
  await office.letIn(opened, grace, "staff", { name: "Grace" });
  await page.goto("/office/products");
  await shop.isLive(page);
  const row = office.productRow(page, "mug-01");
  const field = row.getByLabel("Price: Enamel mug");
  await row.getByRole("button", { name: /^Change price/ }).click();
  await field.fill("11");
  const price = { amount: 1400, currency: "EUR" };
  await office.done(opened, opened.token, "ChangePrice", "product-mug-01", { price });

  await row.getByRole("button", { name: "Save price" }).click();
  await expect(row.getByRole("alert").first()).toContainText(/Educator.*12\.50.*14\.00/);
  await expect(field).toHaveValue("11");
  await office.rowSays(row, "Price", /14\.00/);
  await row.getByRole("button", { name: "Save price" }).click();
  await expect(field).toBeHidden();
  await office.rowSays(row, "Price", /11\.00/);
});

test("the open sales dashboard counts each sale, as a chart and as a table", async ({
  context: grace,
  page,
  server,
}) => {
  const opened = await office.openShop(server);
  const bearer = await office.letIn(opened, grace, "staff", { name: "Grace" });
  await page.goto("/office/sales");
  await shop.isLive(page);
  await expect(page.getByText("No sales yet")).toBeVisible();

  const sold = [await office.orderToShip(opened, bearer), await office.orderToShip(opened, bearer)];
  const top = page.locator('tr[data-sku="mug-01"]');
  await office.rowSays(top, "Units", "2");
  // Mostly on one day; on two where midnight has just come.
  const days = await office.daysOf(opened, "OrderConfirmed");
  await expect(page.locator(".chart__wide rect")).toHaveCount(days.size);
  await page.getByRole("button", { name: "Table" }).click();
  for (const [day, count] of days) {
    const row = page.getByRole("row").filter({ hasText: day });
    await office.rowSays(row, "Orders", String(count));
    await office.rowSays(row, "Units", String(count));
  }

  await office.done(opened, bearer, "CancelOrder", `order-${sold[0]}`, { reason: "broken" });
  await office.rowSays(top, "Units", "1");
  // An event changes the day and the product. The page reads the day long after it was told that it is up to
  // date.
  for (const [day] of await office.daysOf(opened, "OrderCancelled")) {
    const row = page.getByRole("row").filter({ hasText: day });
    await office.rowSays(row, "Cancelled", /\d/);
  }
  await page.getByRole("button", { name: "Chart" }).click();
  await expect(page.locator(".chart__wide svg")).toBeVisible();
});

test("the feed shows new events, and only those of the chosen kind", async ({
  context: grace,
  page,
  server,
}) => {
  const opened = await office.openShop(server);
  const bearer = await office.letIn(opened, grace, "educator", { name: "Grace" });
  await page.goto("/office/activity");
  await shop.isLive(page);
  await page.getByRole("button", { name: "Orders" }).click();
  const entries = page.locator(".feed__entry");
  const id = await office.orderToShip(opened, bearer);
  await expect(entries.filter({ hasText: "OrderCreated" }).first()).toBeVisible();
  expect(await entries.filter({ hasText: "ProductListed" }).count()).toBe(0);
  await entries.filter({ hasText: "OrderCreated" }).getByRole("link", { name: "View order" }).click();
  await expect(page).toHavePath(`/orders/${id}`);
});

test("customers are listed with the number of their orders, and lead to them", async ({
  context: grace,
  page,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, grace, "staff", { name: "Grace" });
  await page.goto("/office/customers");
  await shop.isLive(page);
  const ada = await office.token(opened, "customer", { name: "Ada" });
  const id = await office.orderToShip(opened, ada);
  const row = page.getByRole("row").filter({ hasText: "Ada" });
  await office.rowSays(row, "Orders", "1");
  await row.getByRole("link", { name: "1" }).click();
  await expect(page).toHavePath("/office/orders");
  await expect(shop.row(page, id)).toBeVisible();
  expect(await page.locator("tr[data-order]").count()).toBe(1);
});

test("the keyboard alone ships an order", async ({ context: grace, page, server }) => {
  const opened = await office.openShop(server);
  const bearer = await office.letIn(opened, grace, "staff", { name: "Grace" });
  const id = await office.orderToShip(opened, bearer);
  await page.goto("/shop");
  await shop.isLive(page);
  await tabTo(page, page.getByRole("link", { name: "Back office" }));
  await page.keyboard.press("Enter");
  await expect(page).toHavePath("/office");
  await shop.isLive(page);
  const cancel = shop.row(page, id).getByRole("button", { name: /^Cancel/ });
  await tabTo(page, cancel);
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Reason")).toBeFocused();
  await page.keyboard.type("not yet");
  await page.keyboard.press("Escape");
  await expect(cancel).toBeFocused();
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await expect(shop.row(page, id)).toBeHidden();
});

test("no page of the back office has an accessibility violation, or sticks out of a phone", async ({
  context: grace,
  page,
  server,
}) => {
  const opened = await office.openShop(server);
  const bearer = await office.letIn(opened, grace, "staff", { name: "Grace" });
  await office.orderToShip(opened, bearer);
  await page.goto("/office");
  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme });
    for (const path of PAGES) {
      await page.goto(path);
      await shop.isLive(page);
      await expect(mainHeading(page)).toBeVisible();
      for (const width of [1280, 360]) {
        await page.setViewportSize({ width, height: 800 });
        await fitsItsWidth(page);
        await checkAccessibility(page);
      }
    }
  }
});

test("a page of a workspace loads the bundle, and a page outside of one no WebAssembly", async ({
  context: grace,
  page,
  server,
}) => {
  const opened = await office.openShop(server);
  const loaded = [];
  page.on("response", (response) => {
    const { pathname } = new URL(response.url());
    if (pathname.endsWith(".wasm")) loaded.push(pathname);
  });
  await page.goto("/sign-in");
  await page.getByRole("button", { name: "Theme: automatic" }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.reload({ waitUntil: "networkidle" });
  await expect(page.getByRole("button", { name: "Theme: dark" })).toBeVisible();
  expect(loaded).toEqual([]);

  await office.letIn(opened, grace, "educator", { name: "Grace" });
  for (const path of ["/shop", "/orders", "/office"]) {
    loaded.length = 0;
    await page.goto(path);
    await shop.isLive(page);
    expect([...new Set(loaded)], path).toEqual([expect.stringMatching(/^\/pkg\/foldline\.[0-9a-f]+\.wasm$/)]);
  }
  await page.getByRole("button", { name: "Theme: dark" }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "light");
});
