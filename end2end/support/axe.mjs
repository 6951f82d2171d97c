// Accessibility, checked by axe-core. The page's own content security policy stays in force: axe is handed to
// the page through the debugger, which no policy covers, and not as a script element.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { expect } from "./expect.mjs";
import { fitsItsWidth } from "./page.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** Fails with a readable list when the page, as it is now, breaks a rule. */
export async function checkAccessibility(page, { exclude = [] } = {}) {
  // Once for each document: a trace keeps what it is handed.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
  const violations = await page.evaluate(
    async ([exclude, tags]) => {
      const context = exclude.length > 0 ? { exclude } : document;
      // Without `preload`: it copies the style sheets into inline styles, which a strict policy reports as an
      // attack.
      const options = { runOnly: tags, resultTypes: ["violations"], preload: false };
      const results = await globalThis.axe.run(context, options);
      return results.violations.map(({ id, impact, help, nodes }) => ({
        id,
        impact,
        help,
        nodes: nodes.map(({ target, failureSummary }) => ({ target: target.join(" "), failureSummary })),
      }));
    },
    [exclude, TAGS],
  );
  const list = violations.map(tell).join("\n");
  expect(violations.length, `${page.url()} has accessibility violations:\n${list}`).toBe(0);
}

function tell({ id, impact, help, nodes }) {
  const places = nodes.map(({ target, failureSummary }) => `    ${target}\n${indent(failureSummary ?? "")}`);
  return `  ${id} (${impact}): ${help}\n${places.join("\n")}`;
}

function indent(text) {
  return text
    .split("\n")
    .map((line) => `      ${line}`)
    .join("\n");
}

/** Fails when the page, as it is now, breaks a rule or sticks out of a phone, in either theme. */
export async function checkEveryLook(page) {
  const before = page.viewportSize();
  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme });
    for (const width of [1280, 360]) {
      await page.setViewportSize({ width, height: 800 });
      await fitsItsWidth(page);
      await checkAccessibility(page);
    }
  }
  await page.setViewportSize(before);
  await page.emulateMedia({ colorScheme: null });
}
