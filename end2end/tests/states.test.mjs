// Pages as people seldom see them: with what went wrong, what was done, or what is not theirs. None of them breaks a rule
// of accessibility or sticks out of a phone, in either theme.
import { test } from "node:test";
import * as account from "../support/account.mjs";
import * as action from "../support/action.mjs";
import { checkEveryLook } from "../support/axe.mjs";
import { browse } from "../support/browser.mjs";
import * as check from "../support/check.mjs";
import * as find from "../support/find.mjs";
import * as office from "../support/office.mjs";
import { startServer } from "../support/server.mjs";
import * as shop from "../support/shop.mjs";

const EMAIL = "ada@post.example";

test("the forms of an account, before and after they were sent", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const ada = await browse(t, server);
  const page = await shop.join(ada, opened.join_code, "Ada");
  await page.goto("/account");
  await check.isVisible(find.heading(page, "You have no account yet"));
  await checkEveryLook(page);
  await account.register(page, { name: "Ada", email: EMAIL });
  await checkEveryLook(page);
  await account.rename(page, "Countess");
  await checkEveryLook(page);
  await account.sendErasure(page, "Ada");
  await check.isVisible(find.text(page, "Type your name exactly as it is written.").first());
  await checkEveryLook(page);

  const eve = await shop.join(await ada.person(), opened.join_code, "Eve");
  await account.sendRegistration(eve, { name: "Eve", email: EMAIL });
  await check.isVisible(find.text(eve, "This email belongs to another account").first());
  await checkEveryLook(eve);
  await account.isTurnedAway(eve, { email: EMAIL, password: "wrong password" });
  await checkEveryLook(eve);

  await account.sendErasure(page, "Countess");
  await check.isVisible(find.text(page, "You were erased."));
  await checkEveryLook(page);
});

test("the page of the link by which mails stop", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const ada = await browse(t, server);
  ada.expectTrouble(/404/);
  await account.register(await shop.join(ada, opened.join_code, "Ada"), { name: "Ada", email: EMAIL });
  await office.settled(opened);
  const [welcome] = await office.mails(opened);
  const page = await (await ada.person()).open(office.linkIn(welcome));
  await check.hasTitle(page, "No more mails?");
  await checkEveryLook(page);
  await action.press(page, "No more mails");
  await check.isVisible(find.text(page, "You get no more mails of this shop."));
  await checkEveryLook(page);
  await page.goto("/unsubscribe?token=nonsense");
  await check.hasTitle(page, "No such link");
  await checkEveryLook(page);
});

test("the register of people, as an educator fills it in", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const grace = await browse(t, server);
  grace.expectTrouble(/422/);
  await office.letIn(opened, grace, "educator", { name: "Grace" });
  const page = await grace.open("/office/people");
  await shop.isLive(page);
  await checkEveryLook(page);
  await page.getByLabel("Display name", { exact: true }).fill("Ada");
  await page.getByLabel("Email", { exact: true }).fill("nonsense");
  await page.getByLabel("Password", { exact: true }).fill("correct horse battery");
  await action.press(page, "Register");
  await check.containsText(page.locator("#person-email-error"), /\S/);
  await checkEveryLook(page);
  await page.getByLabel("Email", { exact: true }).fill(EMAIL);
  await action.press(page, "Register");
  await check.isVisible(find.text(page, "Ada is registered, and can sign in."));
  await checkEveryLook(page);
});

test("pages that are not there, or not for who looks", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const ada = await browse(t, server);
  ada.expectTrouble(/40[34]/);
  const page = await ada.open("/orders");
  for (const [path, title] of [
    ["/orders", "You are not in a workspace"],
    ["/nowhere", "There is nothing here"],
    ["/?problem=unknown-code&code=ZZZZZZZ", ""],
  ]) {
    await page.goto(path);
    await check.hasTitle(page, title);
    await checkEveryLook(page);
  }
  await office.letIn(opened, ada, "customer", { name: "Ada" });
  for (const [path, title] of [
    ["/office", "The back office is not yours"],
    ["/shop/no-such-01", ""],
    ["/orders/0198c1f0-0000-7000-8000-000000000009", ""],
    ["/streams/order-0198c1f0-0000-7000-8000-000000000009", ""],
    ["/shop?q=qqqqqqqq", ""],
  ]) {
    await page.goto(path);
    await check.hasTitle(page, title);
    await shop.isLive(page);
    await checkEveryLook(page);
  }
});

test("an order that was rejected, a basket with too much in it, and a log that was verified", async (t) => {
  const server = await startServer(t);
  const opened = await office.openShop(server);
  const ada = await browse(t, server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  const page = await ada.open("/shop");
  await shop.order(page, "Enamel mug", "Card that is declined");
  await check.containsText(shop.status(page), "rejected");
  await checkEveryLook(page);
  await shop.fillBasket(page);
  await find.field(page, "Quantity: Enamel mug").fill("900");
  await page.keyboard.press("Tab");
  await check.isVisible(find.text(page, "Not enough in stock right now: 40 left."));
  await checkEveryLook(page);
  await page.goto("/streams");
  await shop.isLive(page);
  await action.press(page, "Verify everything");
  await check.isVisible(find.text(page, /All is well: \d+ events/));
  await checkEveryLook(page);
});
