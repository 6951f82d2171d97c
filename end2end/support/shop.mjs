// What people do in the shop, in their words: come in, put something into the basket, order it, cancel it.
import { expect } from "./expect.mjs";
import { openTab } from "./page.mjs";

/** Opens a sandbox by the form that takes names, and gives its join code. */
export async function openSandbox(page, { name = "Ada" } = {}) {
  await page.goto("/open");
  await page.getByLabel("Your name (optional)").fill(name);
  await page.getByRole("button", { name: "Open workspace" }).click();
  await expect(page).toHavePath("/shop");
  return joinCode(page);
}

/** The code at the top of the page. */
export async function joinCode(page) {
  return (await page.getByRole("banner").locator("code").first().textContent()).trim();
}

/** Joins with a code, through the link that people pass around. */
export async function join(person, code, name) {
  const page = await openTab(person, `/join/${code}`);
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Join workspace" }).click();
  await expect(page).toHavePath("/shop");
  return page;
}

/** The badge of the live connection. */
export function connection(page) {
  return page
    .getByRole("banner")
    .getByRole("status")
    .filter({ hasText: /live|connect|offline|ended/ });
}

/** Waits until the page is connected and everything that is stored has been folded into it. */
export async function isLive(page) {
  await expect(connection(page)).toHaveText("live");
}

/** The same, on a page in any language. */
export async function isConnected(page) {
  await expect(page.getByRole("banner").locator(".connection")).toHaveAttribute("data-state", "live");
}

/** The card of a product in the catalogue. */
export function product(page, name) {
  return page.getByRole("listitem").filter({ has: page.getByRole("link", { name, exact: true }) });
}

/** Puts a product into the basket, and goes there. */
export async function fillBasket(page, name = "Enamel mug") {
  await page.goto("/shop");
  await isLive(page);
  await product(page, name)
    .getByRole("button", { name: /Add to basket/ })
    .click();
  await page.getByRole("link", { name: /^Basket/ }).click();
  await expect(page).toHavePath("/basket");
  await isLive(page);
}

/** Puts a product into the basket, orders it, and gives the order's id once its page shows it. */
export async function order(page, name = "Enamel mug", card = "Valid card") {
  await fillBasket(page, name);
  await page.getByLabel(card, { exact: false }).check();
  await page.getByRole("button", { name: "Place order" }).click();
  await page.waitForURL(/\/orders\/[0-9a-f-]{36}$/);
  const id = new URL(page.url()).pathname.split("/").pop();
  await expect(status(page)).toBeVisible();
  return id;
}

/** Sends a command with the session of a person, and gives the answer. */
export async function tell(server, person, type, stream, data) {
  const answer = await post(server, "/api/v1/commands", { type, stream, data }, await bearer(person));
  return answer.json();
}

/** Waits until everything is done that was caused in the workspace of a person. */
export async function settled(server, person) {
  const headers = await bearer(person);
  await expect(async () => {
    const answer = await server.fetch("/api/v1/settled?timeout_ms=60000", { headers });
    expect(answer.status, `it does not settle: ${await answer.text()}`).toBe(200);
  }).toPass();
}

/** The header that carries the session of a person. */
async function bearer(person) {
  const session = (await person.cookies()).find((cookie) => cookie.name === "foldline_session");
  return { authorization: `Bearer ${session.value}` };
}

/** Puts the workspace's clock forward, past deadlines and attempts, until the order has this status. */
export async function putClockForwardUntil(server, person, id, status) {
  const headers = await bearer(person);
  await expect(async () => {
    await post(server, "/api/v1/lab/clock", { advance_ms: 30_000 }, headers);
    await server.fetch("/api/v1/settled?timeout_ms=2000", { headers });
    const answer = await server.fetch(`/api/v1/views/orders/${id}`, { headers });
    expect((await answer.json()).data.status).toBe(status);
  }).toPass();
}

/** The status of the order of the page. */
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

/** The link to the inbox, with the number of unread messages. */
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
  await page.getByRole("button", { name: "Cancel this order" }).click();
  await page.getByLabel("Reason").fill(reason);
  await page.getByRole("button", { name: "Cancel order" }).click();
  await expect(status(page)).toContainText("cancelled");
}

/** An API client of the same shop: a student's token for a join code, and a function that orders with it. */
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
  expect(answer.ok, `${path} answered ${answer.status}: ${await answer.clone().text()}`).toBe(true);
  return answer;
}
