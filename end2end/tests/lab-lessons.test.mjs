// Lessons in the lab: predicted, done and revealed by keyboard, forth and back and after a reload, as the run
// was recorded.
import { checkAccessibility, checkEveryLook } from "../support/axe.mjs";
import { tabTo } from "../support/keyboard.mjs";
import * as office from "../support/office.mjs";
import { mainHeading, openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

/** The card of a lesson in the list. */
function card(page, lesson) {
  return page.locator(`[data-lesson="${lesson}"]`);
}

/** A step of the lesson that the page shows. */
function step(page, name) {
  return page.locator(`section.lesson__step[id="${name}"]`);
}

/** A request of the API as JSON, which must be accepted. */
async function api(server, token, path, body) {
  const answer = await server.fetch(`/api/v1/${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  expect(answer.ok, `${path} answered ${answer.status}: ${await answer.clone().text()}`).toBe(true);
  return answer.json();
}

/** Begins a run by the API. */
async function begin(server, token, lesson) {
  const answer = await server.fetch(`/api/v1/lab/lessons/${lesson}/runs`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  });
  expect(answer.status, `the run was not begun: ${await answer.clone().text()}`).toBe(201);
  return answer.json();
}

/** The first lesson of each path. */
async function firstOfEachPath(server, token) {
  const lessons = (await api(server, token, "lab/lessons")).data;
  const paths = new Set(lessons.map(({ path }) => path));
  return [...paths].map((path) => lessons.find((lesson) => lesson.path === path));
}

/** A shop with a person in a browser, at a page of the lab. */
async function open(server, person, path, role = "educator") {
  const opened = await office.openShop(server);
  const token = await office.letIn(opened, person, role, { name: "Ada" });
  const page = await openTab(person, path);
  await shop.isConnected(page);
  return { opened, page, token };
}

/** Presses a button of a step by keyboard, and waits until the step has done that. */
async function press(page, shown, phase) {
  const button = shown.locator(`[data-phase="${phase}"]`);
  await tabTo(page, button);
  await page.keyboard.press("Enter");
  await expect(button).toHaveCount(0);
}

/** Answers the question of a step by keyboard: with the choice, counted from 1, or with a number. */
async function predict(page, shown, { choices }, answer) {
  if (choices) {
    await tabTo(page, shown.getByRole("radio").first());
    await page.keyboard.press("Space");
    for (let at = 1; at < answer; at += 1) await page.keyboard.press("ArrowDown");
  } else {
    await tabTo(page, shown.getByRole("spinbutton"));
    await page.keyboard.type(String(answer));
  }
  await tabTo(page, shown.locator("form button"));
  await page.keyboard.press("Enter");
  await expect(shown.locator("form")).toHaveCount(0);
}

/** Does a step to its end, by keyboard. */
async function carryOut(page, { name, question, acts }, answer = 1) {
  const shown = step(page, name);
  await expect(shown).toBeVisible();
  if (question) await predict(page, shown, question, answer);
  if (acts) await press(page, shown, "act");
  if (question || !acts) await press(page, shown, "reveal");
  const result = shown.locator("[data-result]");
  if (question) await expect(result).toHaveAttribute("data-result", /^(right|wrong)$/);
  return shown;
}

/** Goes on from a step by keyboard. */
async function goOn(page, shown) {
  await tabTo(page, shown.locator("[data-go=next]"));
  await page.keyboard.press("Enter");
  await expect(shown).toBeHidden();
}

for (const [language, back, on] of [
  ["en", "ArrowLeft", "ArrowRight"],
  ["ar", "ArrowRight", "ArrowLeft"],
]) {
  test(`the first lesson of each path in ${language}, by keyboard, forth and back, with a reload`, async ({
    context: ada,
    server,
  }) => {
    test.slow();
    const { page, token } = await open(server, ada, `/lab/lessons?lang=${language}`);
    for (const lesson of await firstOfEachPath(server, token)) {
      await page.goto("/lab/lessons");
      await shop.isConnected(page);
      await expect(card(page, lesson.name)).toHaveAttribute("data-state", "new");
      await tabTo(page, card(page, lesson.name).getByRole("link"));
      await page.keyboard.press("Enter");
      await expect(page).toHavePath(`/lab/lessons/${lesson.name}`);
      await shop.isConnected(page);
      await tabTo(page, page.locator('[data-phase="start"]'));
      await page.keyboard.press("Enter");
      const [first, second, ...rest] = lesson.steps;
      await expect(step(page, first.name)).toBeVisible();
      await shop.isConnected(page);
      const begun = await carryOut(page, first);
      await goOn(page, begun);
      await expect(step(page, second.name).getByRole("heading", { level: 2 })).toBeFocused();
      const shown = await carryOut(page, second);
      await checkEveryLook(page);

      // Back shows the first step as it was, and on the second one.
      await page.keyboard.press(back);
      await expect(page).toHaveURL(new RegExp(`#${first.name}$`));
      await expect(begun).toBeVisible();
      await expect(begun.locator("[data-phase]")).toHaveCount(0);
      await expect(shown).toBeHidden();
      await page.keyboard.press(on);
      await expect(shown).toBeVisible();
      const verdict = await shown.locator("[data-result]").getAttribute("data-result");

      // A reload in the middle comes back to the step, with what was answered and shown.
      await page.reload();
      await shop.isConnected(page);
      await expect(shown).toBeVisible();
      await expect(shown.locator("[data-result]")).toHaveAttribute("data-result", verdict);
      await expect(shown.locator("form, [data-phase]")).toHaveCount(0);
      await goOn(page, shown);
      for (const outline of rest) await goOn(page, await carryOut(page, outline));

      await expect(step(page, "recap")).toBeVisible();
      await expect(step(page, "recap").locator("tbody tr")).toHaveCount(
        lesson.steps.filter(({ question }) => question).length,
      );
      await checkEveryLook(page);
      await page.goto("/lab/lessons");
      await expect(card(page, lesson.name)).toHaveAttribute("data-state", "done");
      await checkAccessibility(page);
    }
  });
}

test("a right and a wrong answer are told apart, and the evidence is of this run", async ({
  context: ada,
  server,
}) => {
  const { page, token } = await open(server, ada, "/lab/lessons/happy_path", "student");
  await page.locator('[data-phase="start"]').click();
  const [tells, asks, number] = (await api(server, token, "lab/lessons")).data[0].steps;
  await expect(step(page, tells.name)).toBeVisible();
  await shop.isLive(page);
  await goOn(page, await carryOut(page, tells));
  const placed = await carryOut(page, asks, 2);
  await expect(placed.locator("[data-result]")).toHaveAttribute("data-result", "right");
  await expect(placed.getByRole("heading", { name: "You were right" })).toBeFocused();
  await expect(placed.locator('[data-evidence="event"]').first()).toContainText("OrderCreated");
  await expect(placed.locator('[data-chosen="true"]')).toContainText("OrderCreated");
  await goOn(page, placed);
  const counted = await carryOut(page, number, 99);
  await expect(counted.locator("[data-result]")).toHaveAttribute("data-result", "wrong");
  await expect(counted.locator('[data-chosen="true"]')).toHaveText("Your answer: 99");

  // The run is stored: the API has what the page shows.
  const [run] = (await api(server, token, "lab/runs")).data;
  expect(run).toMatchObject({ lesson: "happy_path", answered: 2, right: 1, done: false });
  await page.goto("/lab/lessons");
  await expect(card(page, "happy_path")).toHaveAttribute("data-state", "begun");
  await card(page, "happy_path").getByRole("link").click();
  await expect(page.locator(".lesson__step[data-newest]")).toBeVisible();
});

test("a request that is lost says so, and is tried again", async ({ context: ada, pageErrors, server }) => {
  pageErrors.allow(/ERR_FAILED/);
  const { page } = await open(server, ada, "/lab/lessons/happy_path");
  await page.locator('[data-phase="start"]').click();
  await expect(step(page, "shop")).toBeVisible();
  await shop.isLive(page);
  await page.route("**/api/v1/lab/runs/*/steps/*", (route) => route.abort());
  await step(page, "shop").locator('[data-phase="reveal"]').click();
  await expect(page.getByTestId("lesson-refusal")).toContainText("The server is unreachable");
  await checkEveryLook(page);
  await page.unroute("**/api/v1/lab/runs/*/steps/*");
  await step(page, "shop").locator('[data-phase="reveal"]').click();
  await expect(page.getByTestId("lesson-refusal")).toBeEmpty();
  await expect(step(page, "shop").locator("[data-go=next]")).toBeVisible();
});

test("an educator reads the run of a student, cannot go on with it, and may ask the class", async ({
  context: ada,
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  const eve = await newPerson();
  const token = await office.letIn(opened, eve, "student", { name: "Eve" });
  const run = await begin(server, token, "happy_path");
  await api(server, token, `lab/runs/${run.id}/steps/1`, { reveal: {} });
  const page = await openTab(ada, `/lab/lessons/happy_path?run=${run.id}#place`);
  await shop.isLive(page);
  await expect(page.getByText("This is the run of another person.")).toBeVisible();
  await expect(step(page, "place")).toBeVisible();
  await expect(page.locator("form[data-phase], button[data-phase]")).toHaveCount(0);
  await expect(page.getByTestId("ask-the-class")).toBeVisible();
  await page.goto(`/lab/lessons/happy_path?run=${run.id}#shop`);
  await shop.isLive(page);
  await expect(page.getByTestId("ask-the-class")).toBeHidden();
});

test("without JavaScript a run is read step by step, and the page says what acting needs", async ({
  newPerson,
  pageErrors,
  server,
}) => {
  pageErrors.allow(/404/);
  const opened = await office.openShop(server);
  const ada = await newPerson({ javaScriptEnabled: false });
  const token = await office.letIn(opened, ada, "student", { name: "Ada" });
  const page = await openTab(ada, "/lab/lessons");
  await card(page, "happy_path").getByRole("link").click();
  await expect(page).toHavePath("/lab/lessons/happy_path");
  await expect(page.locator("noscript .notice")).toContainText("with JavaScript");
  await expect(page.locator('[data-phase="start"]')).toBeHidden();
  const run = await begin(server, token, "happy_path");
  await api(server, token, `lab/runs/${run.id}/steps/1`, { reveal: {} });
  await page.reload();
  await expect(step(page, "place")).toBeVisible();
  await expect(step(page, "shop")).toBeHidden();
  await step(page, "place").locator("[data-go=back]").click();
  await expect(step(page, "shop")).toBeVisible();
  await expect(step(page, "place")).toBeHidden();
  await page.goto("/lab/glossary");
  await expect(mainHeading(page)).toHaveText("Glossary");
  await page.goto("/lab/lessons/no_such_lesson");
  await expect(mainHeading(page)).toHaveText("Page not found");
});
