// Pictures of a page on a desk and in a hand, for people to look at.
import { mkdir } from "node:fs/promises";
import path from "node:path";

const SIZES = [
  { width: 1280, height: 800 },
  { width: 360, height: 740 },
];

/** Writes `<name>-1280.png` and `<name>-360.png`, what a window of that width shows, into `folder`; gives their paths. */
export async function takeScreens(page, folder, name) {
  await mkdir(folder, { recursive: true });
  const before = page.viewportSize();
  const files = [];
  for (const viewport of SIZES) {
    await page.setViewportSize(viewport);
    const file = path.join(folder, `${name}-${viewport.width}.png`);
    await page.screenshot({ path: file, animations: "disabled" });
    files.push(file);
  }
  if (before) await page.setViewportSize(before);
  return files;
}
