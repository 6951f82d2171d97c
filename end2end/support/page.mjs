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

/** Fails when a word of the rail, as it is now, is cut off or lies outside of its link. */
export async function railIsWhole(page) {
  const cut = await page.evaluate(() => {
    const isCut = (word) => {
      const [link, own] = [word.closest("a").getBoundingClientRect(), word.getBoundingClientRect()];
      const isOutside = own.left < link.left - 1 || own.right > link.right + 1 || own.bottom > link.bottom + 1;
      const isHidden = getComputedStyle(word).overflowX !== "visible";
      return isOutside || (isHidden && word.scrollHeight > word.clientHeight) || word.scrollWidth > word.clientWidth;
    };
    const words = [...document.querySelectorAll(".rail a > span:not(.count)")];
    return words.filter(isCut).map((word) => word.textContent);
  });
  expect(cut, `${page.url()} has words in its rail that are cut off`).toEqual([]);
}

/** Fails when the page, as it is now, sticks out to the side. */
export async function fitsItsWidth(page) {
  const [content, window] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  expect(content, `the page is ${content} px wide in a window of ${window} px`).toBeLessThanOrEqual(window);
}
