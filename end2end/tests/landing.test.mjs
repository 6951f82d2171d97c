// The home page.
import { checkAccessibility } from "../support/axe.mjs";
import { mainHeading } from "../support/page.mjs";
import { expect, test } from "../support/test.mjs";

test("the landing page is served with a main heading", async ({ page, server }) => {
  const answer = await server.fetch("/");
  expect(answer.status).toBe(200);
  expect(await answer.text(), "the server was built without a client").toMatch(/<script type="module"/);

  await page.goto("/");
  await expect(mainHeading(page)).toBeVisible();
  await checkAccessibility(page);
});
