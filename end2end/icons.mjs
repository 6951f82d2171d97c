// Draws the icons and the picture of a shared link, and writes them into `frontend/public/`.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "./support/test.mjs";

const folder = path.join(import.meta.dirname, "../frontend/public");
const ICONS = { "icon-192.png": 192, "icon-512.png": 512, "apple-touch-icon.png": 180 };
/** The size that Open Graph names. */
const SOCIAL = { width: 1200, height: 630 };

test("the icons and the picture of a shared link", async ({ page, server }) => {
  const icon = await readFile(path.join(folder, "favicon.svg"), "utf8");
  for (const [name, size] of Object.entries(ICONS)) {
    await page.setViewportSize({ width: size, height: size });
    await page.setContent(`<body style="margin:0;background:#0c1110">${icon}</body>`);
    await page.screenshot({ path: path.join(folder, name) });
  }
  const sheet = await server.fetch("/infographic.svg?sheet=pattern&theme=dark&format=wide");
  expect(sheet.status).toBe(200);
  await page.setViewportSize(SOCIAL);
  await page.setContent(
    `<style>body { margin: 0; background: #0c1110 } svg { display: block; margin: auto; height: 630px; width: auto }</style>
     ${await sheet.text()}`,
  );
  await page.screenshot({ path: path.join(folder, "social.png") });
});
