// The page that describes the interface, read and tried as somebody who writes a program does.
import { test } from "node:test";
import { browse } from "../support/browser.mjs";
import { startServer } from "../support/server.mjs";

test("the interface can be read and tried at /api/docs", async (t) => {
  const server = await startServer(t);
  const { open } = await browse(t, server);
  const page = await open("/api/docs");
  await page.getByRole("heading", { name: /Foldline/ }).waitFor();
  const opening = page.locator("#operations-workspaces-open");
  await opening.getByRole("button", { name: "/api/v1/workspaces", exact: false }).first().click();
  await opening.getByRole("button", { name: "Try it out" }).click();
  await opening.locator("textarea").fill('{"template": "empty"}');
  await opening.getByRole("button", { name: "Execute" }).click();
  await opening.locator(".live-responses-table").getByText("join_code").first().waitFor();
});
