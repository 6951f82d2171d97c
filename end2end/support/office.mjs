// Who comes to the back office, and as what: sessions for every role, and the rows that they act on.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import process from "node:process";
import { promisify } from "node:util";
import * as check from "./check.mjs";

const run = promisify(execFile);

/** A program of an educator, in a workspace of its own with one product and no history. */
export async function openShop(server) {
  const answer = await server.fetch("/api/v1/workspaces", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ template: "empty" }),
  });
  assert.equal(answer.ok, true, `the workspace was not opened: ${answer.status}`);
  const shop = { ...(await answer.json()), server };
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
  const { stdout } = await run(process.env.FOLDLINE_BINARY, [
    "token",
    ...["--data-dir", shop.server.dataDir, "--workspace", shop.workspace, "--role", role, "--name", name],
    ...(actor ? ["--actor", actor] : []),
  ]);
  return stdout.trim();
}

/** Lets a person of the browser in, in a role. */
export async function letIn(shop, person, role, options) {
  const value = await token(shop, role, options);
  await person.context.addCookies([{ name: "foldline_session", value, url: shop.server.url }]);
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
  assert.equal(answer.ok, true, `${type} answered ${answer.status}: ${await answer.clone().text()}`);
  const { correlation_id } = await answer.json();
  const settled = await shop.server.fetch(`/api/v1/settled?correlation=${correlation_id}&timeout_ms=30000`, {
    headers: { authorization: `Bearer ${shop.token}` },
  });
  assert.equal(settled.status, 200, `${type} did not settle: ${await settled.clone().text()}`);
}

/** An order of one mug, placed by whoever bears the token, confirmed and ready to be shipped. Gives its id. */
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

/** What a row says under a heading. */
export async function rowSays(row, label, text) {
  await check.containsText(row.locator(`[data-label="${label}"]`), text);
}
