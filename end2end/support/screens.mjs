// Pictures of a page on a desk and in a hand, for people to look at.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";

const SIZES = [
  { width: 1280, height: 800 },
  { width: 360, height: 740 },
];

/** Of what a picture keeps, in percent: writing stays sharp, and a picture weighs a tenth of what it would as PNG. */
const QUALITY = 82;

/** Writes `<name>-1280.webp` and `<name>-360.webp`, what a window of that width shows, into `folder`; gives their paths. */
export async function takeScreens(page, folder, name) {
  await mkdir(folder, { recursive: true });
  const before = page.viewportSize();
  // Playwright itself knows no WebP; the browser does.
  const debuggee = await page.context().newCDPSession(page);
  const files = [];
  for (const viewport of SIZES) {
    await page.setViewportSize(viewport);
    // What the new width leads to is drawn in the frame after.
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
    const { data } = await debuggee.send("Page.captureScreenshot", { format: "webp", quality: QUALITY });
    const file = path.join(folder, `${name}-${viewport.width}.webp`);
    await writeFile(file, Buffer.from(data, "base64"));
    files.push(file);
  }
  await debuggee.detach();
  if (before) await page.setViewportSize(before);
  return files;
}
