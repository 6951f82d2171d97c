// Pages in rare states: with an error, a confirmation or a refusal. None of them breaks a rule of
// accessibility or sticks out of a phone, in either theme.
import * as account from "../support/account.mjs";
import { checkEveryLook } from "../support/axe.mjs";
import * as office from "../support/office.mjs";
import { mainHeading, openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

const EMAIL = "ada@post.example";

test("the forms of an account, before and after they were sent", async ({
  context: ada,
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  const page = await shop.join(ada, opened.join_code, "Ada");
  await page.goto("/account");
  await expect(page.getByRole("heading", { name: "No account yet" })).toBeVisible();
  await checkEveryLook(page);
  await account.register(page, { name: "Ada", email: EMAIL });
  await checkEveryLook(page);
  await account.rename(page, "Countess");
  await checkEveryLook(page);
  await account.sendErasure(page, "Ada");
  await expect(page.getByText("Type your name exactly as shown.").first()).toBeVisible();
  await checkEveryLook(page);

  const eve = await shop.join(await newPerson(), opened.join_code, "Eve");
  await account.sendRegistration(eve, { name: "Eve", email: EMAIL });
  await expect(
    eve.getByText("Another account in this workspace uses this email address").first(),
  ).toBeVisible();
  await checkEveryLook(eve);
  await account.isTurnedAway(eve, { email: EMAIL, password: "wrong password" });
  await checkEveryLook(eve);

  await account.sendErasure(page, "Countess");
  await expect(page.getByText("Your data has been erased.")).toBeVisible();
  await checkEveryLook(page);
});

test("the page of the link by which mails stop", async ({ context: ada, newPerson, pageErrors, server }) => {
  const opened = await office.openShop(server);
  pageErrors.allow(/404/);
  await account.register(await shop.join(ada, opened.join_code, "Ada"), { name: "Ada", email: EMAIL });
  await office.settled(opened);
  const [welcome] = await office.mails(opened);
  const page = await openTab(await newPerson(), office.linkIn(welcome));
  await expect(mainHeading(page)).toContainText("Stop emails?");
  await checkEveryLook(page);
  await page.getByRole("button", { name: "Stop emails" }).click();
  await expect(page.getByText("This shop no longer emails you.")).toBeVisible();
  await checkEveryLook(page);
  await page.goto("/unsubscribe?token=nonsense");
  await expect(mainHeading(page)).toContainText("Unknown link");
  await checkEveryLook(page);
});

test("the register of people, as an educator fills it in", async ({
  context: grace,
  page,
  pageErrors,
  server,
}) => {
  const opened = await office.openShop(server);
  pageErrors.allow(/422/);
  await office.letIn(opened, grace, "educator", { name: "Grace" });
  await page.goto("/office/people");
  await shop.isLive(page);
  await checkEveryLook(page);
  await page.getByLabel("Display name", { exact: true }).fill("Ada");
  await page.getByLabel("Email", { exact: true }).fill("nonsense");
  await page.getByLabel("Password", { exact: true }).fill("correct horse battery");
  await page.getByRole("button", { name: "Register" }).click();
  await expect(page.locator("#person-email-error")).toContainText(/\S/);
  await checkEveryLook(page);
  await page.getByLabel("Email", { exact: true }).fill(EMAIL);
  await page.getByRole("button", { name: "Register" }).click();
  await expect(page.getByText("Ada is registered and can sign in.")).toBeVisible();
  await checkEveryLook(page);
});

test("pages that do not exist, or that the person may not see", async ({
  context: ada,
  page,
  pageErrors,
  server,
}) => {
  const opened = await office.openShop(server);
  pageErrors.allow(/40[34]/);
  await page.goto("/orders");
  for (const [path, title] of [
    ["/orders", "You are not in a workspace"],
    ["/nowhere", "Page not found"],
    ["/?problem=rate-limited", /\S/],
    ["/join?problem=unknown-code&code=ZZZZZZZ", /\S/],
    ["/open?problem=display-name", /\S/],
  ]) {
    await page.goto(path);
    await expect(mainHeading(page)).toContainText(title);
    await checkEveryLook(page);
  }
  await office.letIn(opened, ada, "customer", { name: "Ada" });
  for (const [path, title] of [
    ["/office", "No access to the back office"],
    ["/shop/no-such-01", /\S/],
    ["/orders/0198c1f0-0000-7000-8000-000000000009", /\S/],
    ["/lab/streams/order-0198c1f0-0000-7000-8000-000000000009", /\S/],
    ["/shop?q=qqqqqqqq", /\S/],
  ]) {
    await page.goto(path);
    await expect(mainHeading(page)).toContainText(title);
    await shop.isLive(page);
    await checkEveryLook(page);
  }
});

test("an order that was rejected, a basket with too much in it, and a log that was verified", async ({
  context: ada,
  page,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  await page.goto("/shop");
  await shop.order(page, "Enamel mug", "Declined card");
  await expect(shop.status(page)).toContainText("rejected");
  await checkEveryLook(page);
  await shop.fillBasket(page);
  await page.getByLabel("Quantity: Enamel mug").fill("900");
  await page.keyboard.press("Tab");
  await expect(page.getByText("Not enough in stock. Available: 40.")).toBeVisible();
  await checkEveryLook(page);
  await page.goto("/lab/streams");
  await shop.isLive(page);
  await page.getByRole("button", { name: "Verify everything" }).click();
  await expect(page.getByText(/Everything matches\. Events with the right hash: \d+/)).toBeVisible();
  await checkEveryLook(page);
});
