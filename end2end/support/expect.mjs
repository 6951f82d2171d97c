// Playwright's assertions, and one of our own. Those on a page or a locator wait for what they assert.
import { expect as base, errors } from "@playwright/test";

export const expect = base.extend({
  /** The page comes to be at this path, with any query, and is loaded. */
  async toHavePath(page, path) {
    let pass = true;
    try {
      await page.waitForURL((url) => url.pathname === path);
    } catch (error) {
      if (!(error instanceof errors.TimeoutError)) throw error;
      pass = false;
    }
    return { pass, message: () => `expected a page at ${path}, and this one is at ${page.url()}` };
  },
});
