// The back office and its people: sessions for every role, and the rows that they act on.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect } from "./expect.mjs";
import { BINARY } from "./server.mjs";

const run = promisify(execFile);

/** A program of an educator, in a workspace of its own. */
async function open(server, template) {
  const answer = await server.fetch("/api/v1/workspaces", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ template }),
  });
  expect(answer.ok, `the workspace was not opened: ${answer.status}`).toBe(true);
  return { ...(await answer.json()), server };
}

/** One with all products and some history, once everything has come of it. */
export async function openFullShop(server) {
  const shop = await open(server, "shop");
  await settled(shop);
  return shop;
}

/** One with one product and no history. */
export async function openShop(server) {
  const shop = await open(server, "empty");
  await done(shop, shop.token, "ListProduct", "product-mug-01", {
    sku: "mug-01",
    name: "Enamel mug",
    description: "White, with a blue rim.",
    price: { amount: 1250, currency: "EUR" },
    tags: ["kitchen"],
  });
  await done(shop, shop.token, "ReceiveStock", "inventory-mug-01", { quantity: 40 });
  return shop;
}

/** A token for a role in the shop, from the operator's hand. */
export async function token(shop, role, { name = role, actor } = {}) {
  const { stdout } = await run(BINARY, [
    "token",
    ...["--data-dir", shop.server.dataDir, "--workspace", shop.workspace, "--role", role, "--name", name],
    ...(actor ? ["--actor", actor] : []),
  ]);
  return stdout.trim();
}

/** Signs a person in with a role, in their browser. */
export async function letIn(shop, person, role, options) {
  const value = await token(shop, role, options);
  await person.addCookies([{ name: "foldline_session", value, url: shop.server.url }]);
  return value;
}

/** Sends a command as the bearer of a token, and gives the answer as it came. */
export async function command(shop, bearer, type, stream, data) {
  return shop.server.fetch("/api/v1/commands", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${bearer}`,
      "idempotency-key": crypto.randomUUID(),
    },
    body: JSON.stringify({ type, stream, data }),
  });
}

/** Sends a command that must be accepted, and waits until everything that it caused is done. */
export async function done(shop, bearer, type, stream, data) {
  const answer = await command(shop, bearer, type, stream, data);
  expect(answer.ok, `${type} answered ${answer.status}: ${await answer.clone().text()}`).toBe(true);
  const { correlation_id } = await answer.json();
  await settled(shop, correlation_id);
}

/** Lists products for nine euros, and waits until the views have them. */
export async function listProducts(shop, products) {
  for (const { sku, name, tags } of products) {
    const data = { sku, name, description: name, price: { amount: 900, currency: "EUR" }, tags };
    const answer = await command(shop, shop.token, "ListProduct", `product-${sku}`, data);
    expect(answer.ok, `${sku} answered ${answer.status}: ${await answer.clone().text()}`).toBe(true);
  }
  await settled(shop);
}

/** Waits until everything is done that was caused in the shop, or by one intention. */
export async function settled(shop, correlation) {
  const of = correlation ? `correlation=${correlation}&` : "";
  await expect(async () => {
    const answer = await get(shop, `settled?${of}timeout_ms=60000`);
    expect(answer.status, `it does not settle: ${await answer.text()}`).toBe(200);
  }).toPass();
}

/** How many events of a type each day has. */
export async function daysOf(shop, type) {
  const events = (await (await get(shop, `events?type=${type}`)).json()).data;
  const days = new Map();
  for (const { recorded_at } of events) {
    const day = recorded_at.slice(0, 10);
    days.set(day, (days.get(day) ?? 0) + 1);
  }
  return days;
}

/** Every mail of the shop, the newest first. */
export async function mails(shop) {
  return (await (await get(shop, "mailbox")).json()).data;
}

/** The path of the link in a mail by which its recipient unsubscribes. */
export function linkIn(mail) {
  const link = new URL(mail.text.match(/https?:\S+\/unsubscribe\?\S+/)[0]);
  return link.pathname + link.search;
}

/**
 * The path of the link to a page in the newest mail that has one, once it is there: a request for a new
 * password is answered before it is carried out.
 */
export async function linkTo(shop, page) {
  let path;
  await expect(async () => {
    await settled(shop);
    const links = (await mails(shop)).map((mail) => mail.text.match(/https?:\S+/g) ?? []).flat();
    const link = links.map((text) => new URL(text)).find((url) => url.pathname === page);
    expect(link, `a link to ${page}`).toBeDefined();
    path = link.pathname + link.search;
  }).toPass();
  return path;
}

/** The answer to a request of the educator. */
function get(shop, path) {
  return shop.server.fetch(`/api/v1/${path}`, { headers: { authorization: `Bearer ${shop.token}` } });
}

/**
 * Places an order of one mug with the token of a customer, and gives its id once it is ready to be shipped.
 */
export async function orderToShip(shop, bearer, id = crypto.randomUUID()) {
  await done(shop, bearer, "PlaceOrder", `order-${id}`, {
    lines: [{ sku: "mug-01", quantity: 1 }],
    payment_method: "tok_ok",
  });
  return id;
}

/** The row of a product in a table of the back office. */
export function productRow(page, sku) {
  return page.locator(`tr[data-sku="${sku}"]`);
}

/** A row says this under a heading. */
export async function rowSays(row, label, text) {
  await expect(row.locator(`[data-label="${label}"]`)).toHaveText(text);
}
