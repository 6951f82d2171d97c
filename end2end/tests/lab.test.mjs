// The lab: its pages and who may see them, the bundles that only they load, and what the map shows of an
// order.
import { checkAccessibility, checkEveryLook } from "../support/axe.mjs";
import { tabTo } from "../support/keyboard.mjs";
import * as office from "../support/office.mjs";
import { fitsItsWidth, mainHeading, openTab, railIsWhole } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

const PAGES = [
  "/lab",
  "/lab?sheet=business",
  "/lab/lessons",
  "/lab/lessons/happy_path",
  "/lab/glossary",
  "/lab/dials",
  "/lab/streams",
  "/lab/projections",
  "/lab/views",
  "/lab/dead-letters",
  "/lab/split",
  "/lab/recording",
  "/lab/class",
];
/** The bundle of a page. */
const BUNDLES = {
  "/lab": "lab-map",
  "/lab/lessons": "lab-lessons",
  "/lab/lessons/happy_path": "lab-lessons",
  "/lab/glossary": "lab-lessons",
  "/lab/dials": "lab-dials",
  "/lab/streams": "lab-log",
  "/lab/projections": "lab-handlers",
  "/lab/views": "lab-views",
  "/lab/dead-letters": "lab-handlers",
  "/lab/split": "lab-split",
  "/lab/recording": "lab-recording",
  "/lab/class": "lab-class",
};
/** What a bundle of the lab may weigh in a release: glue and module, compressed. */
const BUNDLE_BYTES = 200_000;

/** The link to the lab in the rail. */
function labLink(page) {
  const rail = page.getByRole("navigation", { name: "Main navigation" });
  return rail.getByRole("link", { name: "Lab", exact: true });
}

/** The link to a page of the lab, above each of them. */
function tab(page, name) {
  return page.getByRole("navigation", { name: "Pages of the lab" }).getByRole("link", { name });
}

/** The map of a shop, in a tab of a person, once the server sends its hops. */
async function openMap(person, path = "/lab") {
  const page = await openTab(person, path);
  await expect(page.getByTestId("lab-status")).toHaveAttribute("data-state", "live");
  return page;
}

/** A button, a choice or a slider of the map's controls. */
function control(map, name) {
  return map.getByTestId("lab-controls").locator(`[data-control="${name}"]`);
}

/** A row of the list of events. */
function eventRow(map, event) {
  return map.getByTestId("hop-list").locator(`tr[data-event="${event}"]`);
}

/** The rows of all events of an intention. */
function rowsOf(map, [{ metadata }]) {
  return map.getByTestId("hop-list").locator(`tr[data-correlation="${metadata.correlation_id}"]`);
}

/** A document of a view at the moment that the map shows. */
function documentOf(map, view, key) {
  return map.getByTestId("lab-views").locator(`[data-view="${view}"] li[data-key="${key}"]`);
}

/** The events that an order has caused, in the order of the log, once all of them are there. */
async function eventsOf(opened, order) {
  const read = async (path) => {
    const answer = await opened.server.fetch(`/api/v1/${path}`, {
      headers: { authorization: `Bearer ${opened.token}` },
    });
    expect(answer.ok, `${path} answered ${answer.status}`).toBe(true);
    return (await answer.json()).data;
  };
  const [created] = await read(`streams/order-${order}`);
  const { correlation_id } = created.metadata;
  await office.settled(opened, correlation_id);
  return read(`events?correlation=${correlation_id}&limit=200`);
}

/** Fails unless all of the wanted are among the arrows, in this order. Each may have alternatives. */
function expectInOrder(arrows, wanted, what) {
  const places = wanted.map((names) => arrows.findIndex((arrow) => [names].flat().includes(arrow)));
  expect(places, `${what}: ${arrows.join(" ")}`).not.toContain(-1);
  expect(places, `${what}: ${arrows.join(" ")}`).toEqual(places.toSorted((a, b) => a - b));
}

/** What every event crosses on its way to a view. A lane that is late reads it from the log. */
const WAY_OF_EVENTS = [
  "append-events",
  "published-domain-events",
  ["event-subscription", "historical-events"],
  "upsert-projection",
];

test("the lab is linked for an educator and a student, and refused to a customer and staff", async ({
  newPerson,
  pageErrors,
  server,
}) => {
  pageErrors.allow(/403/);
  const opened = await office.openShop(server);
  const roles = { educator: true, student: true, staff: false, customer: false };
  for (const [role, reads] of Object.entries(roles)) {
    const person = await newPerson();
    await office.letIn(opened, person, role);
    const page = await openTab(person, "/shop");
    await shop.isLive(page);
    await expect(labLink(page)).toHaveCount(reads ? 1 : 0);
    if (reads) {
      await labLink(page).click();
      await expect(page).toHavePath("/lab");
      await expect(mainHeading(page)).toHaveText("Live map");
      await expect(labLink(page)).toHaveAttribute("aria-current", "page");
      for (const [name, path] of [
        ["Dials and lights", "/lab/dials"],
        ["Streams", "/lab/streams"],
        ["Event handlers", "/lab/projections"],
        ["Own views", "/lab/views"],
        ["Dead letters", "/lab/dead-letters"],
        ["Split view", "/lab/split"],
        ["Recordings", "/lab/recording"],
      ]) {
        await tab(page, name).click();
        await expect(page).toHavePath(path);
        await expect(mainHeading(page)).toHaveText(name);
      }
      await expect(tab(page, "Lessons")).toHaveAttribute("href", "/lab/lessons");
      await expect(tab(page, "Class")).toHaveCount(role === "educator" ? 1 : 0);
      continue;
    }
    for (const path of PAGES) {
      const answer = await page.goto(path);
      expect(answer.status(), `${role} ${path}`).toBe(403);
      await expect(mainHeading(page)).toHaveText("No access to the lab");
    }
    await checkEveryLook(page);
  }
});

test("without JavaScript the map shows the drawing, and each page says what it is for", async ({
  newPerson,
  server,
}) => {
  const opened = await office.openFullShop(server);
  const ada = await newPerson({ javaScriptEnabled: false });
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  const page = await openTab(ada, "/lab");
  const drawing = page.getByRole("region", { name: "Drawing of the pipeline" });
  await expect(drawing.locator("[data-arrow]")).toHaveCount(13);
  await expect(drawing.getByText("Event Store", { exact: true }).first()).toBeVisible();
  // The same boxes with their figures at rest, as a table.
  const boxes = page.getByTestId("lab-boxes").locator("tbody tr");
  await expect(boxes).toHaveCount(12);
  await expect(boxes.filter({ hasText: "Message Broker" })).toBeVisible();
  await expect(page.locator("noscript .notice")).toContainText("The map moves with JavaScript");
  await page.getByRole("link", { name: "Event-driven architecture" }).click();
  await expect(drawing.locator("[data-arrow]")).toHaveCount(17);
  await page.goto("/lab/dials");
  await expect(page.locator("noscript .notice")).toContainText("The dials are set with JavaScript");
  await page.goto("/lab/split");
  await expect(page.getByText("and how far apart they are")).toBeVisible();
  await page.goto("/lab/recording");
  await expect(page.getByText("as a link or a file")).toBeVisible();
});

test("no page of the lab has an accessibility violation or sticks out of a phone", async ({
  context: ada,
  page,
  server,
}) => {
  const opened = await office.openFullShop(server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  for (const path of PAGES) {
    await page.goto(path);
    await shop.isLive(page);
    await checkEveryLook(page);
  }
});

for (const language of ["de", "ar", "ja"]) {
  test(`the map in ${language}`, async ({ context: ada, page, server }) => {
    const opened = await office.openFullShop(server);
    await office.letIn(opened, ada, "educator", { name: "Ada" });
    await page.goto(`/lab?lang=${language}`);
    await expect(page.locator(".connection")).toHaveAttribute("data-state", "live");
    const drawing = page.locator("#lab-drawing > svg");
    await expect(drawing).toHaveAttribute("lang", language);
    // The client comes before what it sends its commands to, in the direction of the language.
    const at = async (box) => (await drawing.locator(`#box-${box}`).boundingBox()).x;
    const isMirrored = (await at("web_client")) > (await at("query_api"));
    expect(isMirrored).toBe(language === "ar");
    for (const width of [360, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      await fitsItsWidth(page);
      await railIsWhole(page);
      await checkAccessibility(page);
    }
  });
}

test("a page of the lab loads its own bundle and the lab's texts, and no other page does", async ({
  context: ada,
  page,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  const loaded = new Set();
  page.on("response", (response) => {
    const { pathname } = new URL(response.url());
    if (pathname.startsWith("/pkg/")) loaded.add(pathname.slice("/pkg/".length));
  });
  const of = (pattern) => [...loaded].filter((name) => pattern.test(name));
  for (const path of [...PAGES, "/shop", "/office"]) {
    loaded.clear();
    await page.goto(path);
    await shop.isLive(page);
    const isLab = path.startsWith("/lab");
    const own = BUNDLES[path.split("?")[0]];
    expect(of(/^lab-.*\.(js|wasm)$/), path).toHaveLength(isLab ? 2 : 0);
    expect(of(/^lab-.*\.(js|wasm)$/).every((name) => name.startsWith(`${own}.`)), path).toBe(true);
    expect(of(/^foldline\.[0-9a-f]+\.(js|wasm)$/), path).toHaveLength(isLab ? 0 : 2);
    expect(of(/^text-en-lab-/), path).toHaveLength(isLab ? 1 : 0);
  }
});

test("the lab's bundles are served compressed, and a release's keep to their budget", async ({
  context: ada,
  page,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  const weigh = async (files) => {
    expect(files).toHaveLength(2);
    let bytes = 0;
    for (const file of files) {
      const answer = await server.fetch(file, { headers: { "accept-encoding": "br" } });
      expect(answer.headers.get("content-encoding"), file).toBe("br");
      bytes += Number(answer.headers.get("content-length"));
    }
    expect(bytes).toBeGreaterThan(0);
    // Only a release is optimised; elsewhere a development client is tested.
    if (process.env.CI) expect(bytes, files[0]).toBeLessThanOrEqual(BUNDLE_BYTES);
  };
  const folds = new Set();
  for (const [path, bundle] of Object.entries(BUNDLES)) {
    await page.goto(path);
    const links = page.locator(`link[href^="/pkg/${bundle}."]`);
    await weigh(await links.evaluateAll((links) => links.map((link) => link.getAttribute("href"))));
    // The module that folds is loaded when a document is first wanted.
    for (const [file] of (await page.content()).matchAll(/\/pkg\/lab-folds\.[0-9a-f]+\.(js|wasm)/g))
      folds.add(file);
  }
  await weigh([...folds]);
});

test("the keyboard alone reaches the drawing and every page of the lab", async ({
  context: ada,
  page,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  await page.goto("/shop");
  await shop.isLive(page);
  await tabTo(page, labLink(page));
  await page.keyboard.press("Enter");
  await expect(page).toHavePath("/lab");
  await tabTo(page, page.getByRole("region", { name: "Drawing of the pipeline" }));
  await page.goto("/lab");
  await tabTo(page, tab(page, "Recordings"));
  await page.keyboard.press("Enter");
  await expect(page).toHavePath("/lab/recording");
});

test("an order in one tab shows on the map in another, on the arrows in the log's order", async ({
  context: ada,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  const map = await openMap(ada);
  const tab = await openTab(ada, "/shop");
  const events = await eventsOf(opened, await shop.order(tab));

  const rows = rowsOf(map, events);
  await expect(rows).toHaveCount(events.length);
  // The newest is on top.
  const listed = await rows.evaluateAll((rows) => rows.map((row) => row.dataset.event));
  expect(listed).toEqual(events.map(({ event_id }) => event_id).reverse());
  for (const { event_id, type } of events) {
    const row = eventRow(map, event_id);
    await expect(row).toContainText(type);
    await expect(row).toHaveAttribute("data-arrows", /upsert-projection/);
    expectInOrder((await row.getAttribute("data-arrows")).split(" "), WAY_OF_EVENTS, type);
  }
  // Its details have the time on each arrow, and the views that have folded it.
  const [created] = events;
  await eventRow(map, created.event_id).getByRole("button").click();
  const details = map.getByTestId("hop-details");
  await expect(details.getByRole("link", { name: created.event_id.slice(-8) })).toHaveAttribute(
    "href",
    `/lab/events/${created.event_id}`,
  );
  await expect(details.getByTestId("lab-payload")).toContainText("mug-01");
  await expect(details.getByTestId("lab-track").locator('tr[data-arrow="append-events"]')).toHaveCount(1);
  await expect(details.getByTestId("lab-folded").locator('[data-view="orders"]')).toHaveAttribute(
    "data-folded",
    "true",
  );
  await expect(details.getByTestId("lab-family").locator("li")).toHaveCount(events.length);
});

test("packets move on the arrows that their event has crossed, in that order", async ({
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  const ada = await newPerson({ reducedMotion: "no-preference" });
  const own = await office.letIn(opened, ada, "educator", { name: "Ada" });
  const map = await openMap(ada);
  await map.evaluate(() => {
    globalThis.crossed = {};
    const note = () => {
      for (const { dataset } of document.querySelectorAll('[data-testid="packet"]')) {
        const arrows = (globalThis.crossed[dataset.event] ??= []);
        if (!arrows.includes(dataset.arrow)) arrows.push(dataset.arrow);
      }
    };
    const changes = { subtree: true, childList: true, attributes: true, attributeFilter: ["data-arrow"] };
    new MutationObserver(note).observe(document.querySelector("#lab-drawing"), changes);
  });
  const id = crypto.randomUUID();
  await office.orderToShip(opened, own, id);
  const [created] = await eventsOf(opened, id);
  const crossed = () => map.evaluate((event) => globalThis.crossed[event] ?? [], created.event_id);
  await expect.poll(crossed).toContain("upsert");
  const way = ["append", "publish", ["subscription", "history"], "upsert"];
  expectInOrder(await crossed(), way, created.type);
});

test("a payment that fails goes another way", async ({ context: ada, server }) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  const map = await openMap(ada, "/lab?sheet=business");
  const tab = await openTab(ada, "/shop");
  const paid = await eventsOf(opened, await shop.order(tab));
  const declined = await eventsOf(opened, await shop.order(tab, "Enamel mug", "Declined card"));
  const types = (events) => events.map(({ type }) => type);
  expect(types(paid)).toEqual(expect.arrayContaining(["PaymentProcessed", "OrderConfirmed"]));
  expect(types(declined)).toEqual(expect.arrayContaining(["PaymentFailed", "OrderRejected"]));
  for (const type of ["PaymentProcessed", "OrderConfirmed"]) expect(types(declined)).not.toContain(type);
  for (const events of [paid, declined]) {
    await expect(rowsOf(map, events)).toHaveCount(events.length);
    for (const { event_id, type } of events) await expect(eventRow(map, event_id)).toContainText(type);
  }
  const failed = declined.find(({ type }) => type === "PaymentFailed");
  await expect(eventRow(map, failed.event_id)).toHaveAttribute("data-arrows", /payment-processed/);
});

test("back before an order the views show it not, and one step on they do", async ({
  context: ada,
  server,
}) => {
  const opened = await office.openShop(server);
  const own = await office.letIn(opened, ada, "educator", { name: "Ada" });
  const map = await openMap(ada);
  const views = map.getByTestId("lab-views");
  const count = async () => Number(await views.getAttribute("data-count"));
  // A pause asks for the events of the workspace.
  await control(map, "pause").click();
  await expect(map.getByTestId("lab-history")).toHaveAttribute("data-state", "complete");
  const before = await count();
  expect(before).toBeGreaterThan(0);
  await control(map, "live").click();

  const id = await office.orderToShip(opened, own);
  const events = await eventsOf(opened, id);
  await expect(documentOf(map, "orders", id)).toHaveCount(1);
  await expect(views).toHaveAttribute("data-count", String(before + events.length));

  await control(map, "unit").selectOption("event");
  for (const _ of events) await control(map, "back").click();
  await expect(views).toHaveAttribute("data-count", String(before));
  await expect(documentOf(map, "orders", id)).toHaveCount(0);
  await expect(documentOf(map, "products", "mug-01")).toHaveCount(1);

  await control(map, "step").click();
  await expect(views).toHaveAttribute("data-count", String(before + 1));
  await expect(documentOf(map, "orders", id)).toHaveCount(1);
  const change = views.locator(`[data-view="orders"] .lab-step[data-key="${id}"]`);
  await expect(change).toContainText("created");

  await control(map, "live").click();
  await expect(views).toHaveAttribute("data-count", String(before + events.length));
});

test("a held view stays behind the log, says by how much, and catches up when it is released", async ({
  context: ada,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  const page = await openTab(ada, "/lab/split");
  await shop.isLive(page);
  const log = page.getByTestId("split-log").locator("tr[data-event]").filter({ hasText: "OrderCreated" });
  const orders = page.locator('[data-testid="split-view"][data-view="orders"]');
  const inventory = page.locator('[data-testid="split-view"][data-view="inventory"]');
  const behind = (view) => view.locator("[data-behind]");
  const hold = orders.getByRole("button");

  await hold.click();
  await expect(hold).toHaveAttribute("aria-pressed", "true");
  await page.locator(".lab-split__bar").getByRole("button").click();
  await expect(log).toHaveCount(1);
  await expect(behind(orders)).not.toHaveAttribute("data-behind", "0");
  await expect(orders.locator(".lab-split__documents > li")).toHaveCount(0);
  await expect(behind(inventory)).toHaveAttribute("data-behind", "0");

  await hold.click();
  await expect(behind(orders)).toHaveAttribute("data-behind", "0");
  await expect(orders.locator(".lab-split__documents > li")).toHaveCount(1);
  await expect(page.getByTestId("split-phone").locator("[data-order]")).toHaveCount(1);
  // What was measured stays.
  await expect(orders.getByTestId("split-measured")).toContainText(/\d+ behind/);
});

/** Goes through a recording of these events, forth and back. */
async function plays(page, events, order) {
  const rows = page.getByTestId("hop-list").locator("tr[data-event]");
  const views = page.getByTestId("lab-views");
  const position = control(page, "position");
  await expect(position).toHaveAttribute("max", String(events.length));
  await position.fill("0");
  await expect(rows).toHaveCount(0);
  // The drawing lights up what the newest event crosses, and carries it with its short id.
  const packets = page.getByTestId("run-packet");
  await expect(packets).toHaveCount(0);
  await expect(page.locator("#lab-drawing [data-crossed]")).toHaveCount(0);
  for (const [before, { event_id, type }] of events.entries()) {
    await control(page, "step").click();
    await expect(position).toHaveValue(String(before + 1));
    // The newest is on top.
    await expect(rows).toHaveCount(before + 1);
    await expect(rows.first()).toHaveAttribute("data-event", event_id);
    await expect(rows.first()).toContainText(type);
    await expect(views).toContainText(type);
    await expect(packets.first()).toHaveText(event_id.slice(-8));
    await expect(page.locator("#arrow-append")).toHaveAttribute("data-crossed", "");
    await expect(page.locator("#box-event_store")).toHaveAttribute("data-lit", "");
  }
  await position.fill("1");
  const document = views.locator(`[data-view="orders"][data-key="${order}"]`);
  await expect(document).toContainText("created");
  await control(page, "back").click();
  await expect(rows).toHaveCount(0);
  await expect(document).toHaveCount(0);
  await control(page, "speed").selectOption({ label: "4×" });
  await control(page, "play").click();
  await expect(position).toHaveValue(String(events.length));
}

test("a run is kept as a link and as a file, plays in other browsers, and is done again", async ({
  context: ada,
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  const own = await office.letIn(opened, ada, "educator", { name: "Ada" });
  const page = await openTab(ada, "/lab/recording");
  await shop.isLive(page);
  // Hops are made while a map is open.
  await openMap(ada);
  const order = await office.orderToShip(opened, own);
  const events = await eventsOf(opened, order);
  await page.locator("#run-title").fill("One mug");
  await page.getByTestId("run-keep").getByRole("button").click();
  await page.waitForURL(/\/lab\/recording\/[0-9a-f-]{36}$/);
  await expect(page.getByRole("heading", { level: 2, name: "One mug" })).toBeVisible();
  await checkEveryLook(page);

  const grace = await newPerson();
  await office.letIn(opened, grace, "student", { name: "Grace" });
  const { pathname } = new URL(page.url());
  const linked = await openTab(grace, pathname);
  await plays(linked, events, order);
  const rows = linked.getByTestId("hop-list").locator("tr[data-event]");
  await expect(rows.filter({ hasText: "append-events" })).toHaveCount(events.length);

  const answer = await server.fetch(`/api/v1/lab/recordings/${pathname.split("/").pop()}`, {
    headers: { authorization: `Bearer ${own}` },
  });
  expect(answer.ok).toBe(true);
  const file = { name: "run.json", mimeType: "application/json", buffer: Buffer.from(await answer.text()) };
  const alan = await newPerson();
  await office.letIn(await office.openShop(server), alan, "student", { name: "Alan" });
  const stranger = await openTab(alan, "/lab/recording");
  await shop.isLive(stranger);
  await stranger.locator("#run-file").setInputFiles(file);
  await plays(stranger, events, order);

  const again = stranger.getByTestId("run-again");
  await again.getByRole("button").click();
  const sandbox = stranger.getByTestId("run-sandbox");
  await sandbox.getByRole("button").click();
  await expect(sandbox).toHaveAttribute("data-state", "done");
  await expect(again.getByRole("alert")).toHaveCount(0);
});

test("a recording of another workspace is not there, and a file that is none is refused", async ({
  context: ada,
  newPerson,
  pageErrors,
  server,
}) => {
  pageErrors.allow(/404/);
  const opened = await office.openShop(server);
  const own = await office.letIn(opened, ada, "educator", { name: "Ada" });
  const kept = await server.fetch("/api/v1/lab/recordings", {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${own}` },
    body: JSON.stringify({}),
  });
  expect(kept.status).toBe(201);
  const { link } = await kept.json();
  const page = await openTab(ada, link);
  await expect(page.getByTestId("run-player")).toBeVisible();

  const alan = await newPerson();
  await office.letIn(await office.openShop(server), alan, "educator", { name: "Alan" });
  const stranger = await alan.newPage();
  expect((await stranger.goto(link)).status()).toBe(404);
  await stranger.goto("/lab/recording");
  await shop.isLive(stranger);
  const file = { name: "notes.json", mimeType: "application/json", buffer: Buffer.from("[1]") };
  await stranger.locator("#run-file").setInputFiles(file);
  await expect(stranger.locator(".lab-recording__status")).not.toBeEmpty();
  await expect(stranger.getByTestId("run-player")).toHaveCount(0);
});
