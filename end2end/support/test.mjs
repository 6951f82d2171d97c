// Playwright's test with the fixtures of this folder.
//
// - `server` is a foldline server with its own data, started for this test.
// - `context` and `page` are Playwright's own: the browser of the first person, and a tab in it. Their paths
//   are those of `server`.
// - `newPerson(options)` is the browser of another person: a second context with its own cookies.
// - `pageErrors` collects the errors of all these pages, and fails the test for them.
//   `pageErrors.allow(pattern)` names those that are part of the test.
import { test as base } from "@playwright/test";
import { expect } from "./expect.mjs";
import { PageErrors } from "./page-errors.mjs";
import { newServer } from "./server.mjs";

export { expect };

export const test = base.extend({
  /** Further arguments of `foldline serve`. */
  serverArgs: [[], { option: true }],

  server: async ({ serverArgs }, use, testInfo) => {
    const server = await newServer(serverArgs);
    try {
      await server.start();
      await use(server);
    } finally {
      await server.remove();
    }
    if (testInfo.status !== testInfo.expectedStatus) console.log(`log of the server:\n${server.log}`);
  },

  baseURL: async ({ server }, use) => {
    await use(server.url);
  },

  // Fixtures end in the opposite order: the pages close first, then their errors count, then the server ends.
  pageErrors: async ({ server }, use) => {
    const errors = new PageErrors();
    await use(errors);
    // A soft assertion fails the test at once, so that the server prints its log.
    expect.soft(errors.unexpected(), `no error in a page of ${server.url}`).toEqual([]);
  },

  context: async ({ pageErrors, context }, use) => {
    pageErrors.watch(context);
    await use(context);
  },

  newPerson: async ({ pageErrors, browser }, use) => {
    const people = [];
    await use(async (options) => {
      const person = await browser.newContext(options);
      people.push(person);
      pageErrors.watch(person);
      return person;
    });
    for (const person of people) await person.close();
  },
});
