// Views of one's own in the lab: the form, over events that were there before; documents that change while people
// order; what is refused, and by whom a view is deleted.
import { checkEveryLook } from "../support/axe.mjs";
import { tabTo } from "../support/keyboard.mjs";
import * as office from "../support/office.mjs";
import { openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

const VIEWS = "/api/v1/lab/views";
const ORDERS = {
  name: "orders_placed",
  on: ["OrderCreated"],
  key: "type",
  fold: [{ field: "orders", op: "count" }],
};

/** The card of a view, by its name. */
function view(page, name) {
  return page.locator(`[data-own-view="${name}"]`);
}

/** A cell of a document of a view. */
function cell(page, name, key, member) {
  return view(page, name).locator(`tr[data-key="${key}"] td[data-label="${member}"]`);
}

/** A button of a card, by what it does. */
function button(card, action) {
  return card.locator(`[data-action="${action}"]`);
}

/** The form. */
function form(page) {
  return page.getByTestId("own-form");
}

/** The button that sends the form. */
function create(page) {
  return form(page).getByRole("button", { name: "Create the view" });
}

/** Chooses an event type. */
function eventType(page, name) {
  return form(page).getByRole("checkbox", { name, exact: true });
}

/** Defines a view through the API. */
async function define(opened, bearer, definition) {
  const answer = await opened.server.fetch(VIEWS, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${bearer}` },
    body: JSON.stringify(definition),
  });
  expect(answer.ok, `the view answered ${answer.status}: ${await answer.text()}`).toBe(true);
}

/** A shop with a person in a browser, at the page of the views. */
async function open(server, person, role = "educator", name = "Ada") {
  const opened = await office.openShop(server);
  const own = await office.letIn(opened, person, role, { name });
  const page = await openTab(person, "/lab/views");
  await shop.isLive(page);
  return { opened, own, page };
}

test("a view folds the events that were there, and its count goes up with an order in another tab", async ({
  context: ada,
  server,
}) => {
  const { opened, own, page } = await open(server, ada);
  await office.orderToShip(opened, own);
  await expect(page.getByText("No view has been defined yet")).toBeVisible();
  await checkEveryLook(page);

  await page.getByLabel("Name", { exact: true }).fill("spending");
  await eventType(page, "OrderCreated").check();
  await page.locator("#own-key").selectOption("type");
  await page.locator("#own-fold-0-name").fill("orders");
  await form(page).getByRole("button", { name: "Add a fold" }).click();
  await expect(page.locator("#own-fold-1-name")).toBeFocused();
  await page.keyboard.type("spent");
  await page.locator("#own-fold-1-op").selectOption("sum");
  await page.locator("#own-fold-1-of").selectOption("data.total.amount");
  await checkEveryLook(page);
  await create(page).click();

  await expect(page.getByTestId("views-outcome")).toContainText("spending is there.");
  await expect(view(page, "spending")).toHaveAttribute("data-state", "up-to-date");
  await expect(cell(page, "spending", "OrderCreated", "orders")).toHaveText("1");
  await expect(cell(page, "spending", "OrderCreated", "spent")).toHaveText("1250");
  await expect(page.getByLabel("Name", { exact: true })).toHaveValue("");
  await checkEveryLook(page);

  const other = await openTab(ada, "/shop");
  await shop.order(other);
  await expect(cell(page, "spending", "OrderCreated", "orders")).toHaveText("2");
  await expect(cell(page, "spending", "OrderCreated", "spent")).toHaveText("2500");
  await other.close();

  await button(view(page, "spending"), "rebuild").click();
  await expect(page.getByTestId("views-outcome")).toContainText("The rebuild has begun.");
  await expect(view(page, "spending")).toHaveAttribute("data-state", "up-to-date");
  await expect(cell(page, "spending", "OrderCreated", "orders")).toHaveText("2");

  await view(page, "spending").getByRole("link", { name: "Its place among the event handlers" }).click();
  await expect(page).toHavePath("/lab/projections");
  await expect(page.locator('[data-handler="spending"]')).toHaveAttribute("data-state", "up-to-date");
});

test("the keyboard alone defines a view, and deletes it once the page has asked", async ({
  context: ada,
  server,
}) => {
  const { page } = await open(server, ada);
  await tabTo(page, page.getByLabel("Name", { exact: true }));
  await page.keyboard.type("received");
  await tabTo(page, eventType(page, "StockReceived"));
  await page.keyboard.press("Space");
  await tabTo(page, page.locator("#own-key"));
  await page.keyboard.type("stream");
  await expect(page.locator("#own-key")).toHaveValue("stream");
  await tabTo(page, page.locator("#own-fold-0-name"));
  await page.keyboard.type("times");
  await tabTo(page, create(page));
  await page.keyboard.press("Enter");
  await expect(page.getByTestId("views-outcome")).toBeFocused();
  await expect(cell(page, "received", "inventory-mug-01", "times")).toHaveText("1");

  const card = view(page, "received");
  await tabTo(page, button(card, "delete"));
  await page.keyboard.press("Enter");
  await expect(card).toContainText("Delete the view received?");
  await checkEveryLook(page);
  await tabTo(page, button(card, "delete-no"));
  await page.keyboard.press("Enter");
  await expect(button(card, "delete")).toBeFocused();
  await page.keyboard.press("Enter");
  await tabTo(page, button(card, "delete-yes"));
  await page.keyboard.press("Enter");
  await expect(page.getByTestId("views-outcome")).toContainText("received is deleted.");
  await expect(card).toHaveCount(0);
});

test("what is wrong is said at its entry and in a summary, and nothing that was entered is lost", async ({
  context: ada,
  pageErrors,
  server,
}) => {
  pageErrors.allow(/400|409|422/);
  const { page } = await open(server, ada);
  const refusal = page.getByTestId("own-form-refusal");
  await create(page).click();
  await expect(refusal).toBeFocused();
  await expect(refusal.getByRole("link")).toHaveCount(4);
  await refusal.getByRole("link", { name: "Choose 1 to 20 event types." }).click();
  await expect(page.locator("#own-types")).toBeFocused();
  await expect(page.locator("#own-name")).toHaveAttribute("aria-invalid", "true");
  await checkEveryLook(page);

  // A consumer has this name, which only the server knows.
  await page.getByLabel("Name", { exact: true }).fill("search");
  await eventType(page, "OrderCreated").check();
  await eventType(page, "OrderCancelled").check();
  await page.locator("#own-key").selectOption("stream");
  await page.locator("#own-fold-0-name").fill("orders");
  await create(page).click();
  await expect(refusal.getByRole("link")).toHaveCount(1);
  await expect(page.locator("#own-name-error")).toContainText("no other view, process manager or consumer");
  await expect(eventType(page, "OrderCancelled")).toBeChecked();
  await expect(page.locator("#own-key")).toHaveValue("stream");
  await expect(page.locator("#own-fold-0-name")).toHaveValue("orders");

  await page.getByLabel("Name", { exact: true }).fill("found");
  await create(page).click();
  await expect(view(page, "found")).toHaveAttribute("data-state", "up-to-date");
  await expect(refusal).toHaveCount(0);

  // The same name again is known here.
  await page.getByLabel("Name", { exact: true }).fill("found");
  await create(page).click();
  await expect(page.locator("#own-name")).toHaveAttribute("aria-invalid", "true");
});

test("a student defines a view, sees those of others come, and deletes only their own", async ({
  context: eve,
  server,
}) => {
  const { opened, own, page } = await open(server, eve, "student", "Eve");
  await define(opened, opened.token, ORDERS);
  await expect(view(page, "orders_placed")).toBeVisible();
  await expect(view(page, "orders_placed")).toContainText("No event has been folded into a document yet.");
  await define(opened, own, { ...ORDERS, name: "mine" });
  await expect(view(page, "mine")).toContainText("Eve");
  await expect(button(view(page, "mine"), "delete")).toBeVisible();
  await expect(button(view(page, "orders_placed"), "delete")).toHaveCount(0);
  await expect(page.locator('[data-action="rebuild"]')).toHaveCount(0);

  await office.orderToShip(opened, own);
  for (const name of ["orders_placed", "mine"]) {
    await expect(cell(page, name, "OrderCreated", "orders")).toHaveText("1");
  }
});

test("without duplicate detection an event that is delivered twice counts twice", async ({
  context: ada,
  server,
}) => {
  const { opened, own, page } = await open(server, ada);
  await define(opened, own, ORDERS);
  await define(opened, own, { ...ORDERS, name: "twice", detect_duplicates: false });
  await expect(view(page, "twice").locator('[data-fact="duplicates"]')).toContainText("counts twice");
  const dials = await server.fetch("/api/v1/lab/dials", {
    method: "PUT",
    headers: { "content-type": "application/json", "if-match": "*", authorization: `Bearer ${own}` },
    body: JSON.stringify({ broker: { duplicate_every: 1 } }),
  });
  expect(dials.ok, `the dials answered ${dials.status}`).toBe(true);
  await office.orderToShip(opened, own);
  await expect(cell(page, "twice", "OrderCreated", "orders")).toHaveText("2");
  await expect(cell(page, "orders_placed", "OrderCreated", "orders")).toHaveText("1");
});

test("without JavaScript the page has the views and documents of the moment it was loaded", async ({
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  await define(opened, opened.token, ORDERS);
  const ada = await newPerson({ javaScriptEnabled: false });
  const own = await office.letIn(opened, ada, "educator", { name: "Ada" });
  await office.orderToShip(opened, own);
  const page = await openTab(ada, "/lab/views");
  await expect(page.locator("noscript .notice")).toContainText("Views are defined with JavaScript");
  await expect(cell(page, "orders_placed", "OrderCreated", "orders")).toHaveText("1");
  await expect(form(page)).toBeHidden();
  await expect(button(view(page, "orders_placed"), "delete")).toBeHidden();
});
