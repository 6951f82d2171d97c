// What a person does without a pointer.
import assert from "node:assert/strict";

/** Presses Tab until the focus is on this element. */
export async function tabTo(page, target) {
  for (let presses = 0; presses < 160; presses += 1) {
    if (await target.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`no Tab reaches ${target}`);
}
