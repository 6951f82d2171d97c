// What a person does. Each action waits for what it acts on, and for nothing else.
import * as find from "./find.mjs";

/** Presses the button with this name. */
export async function press(page, name) {
  await find.button(page, name).click();
}

/** Follows the link with this name. */
export async function follow(page, name) {
  await find.link(page, name).click();
}

/** Writes into the field with this label. */
export async function fill(page, label, text) {
  await find.field(page, label).fill(text);
}

/** Chooses an option of the select with this label. */
export async function choose(page, label, option) {
  await find.field(page, label).selectOption(option);
}
