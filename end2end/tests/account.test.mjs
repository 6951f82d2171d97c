// Accounts: what is wrong is said where it is, and who is erased is erased for everybody.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as account from "../support/account.mjs";
import * as action from "../support/action.mjs";
import { browse } from "../support/browser.mjs";
import * as check from "../support/check.mjs";
import * as find from "../support/find.mjs";
import { tabTo } from "../support/keyboard.mjs";
import * as office from "../support/office.mjs";
import { startServer } from "../support/server.mjs";
import * as shop from "../support/shop.mjs";

const EMAIL = "ada@post.example";

/** What staff find for what they type. */
async function found(opened, bearer, typed) {
  const answer = await opened.server.fetch(`/api/v1/search?q=${encodeURIComponent(typed)}&kinds=customers`, {
    headers: { authorization: `Bearer ${bearer}` },
  });
  return (await answer.json()).hits.length;
}

test("who has themselves erased is erased in every tab and for the staff, and signs in no more", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const grace = await browse(t, server);
  grace.expectTrouble(/WebSocket connection|401/);
  const bearer = await office.letIn(opened, grace, "staff", { name: "Grace" });
  const ada = await grace.person();
  const page = await shop.join(ada, opened.join_code, "Ada");
  await account.register(page, { name: "Ada Lovelace", email: EMAIL });
  const id = await shop.order(page);
  await office.settled(opened);
  const other = await ada.open("/orders");
  await shop.isLive(other);
  const customers = await grace.open("/office/customers");
  await shop.isLive(customers);
  await check.containsText(customers.locator("tbody"), "Ada Lovelace");
  await check.containsText(customers.locator("tbody"), EMAIL);
  const orders = await grace.open("/office/orders?status=all");
  await check.containsText(shop.row(orders, id), "Ada Lovelace");
  assert.equal(await found(opened, bearer, "lovelace"), 1);

  // It asks once, by name, and for the password.
  await account.sendErasure(page, "ada lovelace");
  await check.isVisible(find.text(page, "Type your name exactly as it is written.").first());
  await account.sendErasure(page, "Ada Lovelace", "battery staple");
  await check.containsText(page.locator("#account-erase-password-error"), "This is not your password.");
  await check.containsText(customers.locator("tbody"), "Ada Lovelace");
  await account.sendErasure(page, "Ada Lovelace");
  await check.hasPath(page, "/sign-in");
  await check.isVisible(find.text(page, "You were erased. Your name and your email cannot be read any more."));
  await check.containsText(shop.connection(other), "session ended");

  const row = customers.getByRole("row").filter({ hasText: "erased" });
  await office.rowSays(row, "Orders", /^1$/);
  await office.rowSays(row, "Email", /^–$/);
  await office.settled(opened);
  const educator = await grace.person();
  await office.letIn(opened, educator, "educator", { name: "Lin" });
  const lin = await educator.open();
  for (const path of [
    "/office/customers",
    "/office/orders?status=all",
    "/office/activity",
    `/orders/${id}`,
    `/streams/order-${id}`,
  ]) {
    await lin.goto(path);
    await shop.isLive(lin);
    const content = await lin.getByRole("main").textContent();
    assert.ok(!/Lovelace|ada@post/.test(content), `${path} still says who it was: ${content}`);
  }
  await orders.goto("/office/orders?status=all");
  await check.containsText(shop.row(orders, id), "erased");
  for (const typed of ["lovelace", EMAIL]) assert.equal(await found(opened, bearer, typed), 0, typed);

  await account.isTurnedAway(page, { email: EMAIL });
  await page.goto("/orders");
  await check.hasTitle(page, "You are not in a workspace");
  // The email is free again, for somebody else.
  const next = await shop.join(await grace.person(), opened.join_code, "Eve");
  await account.register(next, { name: "Eve", email: EMAIL });
});

test("what is wrong with a new account stands beside its field, and what was typed stays", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const ada = await browse(t, server);
  const page = await shop.join(ada, opened.join_code, "Ada");
  await account.register(page, { name: "Ada", email: EMAIL });
  const eve = await shop.join(await ada.person(), opened.join_code, "Eve");
  await account.sendRegistration(eve, { name: "Eve", email: EMAIL });
  await check.hasPath(eve, "/register");
  await check.containsText(eve.locator("#register-email-error"), "belongs to another account");
  const summary = eve.getByRole("alert").filter({ hasText: "That did not work" });
  await check.eventually(async () => assert.ok(await summary.evaluate((it) => it === document.activeElement)));
  await summary.getByRole("link").click();
  const email = eve.getByLabel("Email", { exact: true });
  assert.ok(await email.evaluate((it) => it === document.activeElement), "its link leads to the field");
  assert.equal(await email.inputValue(), EMAIL);
  assert.equal(await eve.getByLabel("Name", { exact: true }).inputValue(), "Eve");
  assert.equal(await eve.getByLabel("Password", { exact: true }).inputValue(), "", "a password is never sent back");
});

test("the keyboard alone makes an account, signs out and in again", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const ada = await browse(t, server);
  const page = await shop.join(ada, opened.join_code, "Ada");
  await tabTo(page, account.person(page));
  await page.keyboard.press("Enter");
  await tabTo(page, find.link(page, "Account"));
  await page.keyboard.press("Enter");
  await check.hasPath(page, "/account");
  await tabTo(page, find.link(page, "Make an account"));
  await page.keyboard.press("Enter");
  await check.hasPath(page, "/register");
  for (const [label, text] of [
    ["Email", EMAIL],
    ["Password", "correct horse battery"],
  ]) {
    await tabTo(page, page.getByLabel(label, { exact: true }));
    await page.keyboard.type(text);
  }
  await page.keyboard.press("Enter");
  await check.hasPath(page, "/account");
  await tabTo(page, find.button(page, "Sign out"));
  await page.keyboard.press("Enter");
  await check.hasPath(page, "/");
  await tabTo(page, page.getByRole("banner").getByRole("link", { name: "Sign in" }));
  await page.keyboard.press("Enter");
  await check.hasPath(page, "/sign-in");
  await tabTo(page, page.getByLabel("Email", { exact: true }));
  await page.keyboard.type(EMAIL);
  await page.keyboard.press("Tab");
  await page.keyboard.type("correct horse battery");
  await page.keyboard.press("Enter");
  await check.hasPath(page, "/shop");
  await check.containsText(account.person(page), "Ada");
});

test("mails stop by the link in each of them, without anybody signed in", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const ada = await browse(t, server);
  const page = await shop.join(ada, opened.join_code, "Ada");
  await account.register(page, { name: "Ada", email: EMAIL });
  await office.settled(opened);
  const [welcome] = await office.mails(opened);
  const reader = await (await ada.person()).open(office.linkIn(welcome));
  await check.hasTitle(reader, "No more mails?");
  await action.press(reader, "No more mails");
  await check.isVisible(find.text(reader, "You get no more mails of this shop."));
  await shop.order(page);
  await check.isVisible(shop.entry(page, "OrderConfirmed"));
  await office.settled(opened);
  assert.deepEqual(await office.mails(opened), [welcome], "an order that was confirmed sends none");
});

test("what is done on a page of somebody who has left is not done by who came after", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const browser = await browse(t, server);
  browser.expectTrouble(/401/);
  await office.letIn(opened, browser, "customer", { name: "Ada", actor: crypto.randomUUID() });
  const page = await browser.open("/shop");
  await shop.fillBasket(page);
  await office.letIn(opened, browser, "customer", { name: "Bob", actor: crypto.randomUUID() });
  await action.press(page, "Place order");
  await check.isVisible(find.text(page, /waits until you have signed in again/));
  const orders = await server.fetch("/api/v1/events?type=OrderCreated", {
    headers: { authorization: `Bearer ${opened.token}` },
  });
  assert.deepEqual((await orders.json()).data, []);
});
