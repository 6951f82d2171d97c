// Commands without a connection: each shows at once, waits, and is sent once when the connection is back.
import { openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

/** The orders that the log has. */
async function placed(server, program) {
  const answer = await server.fetch("/api/v1/events?type=OrderCreated", {
    headers: { authorization: `Bearer ${program.access}` },
  });
  return (await answer.json()).data.map((event) => event.stream);
}

test("an order placed offline waits, and is sent exactly once when the connection is back", async ({
  context: ada,
  page,
  pageErrors,
  server,
}) => {
  pageErrors.allow(/WebSocket connection|ERR_INTERNET_DISCONNECTED/);
  await page.goto("/");
  const code = await shop.openSandbox(page);
  const program = await shop.program(server, code);
  const before = await placed(server, program);
  await shop.fillBasket(page, "Enamel mug");

  await ada.setOffline(true);
  await expect(shop.connection(page)).toContainText("offline");
  await page.getByRole("button", { name: "Place order" }).click();
  await expect(page.getByText(/waiting for the connection/)).toBeVisible();
  await expect(page.getByText("1 × Enamel mug")).toBeVisible();
  expect((await placed(server, program)).length, "nothing has been sent").toBe(before.length);

  await ada.setOffline(false);
  await page.waitForURL(/\/orders\/[0-9a-f-]{36}$/);
  const id = new URL(page.url()).pathname.split("/").pop();
  const after = await placed(server, program);
  expect(after.slice(before.length), "it was placed once").toEqual([`order-${id}`]);
});

test("a waiting order survives its page, and is sent by the next one", async ({
  context: ada,
  page,
  pageErrors,
  server,
}) => {
  pageErrors.allow(/WebSocket connection|ERR_INTERNET_DISCONNECTED/);
  await page.goto("/");
  const code = await shop.openSandbox(page);
  const program = await shop.program(server, code);
  const before = await placed(server, program);
  await shop.fillBasket(page, "Star map");
  await ada.setOffline(true);
  await expect(shop.connection(page)).toContainText("offline");
  await page.getByRole("button", { name: "Place order" }).click();
  await expect(page.getByText(/waiting for the connection/)).toBeVisible();
  await page.close();

  await ada.setOffline(false);
  await openTab(ada, "/orders");
  const count = async () => (await placed(server, program)).length;
  await expect.poll(count, "it was placed once").toBe(before.length + 1);
});

test("a waiting order can be taken back, and the basket is as it was", async ({
  context: ada,
  page,
  pageErrors,
}) => {
  pageErrors.allow(/WebSocket connection|ERR_INTERNET_DISCONNECTED/);
  await page.goto("/");
  await shop.openSandbox(page);
  await shop.fillBasket(page, "Enamel mug");
  await ada.setOffline(true);
  await expect(shop.connection(page)).toContainText("offline");
  await page.getByRole("button", { name: "Place order" }).click();
  await page.getByRole("button", { name: "Return to basket" }).click();
  await expect(page.getByRole("link", { name: "Enamel mug" })).toBeVisible();
  await expect(page.getByRole("button", { name: "Place order" })).toBeVisible();
  await expect(page.getByText(/waiting for the connection/)).toBeHidden();
});

test("a cancellation that waited is told which event came first", async ({
  context: ada,
  page,
  pageErrors,
  server,
}) => {
  pageErrors.allow(/WebSocket connection|ERR_INTERNET_DISCONNECTED|409/);
  await page.goto("/");
  await shop.openSandbox(page);
  const id = await shop.order(page);
  await shop.isLive(page);
  await expect(shop.status(page)).toContainText("confirmed");

  await ada.setOffline(true);
  await expect(shop.connection(page)).toContainText("offline");
  await page.getByRole("button", { name: "Cancel this order" }).click();
  await page.getByLabel("Reason").fill("too slow");
  await page.getByRole("button", { name: "Cancel order" }).click();
  // The status shows at once, marked as not sent yet.
  await expect(shop.status(page)).toContainText("cancelled");
  await expect(page.getByText(/waiting for the connection/)).toBeVisible();

  // Meanwhile the shop ships the order.
  await shop.tell(server, ada, "ShipOrder", `order-${id}`, {});
  await ada.setOffline(false);
  await expect(page.getByText(/This has changed in the meantime/)).toBeVisible();
  await expect(page.getByRole("alert").getByText("OrderShipped")).toBeVisible();
  await expect(shop.status(page)).toContainText("shipped");
  await page.getByRole("button", { name: "Discard" }).click();
  await expect(page.getByText(/This has changed in the meantime/)).toBeHidden();
  await expect(page.getByText("This order has been shipped and can no longer be cancelled.")).toBeVisible();
});
