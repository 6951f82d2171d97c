// Pictures of a page on a desk and in a hand, for the documentation.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";

const SIZES = [
  { width: 1280, height: 800 },
  { width: 360, height: 740 },
];

/** The quality of a picture, in percent: text stays sharp, and the file has a tenth of the size of a PNG. */
const QUALITY = 82;

/** Writes a sheet of the infographic, as the server draws it, into a WebP file. */
export async function takeSheet(page, server, choice, file) {
  const answer = await server.fetch(`/infographic.svg?${new URLSearchParams(choice)}`);
  // Away from the server's pages, whose policy allows no inline style.
  await page.goto("about:blank");
  await page.setContent(`<body style="margin:0">${await answer.text()}</body>`);
  const before = page.viewportSize();
  await page.setViewportSize({ width: 1600, height: 1000 });
  await writeFile(file, await webp(page));
  if (before) await page.setViewportSize(before);
}

/** The window of a page as WebP. Playwright itself knows no WebP; the browser does. */
async function webp(page) {
  const debuggee = await page.context().newCDPSession(page);
  const { data } = await debuggee.send("Page.captureScreenshot", { format: "webp", quality: QUALITY });
  await debuggee.detach();
  return Buffer.from(data, "base64");
}

/**
 * Writes `<name>-1280.webp` and `<name>-360.webp`, for windows of these widths, into `folder`; gives their
 * paths.
 */
export async function takePictures(page, folder, name) {
  await mkdir(folder, { recursive: true });
  const before = page.viewportSize();
  const files = [];
  for (const viewport of SIZES) {
    await page.setViewportSize(viewport);
    // The browser draws the new layout in the frame after.
    await page.evaluate(
      () => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))),
    );
    const file = path.join(folder, `${name}-${viewport.width}.webp`);
    await writeFile(file, await webp(page));
    files.push(file);
  }
  if (before) await page.setViewportSize(before);
  return files;
}
