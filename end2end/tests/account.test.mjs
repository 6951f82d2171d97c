// Accounts: a form shows each error at its field, and an erased person is erased for every reader.
import * as account from "../support/account.mjs";
import { tabTo } from "../support/keyboard.mjs";
import * as office from "../support/office.mjs";
import { mainHeading, openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

const EMAIL = "ada@post.example";

/** How many customers a search by the staff finds. */
async function found(opened, bearer, typed) {
  const answer = await opened.server.fetch(`/api/v1/search?q=${encodeURIComponent(typed)}&kinds=customers`, {
    headers: { authorization: `Bearer ${bearer}` },
  });
  return (await answer.json()).hits.length;
}

test("an erased account is gone from every tab and from the back office, and signs in no more", async ({
  context: grace,
  page: customers,
  newPerson,
  pageErrors,
  server,
}) => {
  const opened = await office.openShop(server);
  pageErrors.allow(/WebSocket connection|401/);
  const bearer = await office.letIn(opened, grace, "staff", { name: "Grace" });
  const ada = await newPerson();
  const page = await shop.join(ada, opened.join_code, "Ada");
  await account.register(page, { name: "Ada Lovelace", email: EMAIL });
  const id = await shop.order(page);
  await office.settled(opened);
  const other = await openTab(ada, "/orders");
  await shop.isLive(other);
  await customers.goto("/office/customers");
  await shop.isLive(customers);
  await expect(customers.locator("tbody")).toContainText("Ada Lovelace");
  await expect(customers.locator("tbody")).toContainText(EMAIL);
  const orders = await openTab(grace, "/office/orders?status=all");
  await expect(shop.row(orders, id)).toContainText("Ada Lovelace");
  expect(await found(opened, bearer, "lovelace")).toBe(1);

  // The form wants the exact name and the password.
  await account.sendErasure(page, "ada lovelace");
  await expect(page.getByText("Type your name exactly as shown.").first()).toBeVisible();
  await account.sendErasure(page, "Ada Lovelace", "battery staple");
  await expect(page.locator("#account-erase-password-error")).toContainText("The password is incorrect.");
  await expect(customers.locator("tbody")).toContainText("Ada Lovelace");
  await account.sendErasure(page, "Ada Lovelace");
  await expect(page).toHavePath("/sign-in");
  await expect(
    page.getByText("Your data has been erased. Your name and your email can no longer be read."),
  ).toBeVisible();
  await expect(shop.connection(other)).toContainText("session ended");

  const row = customers.getByRole("row").filter({ hasText: "erased" });
  await office.rowSays(row, "Orders", "1");
  await office.rowSays(row, "Email", "–");
  await office.settled(opened);
  const educator = await newPerson();
  await office.letIn(opened, educator, "educator", { name: "Lin" });
  const lin = await openTab(educator, "/");
  for (const path of [
    "/office/customers",
    "/office/orders?status=all",
    "/office/activity",
    `/orders/${id}`,
    "/lab/streams",
    `/lab/streams/order-${id}`,
  ]) {
    await lin.goto(path);
    await shop.isLive(lin);
    const content = await lin.getByRole("main").textContent();
    expect(content, `${path} names the erased person`).not.toMatch(/Lovelace|ada@post/);
  }
  await orders.goto("/office/orders?status=all");
  await expect(shop.row(orders, id)).toContainText("erased");
  for (const typed of ["lovelace", EMAIL]) expect(await found(opened, bearer, typed), typed).toBe(0);

  await account.isTurnedAway(page, { email: EMAIL });
  await page.goto("/orders");
  await expect(mainHeading(page)).toContainText("You are not in a workspace");
  // The email is free again, for another person.
  const next = await shop.join(await newPerson(), opened.join_code, "Eve");
  await account.register(next, { name: "Eve", email: EMAIL });
});

test("an error in a new account is shown beside its field, and the typed text stays", async ({
  context: ada,
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  const page = await shop.join(ada, opened.join_code, "Ada");
  await account.register(page, { name: "Ada", email: EMAIL });
  const eve = await shop.join(await newPerson(), opened.join_code, "Eve");
  await account.sendRegistration(eve, { name: "Eve", email: EMAIL });
  await expect(eve).toHavePath("/register");
  await expect(eve.locator("#register-email-error")).toContainText("Another account in this workspace");
  const summary = eve.getByRole("alert").filter({ hasText: "That did not work" });
  await expect(summary).toBeFocused();
  await summary.getByRole("link").click();
  const email = eve.getByLabel("Email", { exact: true });
  await expect(email, "the link in the summary leads to the field").toBeFocused();
  await expect(email).toHaveValue(EMAIL);
  await expect(eve.getByLabel("Name", { exact: true })).toHaveValue("Eve");
  await expect(eve.getByLabel("Password", { exact: true }), "a password is never sent back").toHaveValue("");
});

test("the keyboard alone makes an account, signs out and in again", async ({ context: ada, server }) => {
  const opened = await office.openShop(server);
  const page = await shop.join(ada, opened.join_code, "Ada");
  await tabTo(page, account.person(page));
  await page.keyboard.press("Enter");
  await tabTo(page, page.getByRole("link", { name: "Account" }));
  await page.keyboard.press("Enter");
  await expect(page).toHavePath("/account");
  await tabTo(page, page.getByRole("link", { name: "Create account" }));
  await page.keyboard.press("Enter");
  await expect(page).toHavePath("/register");
  for (const [label, text] of [
    ["Email", EMAIL],
    ["Password", "correct horse battery"],
  ]) {
    await tabTo(page, page.getByLabel(label, { exact: true }));
    await page.keyboard.type(text);
  }
  await page.keyboard.press("Enter");
  await expect(page).toHavePath("/account");
  await tabTo(page, page.getByRole("button", { name: "Sign out" }));
  await page.keyboard.press("Enter");
  await expect(page).toHavePath("/");
  await tabTo(page, page.getByRole("banner").getByRole("link", { name: "Sign in" }));
  await page.keyboard.press("Enter");
  await expect(page).toHavePath("/sign-in");
  await tabTo(page, page.getByLabel("Email", { exact: true }));
  await page.keyboard.type(EMAIL);
  await page.keyboard.press("Tab");
  await page.keyboard.type("correct horse battery");
  await page.keyboard.press("Enter");
  await expect(page).toHavePath("/shop");
  await expect(account.person(page)).toContainText("Ada");
});

test("the link in a mail stops further mails, without a session", async ({
  context: ada,
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  const page = await shop.join(ada, opened.join_code, "Ada");
  await account.register(page, { name: "Ada", email: EMAIL });
  await office.settled(opened);
  const [welcome] = await office.mails(opened);
  const reader = await openTab(await newPerson(), office.linkIn(welcome));
  await expect(mainHeading(reader)).toContainText("Stop emails?");
  await reader.getByRole("button", { name: "Stop emails" }).click();
  await expect(reader.getByText("This shop no longer emails you.")).toBeVisible();
  await shop.order(page);
  await expect(shop.entry(page, "OrderConfirmed")).toBeVisible();
  await office.settled(opened);
  expect(await office.mails(opened), "an order that was confirmed sends none").toEqual([welcome]);
});

test("a command of one person is not sent in the session of the next", async ({
  context,
  page,
  pageErrors,
  server,
}) => {
  const opened = await office.openShop(server);
  pageErrors.allow(/401/);
  await office.letIn(opened, context, "customer", { name: "Ada", actor: crypto.randomUUID() });
  await page.goto("/shop");
  await shop.fillBasket(page);
  await office.letIn(opened, context, "customer", { name: "Bob", actor: crypto.randomUUID() });
  await page.getByRole("button", { name: "Place order" }).click();
  await expect(page.getByText(/waiting until you sign in again/)).toBeVisible();
  const orders = await server.fetch("/api/v1/events?type=OrderCreated", {
    headers: { authorization: `Bearer ${opened.token}` },
  });
  expect((await orders.json()).data).toEqual([]);
});
