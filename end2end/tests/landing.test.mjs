// The home page.
import { checkAccessibility, checkEveryLook } from "../support/axe.mjs";
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

test("one button opens a sandbox, and joining and signing in are one click away", async ({ page }) => {
  await page.goto("/");
  await expect(page.getByRole("img", { name: /pipeline behind the shop/ })).toBeVisible();
  await expect(page.getByRole("link", { name: "Join with a code" })).toHaveAttribute("href", "/join");
  await expect(page.getByRole("link", { name: "Sign in" }).first()).toHaveAttribute("href", "/sign-in");
  await checkEveryLook(page);
  await page.getByRole("button", { name: "Try it" }).click();
  await expect(page).toHavePath("/shop");
  await page.goto("/");
  await expect(page.getByRole("link", { name: /^Back to / })).toBeVisible();
});

test("a shared link has a title, a description, a picture and icons", async ({ page, server }) => {
  await page.goto("/");
  const of = (selector, name) => page.locator(selector).getAttribute(name);
  expect(await of('meta[property="og:title"]', "content")).toContain("Foldline");
  expect(await of('meta[name="description"]', "content")).toMatch(/event-sourced/);
  const files = [
    await of('meta[property="og:image"]', "content"),
    await of('link[rel="icon"]', "href"),
    await of('link[rel="manifest"]', "href"),
    await of('link[rel="apple-touch-icon"]', "href"),
  ];
  expect(files[0], "an absolute address").toMatch(/^http/);
  const manifest = await (await server.fetch(files[2])).json();
  for (const file of [...files, ...manifest.icons.map(({ src }) => src)]) {
    const answer = await server.fetch(file);
    expect(answer.status, file).toBe(200);
    expect(answer.headers.get("content-type"), file).toMatch(/^(image|application\/manifest)/);
  }
});
