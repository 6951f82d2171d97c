// The picture: both sheets in every language, theme and format, its page, and labels of one's own.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { checkEveryLook } from "../support/axe.mjs";
import { overlaps } from "../support/overlaps.mjs";
import { mainHeading } from "../support/page.mjs";
import { expect, test } from "../support/test.mjs";

const SHEETS = ["pattern", "business"];
const FORMATS = { wide: { width: 1600, height: 1000 }, tall: { width: 1080, height: 1600 } };
const LANGUAGES = ["en", "es", "pt", "fr", "de", "it", "pl", "tr", "uk", "ar", "hi", "zh", "ja", "ko", "id"];

const labels = JSON.parse(
  await readFile(path.join(import.meta.dirname, "../../drawing/labels/en.json"), "utf8"),
);

for (const language of LANGUAGES) {
  test(`in ${language}, no label leaves its place or touches another`, async ({ page, server }) => {
    for (const sheet of SHEETS) {
      for (const [format, size] of Object.entries(FORMATS)) {
        const query = new URLSearchParams({ sheet, format, lang: language });
        const answer = await server.fetch(`/infographic.svg?${query}`);
        expect(answer.status).toBe(200);
        await page.setViewportSize(size);
        await page.setContent(`<body style="margin:0">${await answer.text()}</body>`);
        await page.evaluate(() => document.fonts.ready);
        expect(await page.evaluate(overlaps), `${sheet}, ${format}`).toEqual([]);
      }
    }
  });
}

test("no letter of any language lacks a glyph", async ({ page, server }) => {
  for (const language of LANGUAGES) {
    const answer = await server.fetch(`/infographic.svg?lang=${language}`);
    await page.setContent(`<body>${await answer.text()}</body>`);
    const missing = await page.evaluate(async () => {
      // A letter without a glyph is drawn as the same box as one that no font has.
      const draw = (letter) => {
        const canvas = document.createElement("canvas");
        canvas.width = canvas.height = 40;
        const context = canvas.getContext("2d");
        context.font = "24px sans-serif";
        context.fillText(letter, 4, 30);
        return context.getImageData(0, 0, 40, 40).data.join();
      };
      const box = draw("\u{10fffe}");
      const letters = new Set(document.querySelector("svg").textContent.match(/\p{L}/gu));
      return [...letters].filter((letter) => draw(letter) === box);
    });
    expect(missing, language).toEqual([]);
  }
});

test("the page shows the picture of one's choice, and gives it away", async ({ page, context, server }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto("/infographic");
  await expect(mainHeading(page)).toBeVisible();
  await expect(page.getByRole("img", { name: "Event Sourcing Pattern" })).toBeVisible();
  await checkEveryLook(page);

  await page.getByLabel("Sheet").selectOption("business");
  await page.getByLabel("Theme").selectOption("light");
  await page.getByLabel("Format").selectOption("tall");
  await page.getByLabel("Title (optional)").fill("Our <shop> & yours");
  await page.getByRole("button", { name: "Show picture" }).click();
  await expect(page.getByRole("img", { name: "Our <shop> & yours" })).toBeVisible();

  const status = page.locator("#infographic-status");
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await page.getByRole("button", { name: "Copy link" }).click();
  await expect(status).toHaveText("Copied.");
  const link = new URL(await copied());
  expect(link.pathname).toBe("/infographic");
  expect(link.searchParams.get("title")).toBe("Our <shop> & yours");

  await page.getByRole("button", { name: "Copy as HTML" }).click();
  await expect.poll(copied).toMatch(/^<img src="http.*\/infographic\.svg\?/);
  await page.getByRole("button", { name: "Copy as Mermaid" }).click();
  await expect.poll(copied).toContain("Event Bus - Kafka");

  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download SVG" }).click();
  expect((await download).suggestedFilename()).toBe("foldline-business-en.svg");
  for (const scale of [1, 2, 4]) {
    const ready = page.waitForEvent("download");
    await page.getByRole("button", { name: `Download PNG, ${scale}×` }).click();
    const file = await readFile(await (await ready).path());
    expect(file.subarray(1, 4).toString()).toBe("PNG");
    expect(file.readUInt32BE(16), "its width").toBe(1080 * scale);
  }
});

test("another language of the picture leaves the interface as it is", async ({ page }) => {
  await page.goto("/infographic?lang=de");
  const heading = await mainHeading(page).textContent();
  await page.locator("#infographic-labels").selectOption("hi");
  await page.locator(".infographic__form button").click();
  await expect(page.locator(".infographic__picture svg")).toHaveAttribute("lang", "hi");
  await expect(mainHeading(page)).toHaveText(heading);
  await page.goto("/");
  await expect(page.locator("html")).toHaveAttribute("lang", "de");
});

test("a title that is too wide stays in its field, with what is wrong beside it", async ({ page }) => {
  const wide = "W".repeat(120);
  await page.goto(`/infographic?title=${wide}`);
  await expect(page.getByText("This title is too wide")).toBeVisible();
  await expect(page.getByLabel("Title (optional)")).toHaveValue(wide);
  await expect(page.getByRole("img", { name: "Event Sourcing Pattern" })).toBeVisible();
});

test("labels of one's own are drawn, and what does not suit is named", async ({ page, server }) => {
  const own = Object.fromEntries(Object.entries(labels).filter(([id]) => !id.startsWith("business.")));
  const post = (body, query = "") =>
    server.fetch(`/infographic.svg${query}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const refused = async (answer) => {
    expect(answer.status).toBe(422);
    return (await answer.json()).violations.map(({ field }) => field);
  };

  const { "box.cache.name": _, ...withoutCache } = own;
  expect(await refused(await post(withoutCache))).toEqual(["box.cache.name"]);
  expect(await refused(await post({ ...own, "box.cash.name": "Cash" }))).toEqual(["box.cash.name"]);
  expect(await refused(await post({ ...own, "note.audit": "x".repeat(201) }))).toEqual(["note.audit"]);

  const drawn = await post({
    ...own,
    "pattern.title": "<script>alert(1)</script>",
    "box.cache.name": "Hidden 🚀 box",
    "note.audit": "سجل تدقيق ثابت",
  });
  expect(drawn.status).toBe(200);
  const svg = await drawn.text();
  await page.setContent(`<body>${svg}</body>`);
  expect(await page.evaluate(() => document.querySelectorAll("script").length)).toBe(0);
  await expect(page.getByRole("img", { name: "<script>alert(1)</script>" })).toBeVisible();

  const long = "A label that goes on and on ".repeat(8).slice(0, 200).trim();
  expect(await refused(await post({ ...own, "arrow.append": long }))).toEqual(["arrow.append"]);
  const shrunk = await post({ ...own, "arrow.append": long.slice(0, 90) });
  expect(shrunk.status).toBe(200);
  expect(shrunk.headers.get("foldline-shrunk-labels")).toMatch(/arrow\.append=0\.[7-9]/);
  const stacked = `e${"\u0301".repeat(199)}`;
  expect(await refused(await post({ ...own, "note.audit": stacked }))).toEqual(["note.audit"]);
});

test("a client that has the picture or its Mermaid text is not sent it again", async ({ server }) => {
  for (const path of ["/infographic.svg?lang=de", "/architecture.mmd?sheet=business"]) {
    const first = await server.fetch(path);
    expect(first.status).toBe(200);
    const etag = first.headers.get("etag");
    const again = await server.fetch(path, { headers: { "if-none-match": etag } });
    expect([again.status, await again.text()]).toEqual([304, ""]);
    expect(again.headers.get("etag")).toBe(etag);
    const other = await server.fetch(path, { headers: { "if-none-match": '"another"' } });
    expect(other.status).toBe(200);
  }
});
