// What every page of the app has.
import { expect } from "./expect.mjs";

/** Goes to a path of the server in a new tab of a person's browser. */
export async function openTab(person, path) {
  const page = await person.newPage();
  await page.goto(path);
  return page;
}

/** The main heading. A page has one: an assertion on this fails when there are more. */
export function mainHeading(page) {
  return page.getByRole("heading", { level: 1 });
}

/** Fails when the page, as it is now, sticks out to the side. */
export async function fitsItsWidth(page) {
  const [content, window] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  expect(content, `the page is ${content} px wide in a window of ${window} px`).toBeLessThanOrEqual(window);
}
