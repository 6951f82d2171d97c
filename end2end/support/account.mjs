// Accounts, as their owners make, change and leave them: plain forms, each of which leads to a page.
import * as action from "./action.mjs";
import * as check from "./check.mjs";
import * as find from "./find.mjs";

const PASSWORD = "correct horse battery";

/** Sends the form for a new account, as whoever the page belongs to. */
export async function sendRegistration(page, { name, email, password = PASSWORD }) {
  await page.goto("/register");
  await write(page, "Name", name);
  await write(page, "Email", email);
  await write(page, "Password", password);
  await action.press(page, "Make an account");
}

/** Makes an account, and is on its page then. */
export async function register(page, who) {
  await sendRegistration(page, who);
  await check.hasPath(page, "/account");
}

/** Sends the form for signing in. */
export async function sendSignIn(page, { email, password = PASSWORD }) {
  await page.goto("/sign-in");
  await write(page, "Email", email);
  await write(page, "Password", password);
  await action.press(page, "Sign in");
}

/** Signs in, and is in the shop then. */
export async function signIn(page, who) {
  await sendSignIn(page, who);
  await check.hasPath(page, "/shop");
}

/** Signs in with what is no good any more. */
export async function isTurnedAway(page, who) {
  await sendSignIn(page, who);
  await check.isVisible(find.text(page, "No account has this email and this password.").first());
}

/** Signs out on the account's page. */
export async function signOut(page) {
  await page.goto("/account");
  await action.press(page, "Sign out");
  await check.hasPath(page, "/");
}

/** Gives oneself another name. */
export async function rename(page, name) {
  await page.goto("/account");
  await write(page, "Name", name);
  await action.press(page, "Change the name");
  await check.isVisible(find.text(page, "Changed."));
}

/** Takes another email. */
export async function changeEmail(page, email, password = PASSWORD) {
  await page.goto("/account");
  await write(page, "Email", email);
  await write(page, "Password, to change the email", password);
  await action.press(page, "Change the email");
  await check.isVisible(find.text(page, "Changed."));
}

/** Types what has to be typed for an account to be erased, and presses the button. */
export async function sendErasure(page, name, password = PASSWORD) {
  await page.goto("/account");
  await write(page, "Your name", name);
  await write(page, "Password, to be erased", password);
  await action.press(page, "Erase me for ever");
}

/** Who the bar at the top says one is. */
export function person(page) {
  return page.getByRole("banner").locator("summary");
}

async function write(page, label, text) {
  await page.getByLabel(label, { exact: true }).fill(text);
}
