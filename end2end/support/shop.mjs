// What people do in the shop, in their words: come in, put something into the basket, order it, cancel it.
import assert from "node:assert/strict";
import * as action from "./action.mjs";
import * as check from "./check.mjs";
import * as find from "./find.mjs";

/** Opens a sandbox from the landing page, and gives its join code. */
export async function openSandbox(page, { name = "Ada" } = {}) {
  await action.fill(page, "Your name (optional)", name);
  await action.press(page, "Open a sandbox");
  await check.hasPath(page, "/shop");
  return joinCode(page);
}

/** The code at the top of the page. */
export async function joinCode(page) {
  return (await page.getByRole("banner").locator("code").first().textContent()).trim();
}

/** Joins with a code, through the link that people pass around. */
export async function join(person, code, name) {
  const page = await person.open(`/join/${code}`);
  await action.fill(page, "Your name", name);
  await action.press(page, "Join the workspace");
  await check.hasPath(page, "/shop");
  return page;
}

/** The badge of the live connection. */
export function connection(page) {
  return page.getByRole("banner").getByRole("status").filter({ hasText: /live|connect|offline|ended/ });
}

/** Waits until the page is connected and everything that is stored has been folded into it. */
export async function isLive(page) {
  await check.containsText(connection(page), /^live$/);
}

/** The card of a product in the catalogue. */
export function product(page, name) {
  return page.getByRole("listitem").filter({ has: page.getByRole("link", { name, exact: true }) });
}

/** Puts a product into the basket, and goes there. */
export async function fillBasket(page, name = "Enamel mug") {
  await page.goto("/shop");
  await isLive(page);
  await find.button(product(page, name), /Add to basket/).click();
  await find.link(page, /^Basket/).click();
  await check.hasPath(page, "/basket");
  await isLive(page);
}

/** Puts a product into the basket, orders it, and gives the order's id once its page shows it. */
export async function order(page, name = "Enamel mug", card = "Card that works") {
  await fillBasket(page, name);
  await page.getByLabel(card, { exact: false }).check();
  await action.press(page, "Place order");
  await page.waitForURL(/\/orders\/[0-9a-f-]{36}$/);
  const id = new URL(page.url()).pathname.split("/").pop();
  await check.isVisible(status(page));
  return id;
}

/** Sends a command with the session of a browser, whoever that is, and gives the answer. */
export async function tell(server, context, type, stream, data) {
  const answer = await post(server, "/api/v1/commands", { type, stream, data }, await bearer(context));
  return answer.json();
}

/** Waits until everything is done that was caused in the workspace of a browser. */
export async function settled(server, context) {
  const headers = await bearer(context);
  await check.eventually(async () => {
    const answer = await server.fetch("/api/v1/settled?timeout_ms=60000", { headers });
    assert.equal(answer.status, 200, `it does not settle: ${await answer.text()}`);
  });
}

/** What proves to the API who a browser is signed in as. */
async function bearer(context) {
  const session = (await context.cookies()).find((cookie) => cookie.name === "foldline_session");
  return { authorization: `Bearer ${session.value}` };
}

/** Puts the workspace's clock forward until the order stands there: deadlines and attempts come when they are due. */
export async function putClockForwardUntil(server, context, id, status) {
  const headers = await bearer(context);
  await check.eventually(async () => {
    await post(server, "/api/v1/lab/clock", { advance_ms: 30_000 }, headers);
    await server.fetch("/api/v1/settled?timeout_ms=2000", { headers });
    const answer = await server.fetch(`/api/v1/views/orders/${id}`, { headers });
    assert.equal((await answer.json()).data.status, status);
  });
}

/** Where the order of the page stands. */
export function status(page) {
  return page.locator(".badge").first();
}

/** The entries of the order's time line, by the event's type; the first of them. */
export function entry(page, event) {
  return entries(page, event).first();
}

/** All of them. */
export function entries(page, event) {
  return page.locator(`.time-line li[data-event="${event}"]`);
}

/** The way to the inbox, with the number of what is not read. */
export function bell(page) {
  return page.getByRole("banner").getByRole("link", { name: /Inbox/ });
}

/** The row of an order in the list. */
export function row(page, id) {
  return page.locator(`tr[data-order="${id}"]`);
}

/** Cancels the order of the page, with a reason. */
export async function cancel(page, reason) {
  await isLive(page);
  await action.press(page, "Cancel this order");
  await action.fill(page, "Reason", reason);
  await action.press(page, "Cancel the order");
  await check.containsText(status(page), "cancelled");
}

/** A program's way to the same shop: a student's token for a join code, and a function that sends commands with it. */
export async function program(server, code) {
  const answer = await post(server, "/api/v1/workspaces/join", { code, display_name: "Program" });
  const { token } = await answer.json();
  return {
    access: token,
    /** Orders one mug, and gives the answer. */
    order: async (id) => {
      const answer = await post(
        server,
        "/api/v1/commands",
        {
          type: "PlaceOrder",
          stream: `order-${id}`,
          data: { lines: [{ sku: "mug-01", quantity: 1 }], payment_method: "tok_ok" },
        },
        { authorization: `Bearer ${token}`, "idempotency-key": id },
      );
      return answer.json();
    },
  };
}

async function post(server, path, body, headers = {}) {
  const answer = await server.fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  assert.equal(answer.ok, true, `${path} answered ${answer.status}: ${await answer.clone().text()}`);
  return answer;
}
