// The links in emails: a forgotten password is set anew, and an address is confirmed. The forms are plain, so
// they are tried without JavaScript, by keyboard, and in every language.
import * as account from "../support/account.mjs";
import { checkAccessibility } from "../support/axe.mjs";
import { tabTo } from "../support/keyboard.mjs";
import * as office from "../support/office.mjs";
import { fitsItsWidth, mainHeading, openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

const EMAIL = "ada@post.example";
const NEW_PASSWORD = "staple of another horse";

test("a forgotten password is set by the link of a mail, once, and ends the sessions", async ({
  context: ada,
  newPerson,
  pageErrors,
  server,
}) => {
  const opened = await office.openShop(server);
  pageErrors.allow(/WebSocket connection|401/);
  const page = await shop.join(ada, opened.join_code, "Ada");
  await account.register(page, { name: "Ada", email: EMAIL });
  await page.goto("/orders");
  await shop.isLive(page);

  const elsewhere = await newPerson();
  const visitor = await openTab(elsewhere, "/");
  await account.forgetPassword(visitor, EMAIL);
  const link = await office.linkTo(opened, "/reset-password");
  await visitor.goto(link);
  await account.sendNewPassword(visitor, "password1");
  await expect(visitor.locator("#reset-password-error")).toContainText("Enter a password");
  await expect(visitor.getByRole("alert").filter({ hasText: "That did not work" })).toBeFocused();
  await account.sendNewPassword(visitor, NEW_PASSWORD);
  await expect(visitor).toHavePath("/sign-in");
  await expect(visitor.getByText("Your new password is set.")).toBeVisible();
  await expect(shop.connection(page)).toContainText("session ended");

  await account.isTurnedAway(visitor, { email: EMAIL });
  await account.signIn(visitor, { email: EMAIL, password: NEW_PASSWORD });
  await office.settled(opened);
  await visitor.goto("/account");
  await expect(visitor.getByText("This email address is confirmed.")).toBeVisible();
  const [newest] = await office.mails(opened);
  expect(newest.subject).toBe("Your password was changed");

  // The link does not work again, and leads to another one.
  await visitor.goto(link);
  await account.sendNewPassword(visitor, "yet another long horse");
  const refusal = visitor.getByRole("alert").filter({ hasText: "This link has been used already" });
  await expect(refusal).toBeFocused();
  await checkAccessibility(visitor);
  await visitor.getByRole("link", { name: "Request another link" }).click();
  await expect(visitor).toHavePath("/forgot-password");
});

test("an address is confirmed by the link of a mail, which an account can have sent again", async ({
  context: ada,
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  const page = await shop.join(ada, opened.join_code, "Ada");
  await account.register(page, { name: "Ada", email: EMAIL });
  await expect(page.getByText("This email address is not confirmed yet.")).toBeVisible();
  await page.getByRole("button", { name: "Send again" }).click();
  await expect(page.getByText("The email is on its way.")).toBeVisible();
  await office.settled(opened);
  expect((await office.mails(opened)).map((mail) => mail.subject)).toEqual([
    "Confirm your email address",
    "Welcome",
  ]);
  const link = await office.linkTo(opened, "/confirm-email");
  // An email program that opens the link confirms nothing.
  const reader = await openTab(await newPerson(), link);
  await page.goto("/account");
  await expect(page.getByText("This email address is not confirmed yet.")).toBeVisible();
  await reader.getByRole("button", { name: "Confirm address" }).click();
  await expect(reader.getByText("Your email address is confirmed.")).toBeVisible();
  await office.settled(opened);
  await page.goto("/account");
  await expect(page.getByText("This email address is confirmed.")).toBeVisible();
  await account.changeEmail(page, "countess@post.example");
  await expect(page.getByText("This email address is not confirmed yet.")).toBeVisible();
});

test("without JavaScript and with the keyboard alone a forgotten password is set", async ({
  context: ada,
  newPerson,
  pageErrors,
  server,
}) => {
  // The reset ends the session of the page that is still open.
  pageErrors.allow(/WebSocket connection|401/);
  const opened = await office.openShop(server);
  const page = await shop.join(ada, opened.join_code, "Ada");
  await account.register(page, { name: "Ada", email: EMAIL });
  const plain = await newPerson({ javaScriptEnabled: false });
  const visitor = await openTab(plain, "/sign-in");
  await tabTo(visitor, visitor.getByRole("link", { name: "Forgot your password?" }));
  await visitor.keyboard.press("Enter");
  await expect(visitor).toHavePath("/forgot-password");
  await tabTo(visitor, visitor.getByLabel("Email", { exact: true }));
  await visitor.keyboard.type(EMAIL);
  await visitor.keyboard.press("Enter");
  await expect(visitor.getByText("If there is an account with this email address")).toBeVisible();
  await visitor.goto(await office.linkTo(opened, "/reset-password"));
  await tabTo(visitor, visitor.getByLabel("New password", { exact: true }));
  await visitor.keyboard.type(NEW_PASSWORD);
  await visitor.keyboard.press("Enter");
  await expect(visitor).toHavePath("/sign-in");
  await expect(visitor.getByText("Your new password is set.")).toBeVisible();
});

test("the pages of the links are accessible, fit a phone and exist in every language", async ({ page }) => {
  for (const [path, titles] of [
    [
      "/forgot-password",
      {
        en: "Forgot your password?",
        de: "Passwort vergessen?",
        ar: "هل نسيت كلمة المرور؟",
        ja: "パスワードをお忘れですか？",
      },
    ],
    [
      "/reset-password?token=abc",
      {
        en: "Set a new password",
        de: "Neues Passwort festlegen",
        ar: "تعيين كلمة مرور جديدة",
        ja: "新しいパスワードの設定",
      },
    ],
    [
      "/reset-password",
      {
        en: "Set a new password",
        de: "Neues Passwort festlegen",
        ar: "تعيين كلمة مرور جديدة",
        ja: "新しいパスワードの設定",
      },
    ],
    [
      "/confirm-email?token=abc",
      {
        en: "Confirm your email address",
        de: "E-Mail-Adresse bestätigen",
        ar: "تأكيد عنوان بريدك الإلكتروني",
        ja: "メールアドレスの確認",
      },
    ],
  ]) {
    for (const [language, title] of Object.entries(titles)) {
      await page.goto(`${path}${path.includes("?") ? "&" : "?"}lang=${language}`);
      await expect(mainHeading(page)).toHaveText(title);
      await expect(page.locator("html")).toHaveAttribute("lang", language);
      await checkAccessibility(page);
      const before = page.viewportSize();
      await page.setViewportSize({ width: 360, height: 740 });
      await fitsItsWidth(page);
      await checkAccessibility(page);
      await page.setViewportSize(before);
    }
  }
});
