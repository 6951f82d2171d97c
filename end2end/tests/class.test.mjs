// The class: an educator and two phones. Everybody answers on their own device, the tally grows as they do,
// and the reveal says who was right; dials are handed out, everybody is called to order, and a reset takes
// all along.
import { checkEveryLook } from "../support/axe.mjs";
import { tabTo } from "../support/keyboard.mjs";
import * as office from "../support/office.mjs";
import { mainHeading, openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

const PHONE = { viewport: { width: 360, height: 740 } };
const QUESTION = "How many of the two get the last lamp?";

/** A shop with an educator at the page of the class, and a student on a phone for each name. */
async function openClass(server, ada, newPerson, names) {
  const opened = await office.openShop(server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  const educator = await openTab(ada, "/lab/class");
  await shop.isLive(educator);
  const phones = [];
  for (const name of names) {
    const person = await newPerson(PHONE);
    const page = await shop.join(person, opened.join_code, name);
    await shop.isLive(page);
    phones.push({ name, person, page });
  }
  return { opened, educator, phones };
}

/** The row of a person in the roster. */
function row(educator, name) {
  return educator.getByTestId("roster").locator("tbody tr").filter({ hasText: name });
}

/** The question that the educator sees, with its tally. */
function now(educator) {
  return educator.getByTestId("class-now");
}

/** The bar of an answer in a tally. */
function bar(place, answer) {
  return place.getByTestId("tally").getByRole("listitem").filter({ hasText: answer });
}

/** The banner of the class on a phone. */
function banner(page) {
  return page.getByTestId("class-banner");
}

/** Asks the class in own words. */
async function ask(educator) {
  await educator.getByLabel("Question", { exact: true }).fill(QUESTION);
  await educator.getByLabel("Answer 1", { exact: true }).fill("Only one");
  await educator.getByLabel("Answer 2", { exact: true }).fill("Both");
  await educator.getByRole("button", { name: "Ask the class" }).click();
  await expect(now(educator)).toContainText(QUESTION);
}

/** Goes from the banner in the shop to the question. */
async function answerFromBanner(page) {
  await expect(banner(page)).toContainText("The class has a question.");
  await banner(page).getByRole("link", { name: "To the question" }).click();
  await expect(page).toHavePath("/class");
  await expect(page.getByRole("heading", { name: QUESTION })).toBeVisible();
  await shop.isLive(page);
}

test("a class answers on its phones, one of them offline, and the reveal says who was right", async ({
  context: ada,
  newPerson,
  pageErrors,
  server,
}) => {
  pageErrors.allow(/WebSocket connection|ERR_INTERNET_DISCONNECTED/);
  const { opened, educator, phones } = await openClass(server, ada, newPerson, ["Grace", "Alan"]);
  const [grace, alan] = phones;
  for (const { name } of phones) await expect(row(educator, name)).toHaveAttribute("data-present", "true");
  await ask(educator);
  for (const { page } of phones) await answerFromBanner(page);

  // The keyboard answers as well as a thumb.
  const only = grace.page.getByRole("button", { name: "Only one" });
  await tabTo(grace.page, only);
  await grace.page.keyboard.press("Enter");
  await expect(grace.page.getByText("Your answer: Only one")).toBeVisible();
  await expect(grace.page.getByRole("button", { name: "Both" })).toHaveCount(0);
  await expect(bar(now(educator), "Only one")).toContainText("1 · 100 %");

  await alan.person.setOffline(true);
  await expect(shop.connection(alan.page)).toContainText("offline");
  await alan.page.getByRole("button", { name: "Both" }).click();
  await expect(alan.page.getByText("Your answer: Both")).toBeVisible();
  await expect(alan.page.getByText(/waiting for the connection/)).toBeVisible();
  await alan.person.setOffline(false);
  await expect(bar(now(educator), "Both")).toContainText("1 · 50 %");
  await expect(educator.getByTestId("class-answers")).toContainText("2 of 2");
  await checkEveryLook(educator);
  await checkEveryLook(grace.page);

  await now(educator).getByRole("button", { name: "Reveal: Only one" }).click();
  await expect(now(educator)).toContainText("Right: Only one. People who were right: 1.");
  await expect(grace.page.getByText("Your answer is right.")).toBeVisible();
  await expect(alan.page.getByText("Your answer is not right.")).toBeVisible();
  await expect(alan.page.getByText("The right answer: Only one")).toBeVisible();
  await checkEveryLook(alan.page);
  await alan.page.reload();
  await expect(alan.page.getByText("Your answer is not right.")).toBeVisible();

  const results = await opened.server.fetch("/api/v1/lab/class/results.csv", {
    headers: { authorization: `Bearer ${opened.token}` },
  });
  const csv = await results.text();
  for (const name of ["Grace", "Alan"]) expect(csv).toContain(name);

  await now(educator).getByRole("button", { name: "Take the question away" }).click();
  await expect(grace.page.getByText("There is no question now")).toBeVisible();
});

test("the projector shows code and tally without names, and a phone loads nothing beyond the shop", async ({
  context: ada,
  newPerson,
  server,
}) => {
  const { opened, educator, phones } = await openClass(server, ada, newPerson, ["Grace"]);
  const [{ page: phone }] = phones;
  const code = await openTab(ada, "/lab/class/code");
  await expect(code.getByRole("img", { name: /QR code/ })).toBeVisible();
  await expect(code.getByText(`/join/${opened.join_code}`)).toBeVisible();
  await checkEveryLook(code);

  await ask(educator);
  const present = await openTab(ada, "/lab/class/present");
  await expect(present.getByRole("heading", { name: QUESTION })).toBeVisible();

  const loaded = new Set();
  phone.on("request", (request) => loaded.add(new URL(request.url()).pathname));
  await phone.goto("/shop");
  await shop.isLive(phone);
  const ofShop = new Set([...loaded].filter((path) => path.startsWith("/pkg/")));
  await answerFromBanner(phone);
  const beyond = [...loaded].filter((path) => path.startsWith("/pkg/") && !ofShop.has(path));
  expect(beyond, "a page of the class loads the files of the shop").toEqual([]);

  await phone.getByRole("button", { name: "Both" }).click();
  await expect(bar(present, "Both")).toContainText("1 · 100 %");
  await expect(present.getByText("1 of 1 have answered")).toBeVisible();
  await expect(present.locator("body")).not.toContainText("Grace");
  await checkEveryLook(present);
});

test("a student turns the dial that was handed to them, and the class is called to order", async ({
  context: ada,
  newPerson,
  server,
}) => {
  const { educator, phones } = await openClass(server, ada, newPerson, ["Grace"]);
  const [{ page: phone }] = phones;
  await educator.getByRole("button", { name: "Call everybody to order" }).click();
  await expect(banner(phone)).toContainText("Everybody orders now!");
  await banner(phone).getByRole("button", { name: "Not now" }).click();
  await expect(banner(phone)).not.toContainText("Everybody orders now!");
  await phone.goto("/orders");
  await shop.isLive(phone);
  await expect(banner(phone)).not.toContainText("Everybody orders now!");

  await educator.getByLabel("Dial", { exact: true }).selectOption("broker.delay_ms");
  await educator.getByLabel("Person", { exact: true }).selectOption({ label: "Grace" });
  await educator.getByRole("button", { name: "Hand out" }).click();
  await expect(educator.getByTestId("handed")).toContainText("Grace");
  await phone.goto("/class");
  await phone.getByTestId("handed-dials").getByRole("link").click();
  await expect(phone).toHavePath("/lab/dials");
  await shop.isLive(phone);
  await expect(phone.getByTestId("lab-dials").getByRole("switch")).toHaveCount(0);
  const delay = phone.locator('li.dial[id="broker.delay_ms"]').getByRole("spinbutton");
  await delay.fill("1500");
  await delay.press("Enter");
  await expect(educator.getByTestId("dials-banner")).toContainText("Bent by Grace: broker delay 1500 ms");

  await educator.getByTestId("handed").getByRole("button", { name: "Take back" }).click();
  await expect(educator.getByTestId("dials-banner")).toBeEmpty();
  await expect(phone.getByTestId("lab-dials").getByRole("spinbutton")).toHaveCount(0);
});

test("the class is kept on a step, and a reset takes everybody along under the same code", async ({
  context: ada,
  newPerson,
  pageErrors,
  server,
}) => {
  // While the connection is closed, the answer that is not given yet is asked for and not found.
  pageErrors.allow(/WebSocket connection|401|404|410/);
  const { opened, educator, phones } = await openClass(server, ada, newPerson, ["Grace"]);
  const [{ page: phone }] = phones;
  await phone.goto("/class");
  await shop.isLive(phone);
  await educator.getByRole("button", { name: "Keep everybody on this step" }).click();
  await expect(educator.getByTestId("class-place")).toContainText("Everybody stays on");
  await expect(phone.getByText("Everybody stays on one step of the lesson.")).toBeVisible();
  await expect(phone.getByRole("link", { name: "Go to this step" })).toHaveAttribute(
    "href",
    /^\/lab\/lessons\/[a-z_]+#[a-z_]+$/,
  );
  await educator.getByRole("button", { name: "Let everybody go on" }).click();
  await expect(phone.getByText("Everybody stays on one step of the lesson.")).toHaveCount(0);

  await ask(educator);
  await expect(phone.getByRole("heading", { name: QUESTION })).toBeVisible();
  await educator.getByRole("button", { name: "Reset the workspace" }).click();
  await educator.getByRole("button", { name: "Reset to an empty shop" }).click();
  await expect(phone.getByText("There is no question now")).toBeVisible();
  await expect(mainHeading(phone)).toHaveText("Your class");
  expect(await shop.joinCode(phone)).toBe(opened.join_code);
  await shop.isLive(phone);
  await expect(row(educator, "Grace")).toHaveAttribute("data-present", "true");
});
