// Event handlers and dead letters in the lab: lag and a pause, a crash and a rebuild, whether a handler has
// handled an event, poison, what waits behind it, retry and discard.
import { checkEveryLook } from "../support/axe.mjs";
import { tabTo } from "../support/keyboard.mjs";
import * as office from "../support/office.mjs";
import { openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

const DIALS = "/api/v1/lab/dials";
const POISON = { projections: { inventory: { poison_type: "StockReceived" } } };

/** The card of a handler, by its name. */
function handler(page, name) {
  return page.locator(`[data-handler="${name}"]`);
}

/** A button of a card, by what it does. */
function button(card, action) {
  return card.locator(`[data-action="${action}"]`);
}

/** Sets every dial through the API. */
async function setDials(opened, dials) {
  const answer = await opened.server.fetch(DIALS, {
    method: "PUT",
    headers: { "content-type": "application/json", "if-match": "*", authorization: `Bearer ${opened.token}` },
    body: JSON.stringify(dials),
  });
  expect(answer.ok, `the dials answered ${answer.status}: ${await answer.text()}`).toBe(true);
}

/** Receives stock, and gives the place of the event in the log, as in `0:3`. */
async function receive(opened, quantity) {
  const answer = await office.command(opened, opened.token, "ReceiveStock", "inventory-mug-01", { quantity });
  expect(answer.ok, `the stock answered ${answer.status}`).toBe(true);
  return (await answer.json()).token;
}

/** A shop with a person in a browser, at a page of the lab. */
async function open(server, person, path, role = "educator") {
  const opened = await office.openShop(server);
  await office.letIn(opened, person, role, { name: "Ada" });
  const page = await openTab(person, path);
  await shop.isLive(page);
  return { opened, page };
}

test("a paused view falls behind, says so, and has not handled an event until it goes on", async ({
  context: ada,
  server,
}) => {
  const { opened, page } = await open(server, ada, "/lab/projections");
  const stock = handler(page, "inventory");
  await expect(stock).toHaveAttribute("data-state", "up-to-date");
  await expect(handler(page, "fulfilment")).toHaveAttribute("data-state", "up-to-date");
  await expect(handler(page, "notification")).toHaveAttribute("data-state", "up-to-date");
  await checkEveryLook(page);

  await tabTo(page, button(stock, "pause"));
  await page.keyboard.press("Enter");
  await expect(stock).toHaveAttribute("data-state", "paused");
  await expect(stock.getByRole("link", { name: "inventory: paused" })).toHaveAttribute(
    "href",
    "/lab/dials#projections.inventory.paused",
  );
  const place = await receive(opened, 2);
  await expect(stock.locator('[data-fact="lag"]')).toHaveAttribute("data-behind", "1");
  await expect(handler(page, "orders").locator('[data-fact="lag"]')).toHaveAttribute("data-behind", "0");

  await page.getByLabel("Event", { exact: true }).fill(place);
  await page.getByRole("button", { name: "Ask" }).click();
  await shop.isLive(page);
  await expect(page.getByTestId("asked-event")).toContainText("StockReceived");
  const handled = (name) => handler(page, name).locator("[data-handling]");
  await expect(handled("inventory")).toHaveAttribute("data-handling", "behind");
  await expect(handled("inventory")).toContainText("it is paused");
  await expect(handled("orders")).toHaveAttribute("data-handling", "handled");
  await checkEveryLook(page);

  await button(stock, "pause").click();
  await expect(stock).toHaveAttribute("data-state", "up-to-date");
  await expect(handled("inventory")).toHaveAttribute("data-handling", "handled");
});

test("a paused process manager leaves an order placed, and the erasure of people cannot be paused", async ({
  context: ada,
  server,
}) => {
  const { opened, page } = await open(server, ada, "/lab/projections");
  const fulfilment = handler(page, "fulfilment");
  await tabTo(page, button(fulfilment, "pause"));
  await page.keyboard.press("Enter");
  await expect(fulfilment).toHaveAttribute("data-state", "paused");
  await expect(fulfilment.getByRole("link", { name: "fulfilment: paused" })).toHaveAttribute(
    "href",
    "/lab/dials#projections.fulfilment.paused",
  );
  await expect(button(fulfilment, "rebuild")).toHaveCount(0);
  const customer = await office.token(opened, "customer", { name: "Carol" });
  await office.command(opened, customer, "PlaceOrder", `order-${crypto.randomUUID()}`, {
    lines: [{ sku: "mug-01", quantity: 1 }],
    payment_method: "tok_ok",
  });
  await expect(fulfilment.locator('[data-fact="lag"]')).toHaveAttribute("data-behind", /^[1-9]/);

  const erasure = handler(page, "erasure");
  await expect(button(erasure, "pause")).toHaveCount(0);
  await expect(erasure).toContainText("no dial holds it back");
  await button(erasure, "crash").click();
  await expect(erasure.locator('[data-fact="crashes"]')).toContainText("1 crash since");
  await checkEveryLook(page);

  await button(fulfilment, "pause").click();
  await expect(fulfilment).toHaveAttribute("data-state", "up-to-date");
  await office.settled(opened);
});

test("an event that the log does not have is said, and so is a text that names none", async ({
  context: ada,
  server,
}) => {
  const { page } = await open(server, ada, "/lab/projections?event=0:99");
  await expect(page.getByText("The log of this workspace has no such event.")).toBeVisible();
  await page.goto("/lab/projections?event=order-1");
  await expect(page.getByText("This is neither the id of an event nor a place")).toBeVisible();
});

test("a crash is counted and loses nothing, and a rebuild shows how far it is", async ({
  context: ada,
  server,
}) => {
  const { opened, page } = await open(server, ada, "/lab/projections");
  const stock = handler(page, "inventory");
  await button(stock, "crash").click();
  await expect(stock).toContainText("crashes so far");
  await expect(stock.locator('[data-fact="crashes"]')).toContainText("1 crash since");
  const place = await receive(opened, 2);
  await expect(stock.locator('[data-fact="position"]')).toHaveText(`at ${place}`);

  await button(stock, "rebuild").click();
  await expect(stock).toContainText("The rebuild has begun.");
  // The log of a test is folded at once: what the page shows of a long one is given to it.
  const rebuild = {
    generation: 3,
    events_done: 1200,
    events_total: 5000,
    events_per_second: 950,
    remaining_ms: 3001,
  };
  await page.route("**/api/v1/lab/handlers", async (route) => {
    const response = await route.fetch();
    const json = await response.json();
    json.data.find(({ status }) => status.view === "inventory").status.rebuild = rebuild;
    await route.fulfill({ response, json });
  });
  await expect(stock).toHaveAttribute("data-state", "rebuilding");
  await expect(stock.getByRole("progressbar")).toHaveAttribute("value", "1200");
  await expect(stock.getByTestId("rebuild")).toContainText(
    "1200 of 5000 events · 950.0 events a second · 4 s left",
  );
  await expect(button(stock, "rebuild")).toContainText("Cancel the rebuild");
  await checkEveryLook(page);
  await page.unroute("**/api/v1/lab/handlers");
  await expect(stock).toHaveAttribute("data-state", "up-to-date");
});

test("poison is a dead letter that says why and what waits, and is retried once the dial is at rest", async ({
  context: ada,
  server,
}) => {
  const { opened, page } = await open(server, ada, "/lab/dead-letters");
  await expect(page.getByTestId("lab-letters")).toContainText("No dead letters");
  await setDials(opened, POISON);
  await receive(opened, 2);
  await receive(opened, 4);
  const letter = page.locator("[data-letter]");
  await expect(letter).toHaveCount(1);
  await expect(letter).toContainText("StockReceived");
  await expect(letter.locator('[data-fact="waiting"]')).toHaveText("1 event waits behind");
  await expect(letter.getByRole("link", { name: "inventory", exact: true })).toHaveAttribute(
    "href",
    "/lab/projections#handler-inventory",
  );
  await button(letter, "waiting").click();
  await expect(letter.getByTestId("waiting").getByRole("listitem")).toHaveCount(1);
  await expect(letter).toContainText("a retry fails until the dial is at rest");
  await checkEveryLook(page);
  await button(letter, "retry").click();
  await expect(page.getByTestId("letters-outcome")).toContainText("Its stream is still held back.");

  const handlers = await openTab(ada, "/lab/projections");
  await handler(handlers, "inventory").getByRole("link", { name: "1 dead letter" }).click();
  await expect(handlers).toHavePath("/lab/dead-letters");
  await handlers.close();

  await setDials(opened, {});
  await expect(letter).not.toContainText("a retry fails until the dial is at rest");
  await button(page, "retry-all").click();
  await expect(page.getByTestId("letters-outcome")).toContainText("2 events were applied.");
  await expect(letter).toHaveCount(0);
  await office.settled(opened);
});

test("a dead letter is discarded only after the page has said what that means", async ({
  context: ada,
  server,
}) => {
  const { opened, page } = await open(server, ada, "/lab/dead-letters?view=inventory");
  await setDials(opened, POISON);
  const place = await receive(opened, 2);
  const letter = page.locator("[data-letter]");
  await expect(letter).toHaveCount(1);
  await button(letter, "discard").click();
  await expect(letter).toContainText("Only a rebuild tries it again.");
  await checkEveryLook(page);
  await letter.getByRole("button", { name: "Keep it" }).click();
  await expect(letter).not.toContainText("Only a rebuild tries it again.");
  await button(letter, "discard").click();
  await button(letter, "discard-yes").click();
  await expect(page.getByTestId("letters-outcome")).toContainText("It is discarded");
  await expect(letter).toHaveCount(0);

  await page.goto(`/lab/projections?event=${place}`);
  const handled = handler(page, "inventory").locator("[data-handling]");
  await expect(handled).toHaveAttribute("data-handling", "discarded");
});

test("a student reads handlers and dead letters, and changes none", async ({ context: eve, server }) => {
  const { opened, page } = await open(server, eve, "/lab/projections", "student");
  await expect(handler(page, "inventory")).toHaveAttribute("data-state", "up-to-date");
  await expect(page.locator("[data-action]")).toHaveCount(0);
  await setDials(opened, POISON);
  await receive(opened, 2);
  await expect(handler(page, "inventory")).toContainText("1 dead letter");
  await page.goto("/lab/dead-letters");
  await shop.isLive(page);
  await expect(page.locator("[data-letter]")).toHaveCount(1);
  await expect(page.getByText("Only an educator retries or discards.")).toBeVisible();
  await expect(page.locator('[data-action="retry"], [data-action="discard"]')).toHaveCount(0);
});

test("without JavaScript both pages say what was there when they were loaded", async ({
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  const ada = await newPerson({ javaScriptEnabled: false });
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  const page = await openTab(ada, "/lab/projections");
  await expect(page.locator("noscript .notice")).toContainText("The figures move with JavaScript");
  await expect(handler(page, "inventory")).toContainText("up to date");
  await expect(button(handler(page, "inventory"), "pause")).toBeHidden();
  await page.getByLabel("Event", { exact: true }).fill("0:1");
  await page.getByRole("button", { name: "Ask" }).click();
  await expect(handler(page, "inventory").locator("[data-handling]")).toContainText("Has handled it.");
  await page.goto("/lab/dead-letters");
  await expect(page.getByTestId("lab-letters")).toContainText("No dead letters");
});
