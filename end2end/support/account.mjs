// Accounts, as their owners make, change and leave them: plain forms, each of which leads to a page.
import { expect } from "./expect.mjs";

const PASSWORD = "correct horse battery";

/** Sends the form for a new account, as the person of the page. */
export async function sendRegistration(page, { name, email, password = PASSWORD }) {
  await page.goto("/register");
  await write(page, "Name", name);
  await write(page, "Email", email);
  await write(page, "Password", password);
  await page.getByRole("button", { name: "Create account" }).click();
}

/** Makes an account, which leads to its page. */
export async function register(page, account) {
  await sendRegistration(page, account);
  await expect(page).toHavePath("/account");
}

/** Sends the form for signing in. */
export async function sendSignIn(page, { email, password = PASSWORD }) {
  await page.goto("/sign-in");
  await write(page, "Email", email);
  await write(page, "Password", password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Signs in, which leads to the shop. */
export async function signIn(page, account) {
  await sendSignIn(page, account);
  await expect(page).toHavePath("/shop");
}

/** Signs in with an email or a password that no account has. */
export async function isTurnedAway(page, account) {
  await sendSignIn(page, account);
  await expect(page.getByText("The email or the password is incorrect.").first()).toBeVisible();
}

/** Sends the form for a forgotten password, from the page where people sign in. */
export async function forgetPassword(page, email) {
  await page.goto("/sign-in");
  await page.getByRole("link", { name: "Forgot your password?" }).click();
  await expect(page).toHavePath("/forgot-password");
  await write(page, "Email", email);
  await page.getByRole("button", { name: "Send link" }).click();
  await expect(page.getByText("If there is an account with this email address")).toBeVisible();
}

/** Sends the form for a new password, on the page of the link. */
export async function sendNewPassword(page, password) {
  await write(page, "New password", password);
  await page.getByRole("button", { name: "Set password" }).click();
}

/** Signs out on the account's page. */
export async function signOut(page) {
  await page.goto("/account");
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHavePath("/");
}

/** Changes the name of the account. */
export async function rename(page, name) {
  await page.goto("/account");
  await write(page, "Name", name);
  await page.getByRole("button", { name: "Save name" }).click();
  await expect(page.getByText("Saved.")).toBeVisible();
}

/** Changes the email of the account. */
export async function changeEmail(page, email, password = PASSWORD) {
  await page.goto("/account");
  await write(page, "Email", email);
  await write(page, "Password to confirm the new email", password);
  await page.getByRole("button", { name: "Save email" }).click();
  await expect(page.getByText("Saved.")).toBeVisible();
}

/** Sends the form that erases the account. */
export async function sendErasure(page, name, password = PASSWORD) {
  await page.goto("/account");
  await write(page, "Your name", name);
  await write(page, "Password to confirm the erasure", password);
  await page.getByRole("button", { name: "Erase permanently" }).click();
}

/** The person whom the bar at the top names. */
export function person(page) {
  return page.getByRole("banner").locator(".person > summary");
}

async function write(page, label, text) {
  await page.getByLabel(label, { exact: true }).fill(text);
}
