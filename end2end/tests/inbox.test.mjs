// Notifications: in every open tab, counted until they are read, and by the browser itself where a person
// asked for it.
import { checkAccessibility } from "../support/axe.mjs";
import { openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

test("a confirmed order is announced in every tab, and read in all of them at once", async ({
  context: ada,
  page,
  server,
}) => {
  await page.goto("/");
  await shop.openSandbox(page);
  await page.goto("/inbox");
  await expect(page.getByText("No notifications")).toBeVisible();
  await checkAccessibility(page);
  await shop.isLive(page);

  const second = await openTab(ada, "/shop");
  const id = await shop.order(second);
  await expect(page.getByRole("link", { name: /Order confirmed/ })).toBeVisible();
  for (const tab of [page, second]) await expect(shop.bell(tab)).toContainText("1");
  await checkAccessibility(page);
  await page.getByRole("button", { name: "Mark as read" }).click();
  for (const tab of [page, second]) await expect(shop.bell(tab)).toHaveText(/^\D*$/);
  await expect(page.getByRole("button", { name: "Mark all as read" })).toBeHidden();

  await shop.tell(server, ada, "ShipOrder", `order-${id}`, {});
  await expect(page.getByRole("link", { name: /Order shipped/ })).toBeVisible();
  await shop.tell(server, ada, "DeliverOrder", `order-${id}`, {});
  await expect(shop.bell(page)).toContainText("2");
  await page.getByRole("button", { name: "Mark all as read" }).click();
  await expect(shop.bell(page)).toHaveText(/^\D*$/);
  await page.getByRole("link", { name: /Order delivered/ }).click();
  await expect(page).toHavePath(`/orders/${id}`);
});

test("the browser notifies only on request, and only while the page is hidden", async ({
  context: ada,
  page,
}) => {
  await ada.grantPermissions(["notifications"]);
  // The notifications of the browser are collected instead of shown.
  await ada.addInitScript(() => {
    globalThis.told = [];
    const permission = globalThis.Notification.permission;
    globalThis.Notification = class {
      static permission = permission;
      static requestPermission = async () => permission;
      constructor(title, options) {
        globalThis.told.push({ title, tag: options.tag });
      }
    };
  });
  await page.goto("/");
  await shop.openSandbox(page);
  await page.goto("/inbox");
  await shop.isLive(page);
  const second = await openTab(ada, "/shop");
  await shop.order(second);
  await expect(page.getByRole("link", { name: /Order confirmed/ })).toBeVisible();
  expect(await page.evaluate(() => globalThis.told), "no notification was asked for").toEqual([]);

  await page.getByRole("button", { name: "Turn on desktop notifications" }).click();
  await expect(page.getByRole("button", { name: "Turn off desktop notifications" })).toBeVisible();
  await page.evaluate(() => Object.defineProperty(document, "hidden", { get: () => true }));
  const id = await shop.order(second, "Star map");
  const titles = () => page.evaluate(() => globalThis.told.map(({ title }) => title));
  await expect.poll(titles, `for the order ${id}`).toEqual(["Order confirmed"]);
});
