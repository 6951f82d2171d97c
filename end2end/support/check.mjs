// What must be true of a page. Each check waits a while for it, since live pages change by themselves.
import assert from "node:assert/strict";
import * as find from "./find.mjs";
import { PATIENCE_MS } from "./patience.mjs";

/** There is one main heading, and it can be seen. */
export async function hasTitle(page, name) {
  const title = find.title(page);
  await title.waitFor();
  assert.equal(await title.count(), 1, "a page has one main heading");
  if (name !== undefined) await containsText(title, name);
}

/** Something is there and can be seen. */
export async function isVisible(locator) {
  await locator.waitFor({ state: "visible" });
}

/** Something is gone, or cannot be seen. */
export async function isHidden(locator) {
  await locator.waitFor({ state: "hidden" });
}

/** Something has come to contain this text. */
export async function containsText(locator, text) {
  await eventually(async () => {
    const content = (await locator.textContent()) ?? "";
    const isThere = text instanceof RegExp ? text.test(content) : content.includes(text);
    assert.ok(isThere, `expected ${text} in ${JSON.stringify(content)}`);
  });
}

/** There have come to be so many of them. */
export async function isCount(locator, count) {
  await eventually(async () => assert.equal(await locator.count(), count));
}

/** Something has come to have the focus. */
export async function hasFocus(locator) {
  await eventually(async () =>
    assert.ok(await locator.evaluate((element) => element === document.activeElement), `${locator} has no focus`),
  );
}

/** The part of the page's address behind the question mark has become this. */
export async function hasSearch(page, search) {
  await page.waitForURL((url) => url.search === search);
}

/** The path of the page's address has become this. */
export async function hasPath(page, path) {
  await page.waitForURL((url) => url.pathname === path);
}

/** Nothing sticks out to the side. */
export async function fitsItsWidth(page) {
  const [content, window] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  assert.ok(content <= window, `the page is ${content} px wide in a window of ${window} px`);
}

/** Tries again until it holds, or a test that hangs is ended with the last reason. */
export async function eventually(attempt) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
