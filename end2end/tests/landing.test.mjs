// The first page that anybody sees.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkAccessibility } from "../support/axe.mjs";
import { browse } from "../support/browser.mjs";
import * as check from "../support/check.mjs";
import { startServer } from "../support/server.mjs";

test("the landing page is served with a main heading", async (t) => {
  const server = await startServer(t);
  const answer = await server.fetch("/");
  assert.equal(answer.status, 200);
  assert.match(await answer.text(), /<script type="module"/, "the server was built without a client");

  const { open } = await browse(t, server);
  const page = await open("/");
  await check.hasTitle(page);
  await checkAccessibility(page);
});
