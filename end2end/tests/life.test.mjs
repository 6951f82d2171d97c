// A customer's whole life, in two tabs of one browser: each tab shows what the other does.
import * as account from "../support/account.mjs";
import * as office from "../support/office.mjs";
import { mainHeading } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

const EMAIL = "ada@post.example";
const NEW_EMAIL = "countess@post.example";

test("a customer registers, comes back, buys, cancels, moves and leaves, in two tabs", async ({
  context: ada,
  page: second,
  pageErrors,
  server,
}) => {
  const opened = await office.openShop(server);
  // A tab that was signed out is refused, and says so.
  pageErrors.allow(/WebSocket connection|401/);
  const first = await shop.join(ada, opened.join_code, "Ada");
  await account.register(first, { name: "Ada Lovelace", email: EMAIL });
  await expect(account.person(first)).toContainText("Ada Lovelace");
  await account.signOut(first);
  await second.goto("/orders");
  await expect(mainHeading(second)).toContainText("You are not in a workspace");
  await account.signIn(second, { email: EMAIL });
  const tabs = [first, second];

  // The basket is the same in every tab, and after a reload.
  await first.goto("/shop");
  for (const tab of tabs) await shop.isLive(tab);
  await shop
    .product(first, "Enamel mug")
    .getByRole("button", { name: /Add to basket/ })
    .click();
  for (const tab of tabs) await expect(tab.getByRole("link", { name: /^Basket/ })).toContainText("1");
  await second.goto("/basket");
  await second.reload();
  await expect(second.getByRole("link", { name: "Enamel mug" })).toBeVisible();

  // Both tabs show each new entry of the order's time line.
  const bought = await shop.order(first);
  await second.goto(`/orders/${bought}`);
  for (const tab of tabs) {
    await expect(shop.status(tab)).toContainText("confirmed");
    await expect(shop.bell(tab)).toContainText("1");
  }
  await office.done(opened, opened.token, "ShipOrder", `order-${bought}`, {});
  for (const tab of tabs) {
    await expect(shop.status(tab)).toContainText("shipped");
    await expect(shop.entry(tab, "OrderShipped")).toBeVisible();
    await expect(shop.bell(tab)).toContainText("2");
  }

  // Another order is cancelled in one tab, and the list in the other shows it.
  await first.goto("/orders");
  await shop.isLive(first);
  const cancelled = await shop.order(second);
  await expect(shop.row(first, cancelled)).toContainText("confirmed");
  await shop.cancel(second, "changed my mind");
  await expect(shop.row(first, cancelled)).toContainText("cancelled");
  await expect(shop.row(first, bought)).toContainText("shipped");
  await office.settled(opened);
  await second.goto("/inbox");
  await shop.isLive(second);
  await second.getByRole("button", { name: "Mark all as read" }).click();
  for (const tab of tabs) await expect(shop.bell(tab)).toHaveText(/^\D*$/);

  await account.rename(first, "Countess Lovelace");
  await expect(account.person(first)).toContainText("Countess Lovelace");
  await second.reload();
  await expect(account.person(second)).toContainText("Countess Lovelace");
  await shop.isLive(second);
  await account.changeEmail(first, NEW_EMAIL);
  await expect(first.getByLabel("Email", { exact: true })).toHaveValue(NEW_EMAIL);

  // A sign-out in one tab signs the other out, which links to the sign-in.
  await account.signOut(first);
  await expect(shop.connection(second)).toContainText("session ended");
  await shop.connection(second).getByRole("link", { name: "Sign in" }).click();
  await expect(second).toHavePath("/sign-in");
  await account.isTurnedAway(second, { email: EMAIL });
  await account.signIn(second, { email: NEW_EMAIL });
  await expect(account.person(second)).toContainText("Countess Lovelace");
  await second.goto("/orders");
  await expect(shop.row(second, bought)).toContainText("shipped");
  await expect(shop.row(second, cancelled)).toContainText("cancelled");
});
