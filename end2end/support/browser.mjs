// A browser for one test: a fresh context with its own cookies, closed when the test ends. Everything that goes
// wrong in a page without anybody looking (an error on the console, an exception, a request that failed) fails the
// test at its end, unless the test said that it expects it. A test that failed leaves pictures of its open pages in
// `results/`.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { launch } from "./chromium.mjs";
import { PATIENCE_MS } from "./patience.mjs";

/**
 * Opens a browser for the test `t`.
 *
 * - `open(path)` goes to a page of the server in a new tab, waits until it is alive, and gives the Playwright page.
 * - `person(options)` is another person: a second context in the same browser, with the same care.
 * - `expectTrouble(pattern)` says that messages which match are part of this test.
 *
 * That a view has not come so far yet is no trouble: a page that wants to see what it has written asks again.
 */
export async function browse(t, server, options = {}) {
  const browser = await launch();
  const troubles = [];
  const expected = [];
  server.beforeEnd.push(async () => {
    if (!t.passed) {
      await keepPictures(t, browser);
      if (troubles.length > 0) t.diagnostic(`the browser said:\n${troubles.join("\n")}`);
    }
    await browser.close();
    const unexpected = troubles.filter((trouble) => !expected.some((pattern) => pattern.test(trouble)));
    assert.deepEqual(unexpected, [], "something went wrong in the browser");
  });
  const person = async (more = {}) => {
    const context = await browser.newContext({
      baseURL: server.url,
      viewport: { width: 1280, height: 800 },
      reducedMotion: "reduce",
      ...options,
      ...more,
    });
    context.setDefaultTimeout(PATIENCE_MS);
    context.on("page", (page) => watch(page, troubles));
    return {
      context,
      open: async (path = "/") => {
        const page = await context.newPage();
        const response = await page.goto(path);
        assert.ok(response, `no answer for ${path}`);
        return page;
      },
    };
  };
  return { browser, person, expectTrouble: (pattern) => expected.push(pattern), ...(await person()) };
}

async function keepPictures(t, browser) {
  const folder = path.join(import.meta.dirname, "../results");
  await mkdir(folder, { recursive: true });
  const pages = browser.contexts().flatMap((context) => context.pages());
  for (const [index, page] of pages.entries()) {
    const file = path.join(folder, `${t.name.replaceAll(/[^a-z0-9]+/gi, "-")}-${index + 1}.png`);
    // A page that cannot be drawn any more must not hide why the test failed.
    await page.screenshot({ path: file }).then(
      () => t.diagnostic(`picture: ${file}`),
      () => {},
    );
  }
}

function watch(page, troubles) {
  page.on("console", (message) => {
    if (message.type() === "error" && !(waitsForAFold(message.location().url) && /\b503\b/.test(message.text()))) {
      troubles.push(`console: ${message.text()} (${message.location().url})`);
    }
  });
  page.on("pageerror", (error) => troubles.push(`exception: ${error.message}`));
  page.on("response", (response) => {
    const isLate = response.status() === 503 && waitsForAFold(response.url());
    if (response.status() >= 500 && !isLate) troubles.push(`${response.status()}: ${response.url()}`);
  });
}

/** Whether this reads a view as of a moment, and is told when the view is not there in time. */
function waitsForAFold(url) {
  return /\/api\/v1\/views\/.*[?&]after=/.test(url);
}
