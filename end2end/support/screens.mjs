// Pictures of a page on a desk and in a hand, for people to look at.
import { mkdir } from "node:fs/promises";
import path from "node:path";

const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 360, height: 740 } };

/** Writes `<name>-desktop.png` and `<name>-phone.png` into `folder`, and gives their paths. */
export async function takeScreens(page, folder, name) {
  await mkdir(folder, { recursive: true });
  const before = page.viewportSize();
  const files = [];
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    const file = path.join(folder, `${name}-${size}.png`);
    await page.screenshot({ path: file, fullPage: true, animations: "disabled" });
    files.push(file);
  }
  if (before) await page.setViewportSize(before);
  return files;
}
