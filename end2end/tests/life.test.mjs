// A customer's whole life, in two tabs of one browser: what is done in the one is seen in the other.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as account from "../support/account.mjs";
import * as action from "../support/action.mjs";
import { browse } from "../support/browser.mjs";
import * as check from "../support/check.mjs";
import * as find from "../support/find.mjs";
import * as office from "../support/office.mjs";
import { startServer } from "../support/server.mjs";
import * as shop from "../support/shop.mjs";

const EMAIL = "ada@post.example";
const NEW_EMAIL = "countess@post.example";

test("a customer registers, comes back, buys, cancels, moves and leaves, in two tabs", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const ada = await browse(t, server);
  // A tab that was signed out is refused, and says so.
  ada.expectTrouble(/WebSocket connection|401/);
  const first = await shop.join(ada, opened.join_code, "Ada");
  await account.register(first, { name: "Ada Lovelace", email: EMAIL });
  await check.containsText(account.person(first), "Ada Lovelace");
  await account.signOut(first);
  const second = await ada.open("/orders");
  await check.hasTitle(second, "You are not in a workspace");
  await account.signIn(second, { email: EMAIL });
  const tabs = [first, second];

  // What lies in the basket lies there in every tab, and after a reload.
  await first.goto("/shop");
  for (const tab of tabs) await shop.isLive(tab);
  await find.button(shop.product(first, "Enamel mug"), /Add to basket/).click();
  for (const tab of tabs) await check.containsText(find.link(tab, /^Basket/), "1");
  await second.goto("/basket");
  await second.reload();
  await check.isVisible(find.link(second, "Enamel mug"));

  // The order's time line goes on in both.
  const bought = await shop.order(first);
  await second.goto(`/orders/${bought}`);
  for (const tab of tabs) {
    await check.containsText(shop.status(tab), "confirmed");
    await check.containsText(shop.bell(tab), "1");
  }
  await office.done(opened, opened.token, "ShipOrder", `order-${bought}`, {});
  for (const tab of tabs) {
    await check.containsText(shop.status(tab), "shipped");
    await check.isVisible(shop.entry(tab, "OrderShipped"));
    await check.containsText(shop.bell(tab), "2");
  }

  // Another one is taken back in the one tab, and the other sees it in the list.
  await first.goto("/orders");
  await shop.isLive(first);
  const takenBack = await shop.order(second);
  await check.containsText(shop.row(first, takenBack), "confirmed");
  await shop.cancel(second, "changed my mind");
  await check.containsText(shop.row(first, takenBack), "cancelled");
  await check.containsText(shop.row(first, bought), "shipped");
  await office.settled(opened);
  await second.goto("/inbox");
  await shop.isLive(second);
  await action.press(second, "Mark all as read");
  for (const tab of tabs) await check.containsText(shop.bell(tab), /^\D*$/);

  await account.rename(first, "Countess Lovelace");
  await check.containsText(account.person(first), "Countess Lovelace");
  await second.reload();
  await check.containsText(account.person(second), "Countess Lovelace");
  await shop.isLive(second);
  await account.changeEmail(first, NEW_EMAIL);
  assert.equal(await first.getByLabel("Email", { exact: true }).inputValue(), NEW_EMAIL);

  // Signed out in the one tab is signed out in the other, which shows the way back in.
  await account.signOut(first);
  await check.containsText(shop.connection(second), "session ended");
  await find.link(shop.connection(second), "Sign in").click();
  await check.hasPath(second, "/sign-in");
  await account.isTurnedAway(second, { email: EMAIL });
  await account.signIn(second, { email: NEW_EMAIL });
  await check.containsText(account.person(second), "Countess Lovelace");
  await second.goto("/orders");
  await check.containsText(shop.row(second, bought), "shipped");
  await check.containsText(shop.row(second, takenBack), "cancelled");
});
