// The dials and lights: an educator bends the pipeline, everybody in the workspace sees it, a light turns red and is
// cured, and two educators do not undo each other. Dials at rest are folded up.
import { checkEveryLook } from "../support/axe.mjs";
import { tabTo } from "../support/keyboard.mjs";
import * as office from "../support/office.mjs";
import { openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

const DIALS = "/api/v1/lab/dials";

/** The row of a dial, by its path. */
function dial(page, path) {
  return page.locator(`li.dial[id="${path}"]`);
}

/** What unfolds and folds up the dials of a box. */
function fold(page, box) {
  return page.locator(`section[id="${box}"] > details > summary`);
}

/** The dials of a box, which may be folded up. */
function dialsOfBox(page, box) {
  return page.locator(`section[id="${box}"] > details`);
}

/** The lamp of an invariant. */
function light(page, name) {
  return page.locator(`[data-light="${name}"]`);
}

/** The banner that says what is bent. */
function banner(page) {
  return page.getByTestId("dials-banner");
}

/** Sets every dial through the API, and gives the answer. */
async function setDials(opened, dials, token = opened.token) {
  const answer = await opened.server.fetch(DIALS, {
    method: "PUT",
    headers: { "content-type": "application/json", "if-match": "*", authorization: `Bearer ${token}` },
    body: JSON.stringify(dials),
  });
  expect(answer.ok, `the dials answered ${answer.status}: ${await answer.clone().text()}`).toBe(true);
  return answer.json();
}

/** The dials as the API has them. */
async function dialsOf(opened) {
  const answer = await opened.server.fetch(DIALS, { headers: { authorization: `Bearer ${opened.token}` } });
  return answer.json();
}

/** A shop with an educator in a browser, at the page of the dials. */
async function openDials(server, person, role = "educator", name = "Ada") {
  const opened = await office.openShop(server);
  await office.letIn(opened, person, role, { name });
  const page = await openTab(person, "/lab/dials");
  await shop.isLive(page);
  return { opened, page };
}

test("everybody sees what an educator bends, and by whom, and a reset can be undone", async ({
  context: ada,
  newPerson,
  server,
}) => {
  const { opened, page } = await openDials(server, ada);
  const customer = await newPerson();
  await office.letIn(opened, customer, "customer", { name: "Carol" });
  const catalogue = await openTab(customer, "/shop");
  await shop.isLive(catalogue);
  await expect(banner(catalogue)).toBeEmpty();

  await fold(page, "broker").click();
  const delay = dial(page, "broker.delay_ms").getByRole("spinbutton");
  await delay.fill("2000");
  await delay.press("Enter");
  await expect(banner(page)).toContainText("Bent by Ada: broker delay 2 s");
  await expect(banner(catalogue)).toContainText("Bent by Ada: broker delay 2 s");
  await expect(banner(catalogue).getByRole("link")).toHaveCount(0);
  await expect(dial(page, "broker.delay_ms")).toHaveAttribute("data-bent", "true");
  await expect(page.locator("#box-message_broker")).toHaveAttribute("data-bent", "");
  expect((await dialsOf(opened)).broker.delay_ms).toBe(2000);
  await checkEveryLook(page);

  await fold(page, "cache").click();
  await dial(page, "cache.off").getByRole("switch").click();
  await expect(banner(catalogue)).toContainText("broker delay 2 s, cache off");
  // A page that is loaded meanwhile says it without waiting for the connection.
  await catalogue.goto("/orders");
  await expect(banner(catalogue)).toContainText("Bent by Ada: broker delay 2 s, cache off");

  await page.getByRole("button", { name: "Reset everything" }).click();
  await expect(page.getByTestId("dials-state")).toHaveText("Nothing is bent.");
  await expect(banner(catalogue)).toBeEmpty();
  expect((await dialsOf(opened)).broker.delay_ms).toBe(0);

  await page.getByRole("button", { name: "Undo the reset" }).click();
  await expect(banner(catalogue)).toContainText("broker delay 2 s, cache off");
  await dial(page, "cache.off").getByRole("button", { name: "Reset" }).click();
  await expect(banner(catalogue)).not.toContainText("cache off");
  await expect(banner(catalogue)).toContainText("broker delay 2 s");
});

test("the keyboard sets a switch, a number, a frequency and a choice", async ({ context: ada, server }) => {
  const { opened, page } = await openDials(server, ada);
  await tabTo(page, fold(page, "broker"));
  await page.keyboard.press("Enter");
  const paused = dial(page, "broker.paused").getByRole("switch");
  await tabTo(page, paused);
  await page.keyboard.press("Space");
  await expect(paused).toHaveAttribute("aria-checked", "true");
  const next = dial(page, "broker.duplicate").getByLabel("the next so many");
  await tabTo(page, next);
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type("3");
  await page.keyboard.press("Tab");
  await expect(banner(page)).toContainText("duplicate deliveries (next 3)");
  await fold(page, "payment").click();
  await dial(page, "payment.mode").getByRole("combobox").selectOption("silent");
  await expect(banner(page)).toContainText("payment provider silent");
  const dials = await dialsOf(opened);
  expect(dials.broker.paused).toBe(true);
  expect(dials.broker.duplicate_next).toBe(3);
  expect(dials.payment.mode).toBe("silent");

  // What cannot be a number is not sent, and the page says what can.
  await page.reload();
  await shop.isLive(page);
  const delay = dial(page, "broker.delay_ms").getByRole("spinbutton");
  await delay.fill("99999");
  await delay.press("Enter");
  await expect(page.getByTestId("dials-refusal")).toContainText("from 0 to 60000");
  expect((await dialsOf(opened)).broker.delay_ms).toBe(0);
});

test("without duplicate detection a duplicate turns a light red, and the cure turns it green", async ({
  context: ada,
  server,
}) => {
  const { opened, page } = await openDials(server, ada);
  const equals = light(page, "view-equals-fold");
  await expect(equals).toHaveAttribute("data-holds", "true");
  const map = await openTab(ada, "/lab");
  const lamp = map.getByTestId("lamps").locator('[data-light="view-equals-fold"]');
  await expect(lamp).toHaveAttribute("data-holds", "true");
  await expect(lamp).toHaveAccessibleName("Each view equals its fold holds");

  await fold(page, "guarantees").click();
  await fold(page, "broker").click();
  const detection = dial(page, "guarantees.duplicate_detection");
  await detection.getByRole("button", { name: "Take away Duplicate detection" }).click();
  await expect(detection).toContainText("a rebuild makes the views right");
  await checkEveryLook(page);
  await detection.getByRole("button", { name: "Keep it" }).click();
  expect((await dialsOf(opened)).guarantees.duplicate_detection).toBe(true);
  await detection.getByRole("button", { name: "Take away Duplicate detection" }).click();
  await detection.getByRole("button", { name: "Take it away" }).click();
  await expect(banner(page)).toContainText("no duplicate detection");
  const every = dial(page, "broker.duplicate").getByLabel("1 of so many");
  await every.fill("1");
  await every.press("Enter");
  await expect(banner(page)).toContainText("duplicate deliveries (1 of every 1)");

  const customer = await office.token(opened, "customer", { name: "Carol" });
  await office.orderToShip(opened, customer);
  await expect(equals).toHaveAttribute("data-holds", "false");
  // The lamp of the map is read again now and then.
  await expect(lamp).toHaveAttribute("data-holds", "false", { timeout: 20_000 });
  await expect(lamp).toHaveAccessibleName("Each view equals its fold broken");
  await expect(lamp).toHaveAttribute("href", "/lab/dials#lights");
  const broken = page.locator('[data-broken="view-equals-fold"]');
  const witness = broken.locator('.lights__events a[href^="/lab/events/"]').first();
  await expect(witness).toHaveAttribute("href", /^\/lab\/events\/[0-9a-f-]{36}$/);
  await expect(broken.locator('dl a[href^="/lab/streams/"]')).toHaveCount(1);
  await expect(broken.getByRole("listitem").first()).toBeVisible();
  const draw = broken.getByRole("button", { name: "Draw it on the arrows" });
  await draw.click();
  await expect(page.locator("#lab-drawing .light-step").first()).toBeVisible();
  await checkEveryLook(page);

  await broken.getByRole("button", { name: /^Cure/ }).click();
  await expect(equals).toHaveAttribute("data-holds", "true");
  await expect(broken).toHaveCount(0);
  await expect(page.locator("#lab-drawing .light-step")).toHaveCount(0);
  expect((await dialsOf(opened)).guarantees.duplicate_detection).toBe(true);
});

test("a change upon old dials is not made, and says what another educator has changed", async ({
  context: ada,
  pageErrors,
  server,
}) => {
  pageErrors.allow(/412/);
  const { opened, page } = await openDials(server, ada);
  const grace = await office.token(opened, "educator", { name: "Grace" });
  // Grace is faster: her change comes between the click and the request.
  const faster = async (route) => {
    await setDials(opened, { mail: { away: true } }, grace);
    await route.continue();
  };
  await page.route(`**${DIALS}`, faster, { times: 1 });
  await fold(page, "cache").click();
  await expect(dialsOfBox(page, "mail")).not.toHaveAttribute("open");
  await dial(page, "cache.off").getByRole("switch").click();
  await expect(page.getByTestId("dials-refusal")).toContainText("Grace: mail server away");
  // What another person bends unfolds.
  await expect(dial(page, "mail.away").getByRole("switch")).toHaveAttribute("aria-checked", "true");
  await expect(dial(page, "cache.off").getByRole("switch")).toHaveAttribute("aria-checked", "false");
  await dial(page, "cache.off").getByRole("switch").click();
  await expect(banner(page)).toContainText("Bent by Ada: cache off");
  await expect(banner(page)).toContainText("Bent by Grace: mail server away");
  await expect(page.getByTestId("dials-refusal")).toBeEmpty();
});

test("a student reads the dials, and a paused view says so in the list of orders", async ({
  context: eve,
  newPerson,
  server,
}) => {
  const { opened, page } = await openDials(server, eve, "student", "Eve");
  await expect(page.getByText("Only an educator sets the dials.")).toBeVisible();
  await expect(page.getByTestId("lab-dials").getByRole("switch")).toHaveCount(0);
  await expect(page.getByTestId("lab-dials").getByRole("button")).toHaveCount(0);

  const customer = await newPerson();
  const bearer = await office.letIn(opened, customer, "customer", { name: "Carol" });
  const orders = await openTab(customer, "/orders");
  await shop.isLive(orders);
  await setDials(opened, { projections: { orders: { paused: true } } });
  await expect(dial(page, "projections.orders.paused")).toContainText("on");
  await expect(banner(orders)).toContainText("orders: paused");
  await office.command(opened, bearer, "PlaceOrder", `order-${crypto.randomUUID()}`, {
    lines: [{ sku: "mug-01", quantity: 1 }],
    payment_method: "tok_ok",
  });
  await expect(orders.locator(".freshness__paused")).toHaveText("paused");

  await setDials(opened, {});
  await expect(orders.locator("tr[data-order]")).toHaveCount(1);
  await expect(orders.locator(".freshness__paused")).toHaveCount(0);
});

test("a poison event is put aside, a crash loses nothing, and the map leads to the dials of a box", async ({
  context: ada,
  server,
}) => {
  const { opened, page } = await openDials(server, ada);
  await fold(page, "projections").click();
  await page.locator('details[id="projections.orders"] summary').click();
  const poison = dial(page, "projections.orders.poison_type").getByRole("combobox");
  await poison.selectOption("OrderConfirmed");
  await expect(banner(page)).toContainText("orders: poison event OrderConfirmed");
  await page.locator('[data-crash="orders"]').click();
  await expect(page.locator('details[id="projections.orders"]')).toContainText("crashes so far");

  const map = await openTab(ada, "/lab");
  await expect(map.getByTestId("lab-status")).toHaveAttribute("data-state", "live");
  await expect(banner(map)).toContainText("Bent by Ada");
  await map.locator("#box-projection_worker").press("Enter");
  await map.getByTestId("lab-to-dials").click();
  await expect(map).toHavePath("/lab/dials");
  expect(new URL(map.url()).hash).toBe("#projections");

  await shop.isLive(map);
  await expect(dialsOfBox(map, "cache")).not.toHaveAttribute("open");
  await map.locator("#box-cache").press("Enter");
  await expect(map.locator("section#cache")).toBeFocused();
  await expect(dial(map, "cache.off")).toBeVisible();
});

test("the dials stand beside the drawing, fold up at rest, and a list of links leads to each box", async ({
  context: ada,
  server,
}) => {
  const { opened, page } = await openDials(server, ada);
  await setDials(opened, { cache: { off: true } });
  await page.reload();
  await shop.isLive(page);
  await expect(dialsOfBox(page, "cache")).toHaveAttribute("open");
  await expect(fold(page, "cache")).toContainText("1 dial is bent");
  for (const box of ["broker", "projections", "payment", "mail", "live", "clock", "guarantees"]) {
    await expect(dialsOfBox(page, box)).not.toHaveAttribute("open");
  }
  // What a person has folded up stays so while something else is bent.
  await fold(page, "cache").click();
  await setDials(opened, { cache: { off: true }, mail: { away: true } });
  await expect(dialsOfBox(page, "mail")).toHaveAttribute("open");
  await expect(dialsOfBox(page, "cache")).not.toHaveAttribute("open");

  const links = page.getByRole("navigation", { name: "To a part of the page" });
  await expect(links.getByRole("link")).toHaveCount(9);
  await expect(links.getByRole("link", { name: "Cache" })).toHaveAttribute("data-bent", "true");
  await expect(links.getByRole("link", { name: "Clock" })).toHaveAttribute("data-bent", "false");
  await links.getByRole("link", { name: "Message broker" }).click();
  await expect(dial(page, "broker.paused")).toBeInViewport();

  // The three numbers of a fault are in one line, also on a phone.
  const fields = dial(page, "broker.duplicate").getByRole("spinbutton");
  await expect(fields).toHaveCount(3);
  for (const width of [1280, 1000, 360]) {
    await page.setViewportSize({ width, height: 800 });
    const boxes = await Promise.all((await fields.all()).map((field) => field.boundingBox()));
    expect(new Set(boxes.map(({ x }) => Math.round(x))).size, `${width} px`).toBe(3);
    const [top, bottom] = [Math.max(...boxes.map(({ y }) => y)), Math.min(...boxes.map(({ y, height }) => y + height))];
    expect(top, `${width} px`).toBeLessThan(bottom);
    const drawing = await page.locator("#lab-drawing").boundingBox();
    const dials = await page.getByTestId("lab-dials").boundingBox();
    const isBeside = dials.x >= drawing.x + drawing.width;
    expect(isBeside, `${width} px`).toBe(width >= 1000);
  }
});

test("the drawing follows the theme without being loaded again", async ({ context: ada, server }) => {
  const { page } = await openDials(server, ada);
  await page.emulateMedia({ colorScheme: "dark" });
  for (const path of ["/lab", "/lab/dials"]) {
    await page.goto(path);
    await shop.isLive(page);
    const ground = page.locator("#lab-drawing > svg > rect").first();
    // Automatic, dark, light.
    for (const [theme, color] of [
      ["auto", "rgb(12, 17, 16)"],
      ["dark", "rgb(12, 17, 16)"],
      ["light", "rgb(246, 250, 247)"],
    ]) {
      await expect(page.locator("html")).toHaveAttribute("data-theme", theme);
      await expect(ground).toHaveCSS("fill", color);
      await page.locator("#theme-switch").click();
    }
    await page.emulateMedia({ colorScheme: "light" });
    await expect(ground).toHaveCSS("fill", "rgb(246, 250, 247)");
    await page.emulateMedia({ colorScheme: "dark" });
  }
});
