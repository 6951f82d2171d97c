// The page that describes the API, as the author of a client uses it.
import { expect, test } from "../support/test.mjs";

test("the API can be read and tried at /api/docs", async ({ page }) => {
  await page.goto("/api/docs");
  await expect(page.getByRole("heading", { name: /Foldline/ })).toBeVisible();
  const opening = page.locator("#operations-workspaces-open");
  await opening.getByRole("button", { name: "/api/v1/workspaces", exact: false }).first().click();
  await opening.getByRole("button", { name: "Try it out" }).click();
  await opening.locator("textarea").fill('{"template": "empty"}');
  await opening.getByRole("button", { name: "Execute" }).click();
  await expect(opening.locator(".live-responses-table").getByText("join_code").first()).toBeVisible();
});
