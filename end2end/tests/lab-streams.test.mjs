// Streams and events in the lab: what people did first, filters that are links, a live tail that can be frozen, the
// time line of a stream, and the causes and effects of an event.
import { checkEveryLook } from "../support/axe.mjs";
import { tabTo } from "../support/keyboard.mjs";
import * as office from "../support/office.mjs";
import { fitsItsWidth, mainHeading, openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

/** The rows of the tail; of one type, if it is given. */
function rows(page, type) {
  const rows = page.getByTestId("lab-tail").locator("tr[data-event]");
  return type ? rows.filter({ hasText: type }) : rows;
}

/** What the page says of the tail. */
function tailState(page) {
  return page.getByTestId("tail-state");
}

/** A document or a state in the time line, by the panel and the name of its view or category. */
function document(page, panel, name) {
  return page.getByTestId(panel).locator(`details[data-view="${name}"]`);
}

/** The newest event of a type, as the API has it. */
async function newest(opened, type) {
  const answer = await opened.server.fetch(`/api/v1/events?order=desc&type=${type}&limit=1`, {
    headers: { authorization: `Bearer ${opened.token}` },
  });
  return (await answer.json()).data[0];
}

/** Pauses or resumes a view as the educator. */
async function control(opened, name, what) {
  const answer = await opened.server.fetch(`/api/v1/lab/projections/${name}/${what}`, {
    method: "POST",
    headers: { authorization: `Bearer ${opened.token}` },
  });
  expect(answer.ok, `${what} answered ${answer.status}`).toBe(true);
}

/** A shop with an order of a customer, and an educator in a browser. */
async function shopWithOrder(server, person) {
  const opened = await office.openShop(server);
  const customer = await office.token(opened, "customer", { name: "Carol" });
  const order = await office.orderToShip(opened, customer);
  await office.letIn(opened, person, "educator", { name: "Ada" });
  return { opened, order, customer };
}

test("the log opens with orders and what people did, and every filter is a link", async ({
  context: ada,
  newPerson,
  server,
}) => {
  const { opened, order } = await shopWithOrder(server, ada);
  const page = await openTab(ada, "/lab/streams");
  await shop.isLive(page);
  const orders = page.getByTestId("newest-orders");
  await expect(orders.getByRole("link", { name: "Carol" })).toHaveAttribute("href", `/lab/streams/order-${order}`);
  await expect(orders.getByText("Enamel mug")).toBeVisible();
  await expect(rows(page, "Order placed")).toHaveCount(1);
  await expect(rows(page, "Order confirmed")).toHaveCount(0);
  // Times are to the millisecond.
  await expect(rows(page).first().locator("time")).toHaveText(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC$/);
  await checkEveryLook(page);

  const selections = page.getByRole("navigation", { name: "Selections" });
  await selections.getByRole("link", { name: "Orders" }).click();
  await shop.isLive(page);
  await expect(rows(page, "Order confirmed")).toHaveCount(1);
  const filter = page.getByTestId("log-filter");
  await filter.getByLabel("Type", { exact: true }).selectOption("OrderConfirmed");
  await filter.getByRole("button", { name: "Filter" }).click();
  await expect(page).toHaveURL(/[?&]type=OrderConfirmed/);
  await expect(page).toHaveURL(/[?&]category=order/);
  await shop.isLive(page);
  await expect(rows(page)).toHaveCount(1);
  await expect(filter.getByLabel("Type", { exact: true })).toHaveValue("OrderConfirmed");
  // Another person who opens the same address sees the same events.
  const eve = await newPerson();
  await office.letIn(opened, eve, "student", { name: "Eve" });
  const same = await openTab(eve, new URL(page.url()).pathname + new URL(page.url()).search);
  await shop.isLive(same);
  await expect(rows(same)).toHaveCount(1);
  await expect(rows(same, "OrderConfirmed")).toHaveCount(1);

  // By correlation: everything that came of the order.
  const { metadata } = await newest(opened, "OrderCreated");
  await page.goto(`/lab/streams?correlation=${metadata.correlation_id}`);
  await shop.isLive(page);
  for (const type of ["OrderCreated", "StockReserved", "PaymentProcessed", "OrderConfirmed"])
    await expect(rows(page, type)).toHaveCount(1);
  // What cannot be a filter is named.
  await page.goto("/lab/streams?correlation=7");
  await expect(page.getByRole("alert").filter({ hasText: "correlation" })).toBeVisible();
});

test("a frozen tail stands still, counts what comes, and loses none of it", async ({ context: ada, server }) => {
  const { opened, customer } = await shopWithOrder(server, ada);
  const page = await openTab(ada, "/lab/streams");
  await shop.isLive(page);
  await expect(rows(page, "Order placed")).toHaveCount(1);
  await expect(tailState(page)).toContainText("Live");
  await office.orderToShip(opened, customer);
  await expect(rows(page, "Order placed")).toHaveCount(2);

  await tabTo(page, page.getByTestId("tail-freeze"));
  await page.keyboard.press("Enter");
  await expect(tailState(page)).toHaveText("Frozen. 0 new events wait.");
  await office.orderToShip(opened, customer);
  await expect(tailState(page)).toHaveText("Frozen. 1 new event waits.");
  await office.orderToShip(opened, customer);
  await expect(tailState(page)).toHaveText("Frozen. 2 new events wait.");
  await expect(rows(page, "Order placed")).toHaveCount(2);
  await checkEveryLook(page);
  const third = await newest(opened, "OrderCreated");

  await page.getByTestId("tail-freeze").click();
  await expect(tailState(page)).toContainText("Live");
  await expect(rows(page, "Order placed")).toHaveCount(4);
  await expect(rows(page).first()).toHaveAttribute("data-event", third.event_id);
  await office.orderToShip(opened, customer);
  await expect(rows(page, "Order placed")).toHaveCount(5);
});

test("the time line of a stream has the state and every view at any version, with the difference", async ({
  context: ada,
  server,
}) => {
  const { opened, order } = await shopWithOrder(server, ada);
  const page = await openTab(ada, `/lab/streams/order-${order}`);
  await shop.isLive(page);
  const line = page.getByTestId("time-line");
  await expect(line).toHaveAttribute("data-version", "2");
  const state = document(page, "stream-state", "order");
  await expect(state.locator("tr").filter({ hasText: "status" })).toContainText('"created""confirmed"');

  await page.getByRole("button", { name: "Fold the views" }).click();
  const orders = document(page, "stream-views", "orders");
  await expect(orders.locator("tr").filter({ hasText: "version" })).toContainText("12");
  await expect(document(page, "stream-views", "sales").first()).toBeVisible();

  const slider = line.getByRole("slider");
  await tabTo(page, slider);
  await page.keyboard.press("ArrowLeft");
  await expect(line).toHaveAttribute("data-version", "1");
  await expect(page.getByTestId("version-place")).toHaveText("Version 1 of 2");
  await expect(state.locator("pre")).toContainText('"status": "created"');
  await expect(orders).toBeVisible();
  await expect(document(page, "stream-views", "sales")).toHaveCount(0);
  // The name of the customer is sealed, and the page says whose it is and why.
  await expect(line.getByTestId("sealed").first()).toContainText("customer.name");
  await expect(line.getByTestId("sealed").first()).toContainText("personal data");
  await expect(line).not.toContainText("sealed:");
  await checkEveryLook(page);

  // A version is a link, and it is there without a script too.
  const href = await page.getByTestId("version-link").getAttribute("href");
  expect(href).toBe(`/lab/streams/order-${order}?version=1`);
  await page.goto(href);
  await expect(line).toHaveAttribute("data-version", "1");

  // The stream grows while the page is open.
  await shop.isLive(page);
  await office.done(opened, opened.token, "ShipOrder", `order-${order}`, {});
  await expect(page.getByTestId("version-place")).toHaveText("Version 1 of 3");
  for (const step of [2, 3]) {
    await page.getByRole("button", { name: "Step", exact: true }).click();
    await expect(line).toHaveAttribute("data-version", String(step));
  }
  await expect(state.locator("tr").filter({ hasText: "status" })).toContainText('"confirmed""shipped"');
  await page.setViewportSize({ width: 360, height: 740 });
  await fitsItsWidth(page);
});

test("an event shows its causes and effects as a tree, and which view has handled it", async ({
  context: ada,
  server,
}) => {
  const { opened, customer } = await shopWithOrder(server, ada);
  await control(opened, "orders", "pause");
  const answer = await office.command(opened, customer, "PlaceOrder", `order-${crypto.randomUUID()}`, {
    lines: [{ sku: "mug-01", quantity: 1 }],
    payment_method: "tok_ok",
  });
  const { events } = await answer.json();
  const page = await openTab(ada, `/lab/events/${events[0].event_id}`);
  await shop.isLive(page);
  await expect(mainHeading(page)).toHaveText("OrderCreated");
  const handler = (name) => page.getByTestId("handling").locator(`tr[data-handler="${name}"]`);
  await expect(handler("inventory")).toHaveAttribute("data-handling", "handled");
  await expect(handler("orders")).toHaveAttribute("data-handling", "behind");
  await expect(handler("orders")).toContainText("Has not come to it yet.");
  await checkEveryLook(page);
  await control(opened, "orders", "resume");
  await expect(handler("orders")).toHaveAttribute("data-handling", "handled");

  await office.settled(opened);
  await page.reload();
  const tree = page.getByTestId("event-tree");
  const node = (type) => tree.locator("li").filter({ hasText: type }).last();
  await expect(node("OrderConfirmed")).toBeVisible();
  await expect(node("OrderConfirmed")).toContainText(/\d+ ms after its cause/);
  await node("OrderConfirmed").getByRole("link", { name: /OrderConfirmed/ }).click();
  await shop.isLive(page);
  await expect(mainHeading(page)).toHaveText("OrderConfirmed");
  // Its cause is above it, and leads back.
  await tree.getByRole("link", { name: /OrderCreated/ }).click();
  await expect(page).toHavePath(`/lab/events/${events[0].event_id}`);
});

test("the addresses of before lead to the lab, which refuses a customer", async ({
  context: ada,
  page,
  pageErrors,
  server,
}) => {
  pageErrors.allow(/403/);
  const { opened, order } = await shopWithOrder(server, ada);
  await page.goto(`/streams/order-${order}?from=1`);
  await expect(page).toHavePath(`/lab/streams/order-${order}`);
  await page.goto("/streams?prefix=order-");
  await expect(page).toHavePath("/lab/streams");
  await expect(page.getByRole("link", { name: `order-${order}` })).toBeVisible();
  await office.letIn(opened, ada, "customer", { name: "Carol" });
  for (const path of ["/lab/streams", `/lab/streams/order-${order}`, `/lab/events/${order}`]) {
    await page.goto(path);
    await expect(mainHeading(page)).toHaveText("No access to the lab");
  }
});
