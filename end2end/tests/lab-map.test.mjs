// The live map for readers who use the keyboard, want no motion, have a small screen, or sit in the last row.
import { checkEveryLook } from "../support/axe.mjs";
import { tabTo } from "../support/keyboard.mjs";
import * as office from "../support/office.mjs";
import { fitsItsWidth, openTab } from "../support/page.mjs";
import { expect, test } from "../support/test.mjs";

/** The map, once the server sends its hops. */
async function openMap(person, path = "/lab") {
  const map = await openTab(person, path);
  await expect(map.getByTestId("lab-status")).toHaveAttribute("data-state", "live");
  return map;
}

/** The row of the event that has created an order. */
async function createdRow(map) {
  const row = map.getByTestId("hop-list").locator("tr[data-event]").filter({ hasText: "OrderCreated" });
  await expect(row).toHaveCount(1);
  return row;
}

test("the keyboard reaches every box of the drawing, and opens its figures", async ({
  context: ada,
  server,
}) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  for (const path of ["/lab", "/lab?sheet=business"]) {
    const map = await openMap(ada, path);
    const boxes = map.locator("#lab-drawing [data-box][role='button']");
    const ids = await boxes.evaluateAll((boxes) => boxes.map((box) => box.dataset.box));
    expect(ids.length).toBeGreaterThan(10);
    for (const id of ids) {
      const box = map.locator(`#box-${id}`);
      await tabTo(map, box);
      await expect(box).toHaveAccessibleName(/\S/);
      await map.keyboard.press("Enter");
      await expect(box).toHaveAttribute("aria-pressed", "true");
      await expect(map.getByTestId("hop-details").locator(`[data-box="${id}"]`)).toBeVisible();
    }
    await map.close();
  }
});

test("the arrow keys walk the events, and Enter opens one", async ({ context: ada, server }) => {
  const opened = await office.openShop(server);
  const own = await office.letIn(opened, ada, "educator", { name: "Ada" });
  const map = await openMap(ada);
  await office.orderToShip(opened, own);
  await createdRow(map);
  const links = map.getByTestId("hop-list").locator("[data-row]");
  await expect(map.getByTestId("hop-list")).toContainText("OrderConfirmed");
  // Nothing arrives any more, so that the rows stay where they are.
  await map.getByTestId("lab-controls").locator('[data-control="pause"]').click();
  await links.first().focus();
  await map.keyboard.press("ArrowDown");
  await expect(links.nth(1)).toBeFocused();
  await map.keyboard.press("ArrowUp");
  await expect(links.first()).toBeFocused();
  const event = await links.first().getAttribute("data-row");
  await map.keyboard.press("Enter");
  await expect(map.getByTestId("hop-details").locator(`> [data-event="${event}"]`)).toBeVisible();
  await expect(links.first()).toHaveAttribute("aria-pressed", "true");
  await checkEveryLook(map);
});

test("without motion no packet moves, arrows light up, and a table has every hop", async ({
  context: ada,
  server,
}) => {
  const opened = await office.openShop(server);
  const own = await office.letIn(opened, ada, "educator", { name: "Ada" });
  const map = await openMap(ada);
  await map.evaluate(() => {
    globalThis.seen = { lit: new Set(), packets: 0 };
    const note = () => {
      for (const arrow of document.querySelectorAll(".lab-lit")) globalThis.seen.lit.add(arrow.dataset.arrow);
      globalThis.seen.packets += document.querySelectorAll('[data-testid="packet"]').length;
    };
    const changes = { subtree: true, childList: true, attributes: true, attributeFilter: ["class"] };
    new MutationObserver(note).observe(document.querySelector("#lab-drawing"), changes);
  });
  await office.orderToShip(opened, own);
  await expect.poll(() => map.evaluate(() => [...globalThis.seen.lit])).toContain("append");
  expect(await map.evaluate(() => globalThis.seen.packets)).toBe(0);
  const table = map.getByTestId("hop-table");
  await expect(table).toBeVisible();
  await expect(table.locator("tbody tr").first()).toBeVisible();
});

test("on a phone the list comes before the drawing, and nothing sticks out", async ({
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  const ada = await newPerson({ viewport: { width: 360, height: 740 }, reducedMotion: "no-preference" });
  const own = await office.letIn(opened, ada, "educator", { name: "Ada" });
  const map = await openMap(ada);
  await office.orderToShip(opened, own);
  const row = await createdRow(map);
  await expect(map.getByTestId("hop-table")).toBeVisible();
  const [list, drawing] = await Promise.all([row.boundingBox(), map.locator("#lab-drawing").boundingBox()]);
  expect(list.y).toBeLessThan(drawing.y);
  await fitsItsWidth(map);
});

test("for a projector the map fills the screen, with larger type", async ({ context: ada, server }) => {
  const opened = await office.openShop(server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  const map = await openMap(ada);
  const stage = map.locator("#lab-stage");
  const size = () => stage.evaluate((element) => parseFloat(getComputedStyle(element).fontSize));
  const before = await size();
  const button = map.getByTestId("lab-projector");
  await button.click();
  await expect(stage).toHaveClass(/lab--projector/);
  await expect(button).toHaveAttribute("aria-pressed", "true");
  expect(await size()).toBeGreaterThan(before);
  await button.click();
  await expect(stage).not.toHaveClass(/lab--projector/);
});
