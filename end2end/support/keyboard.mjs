// What a person does without a pointer.

/** Presses Tab until the focus is on this element. */
export async function tabTo(page, target) {
  for (let presses = 0; presses < 160; presses += 1) {
    if (await target.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`no Tab reaches ${target}`);
}
