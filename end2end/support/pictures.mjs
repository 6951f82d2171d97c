// Pictures of a page on a desk and in a hand, for the documentation.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";

const SIZES = [
  { width: 1280, height: 800 },
  { width: 360, height: 740 },
];

/** The quality of a picture, in percent: text stays sharp, and the file has a tenth of the size of a PNG. */
const QUALITY = 82;

/**
 * Writes `<name>-1280.webp` and `<name>-360.webp`, for windows of these widths, into `folder`; gives their
 * paths.
 */
export async function takePictures(page, folder, name) {
  await mkdir(folder, { recursive: true });
  const before = page.viewportSize();
  // Playwright itself knows no WebP; the browser does.
  const debuggee = await page.context().newCDPSession(page);
  const files = [];
  for (const viewport of SIZES) {
    await page.setViewportSize(viewport);
    // The browser draws the new layout in the frame after.
    await page.evaluate(
      () => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))),
    );
    const { data } = await debuggee.send("Page.captureScreenshot", { format: "webp", quality: QUALITY });
    const file = path.join(folder, `${name}-${viewport.width}.webp`);
    await writeFile(file, Buffer.from(data, "base64"));
    files.push(file);
  }
  await debuggee.detach();
  if (before) await page.setViewportSize(before);
  return files;
}
