// Recordings, beyond a link and a file that play: the download of a page, its deletion, and other languages.
import { checkEveryLook } from "../support/axe.mjs";
import * as office from "../support/office.mjs";
import { openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

/** Keeps everything that a workspace has under a title; the path of its page. */
async function keep(opened, bearer, title) {
  const answer = await opened.server.fetch("/api/v1/lab/recordings", {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${bearer}` },
    body: JSON.stringify({ title }),
  });
  expect(answer.status).toBe(201);
  return (await answer.json()).link;
}

/** Waits until a recording is there to be played. */
async function isLoaded(page) {
  await expect(page.getByTestId("run-player")).toBeVisible();
}

test("the file that a page downloads plays in another workspace and begins with nothing there", async ({
  context: ada,
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  const own = await office.letIn(opened, ada, "educator", { name: "Ada" });
  await office.orderToShip(opened, own);
  const page = await openTab(ada, await keep(opened, own, "From the beginning"));
  await isLoaded(page);
  const downloading = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download as a file" }).click();
  const download = await downloading;
  expect(download.suggestedFilename()).toMatch(/^foldline-recording-[0-9a-f-]{36}\.json$/);

  const alan = await newPerson();
  await office.letIn(await office.openShop(server), alan, "student", { name: "Alan" });
  const stranger = await openTab(alan, "/lab/recording");
  await shop.isLive(stranger);
  await stranger.locator("#run-file").setInputFiles(await download.path());
  await isLoaded(stranger);
  await expect(stranger.getByRole("heading", { level: 2, name: "From the beginning" })).toBeVisible();

  // The run contains everything, so its sandbox begins empty, and everything is accepted there.
  const again = stranger.getByTestId("run-again");
  await again.getByRole("button", { name: "Open a fresh sandbox" }).click();
  const sandbox = stranger.getByTestId("run-sandbox");
  await sandbox.getByRole("button", { name: "Send the commands" }).click();
  await expect(sandbox).toHaveAttribute("data-state", "done");
  await expect(sandbox).toContainText("3 of 3 commands were answered.");
  await expect(again.getByRole("alert")).toHaveCount(0);
  const joined = await openTab(alan, await sandbox.getByRole("link").getAttribute("href"));
  await joined.getByLabel("Your name").fill("Alan");
  await joined.getByRole("button", { name: "Join workspace" }).click();
  await expect(joined).toHavePath("/shop");
  await expect(joined.getByText("Enamel mug").first()).toBeVisible();
});

test("a recording is deleted after a question that names it, by whom it belongs to", async ({
  context: ada,
  newPerson,
  server,
}) => {
  const opened = await office.openShop(server);
  const own = await office.letIn(opened, ada, "educator", { name: "Ada" });
  await keep(opened, own, "Of the educator");
  const eve = await newPerson();
  const hers = await office.letIn(opened, eve, "student", { name: "Eve" });
  await keep(opened, hers, "Of the student");
  const page = await openTab(eve, "/lab/recording");
  await shop.isLive(page);
  const list = page.getByTestId("run-list");
  const row = (title) => list.getByRole("listitem").filter({ hasText: title });
  await expect(row("Of the educator").getByRole("button")).toHaveCount(0);
  await row("Of the student").getByRole("button", { name: "Delete" }).click();
  await expect(list).toContainText("Delete “Of the student”?");
  await list.getByRole("button", { name: "Keep it" }).click();
  await expect(list).not.toContainText("Delete “Of the student”?");
  await row("Of the student").getByRole("button", { name: "Delete" }).click();
  await row("Of the student").getByRole("button", { name: "Delete" }).click();
  await expect(row("Of the student")).toHaveCount(0);
  await page.reload();
  await expect(list.getByRole("listitem")).toHaveCount(1);
});

for (const language of ["ar", "ja"]) {
  test(`a recording in ${language}`, async ({ context: ada, server }) => {
    const opened = await office.openShop(server);
    const own = await office.letIn(opened, ada, "educator", { name: "Ada" });
    await office.orderToShip(opened, own);
    const page = await openTab(ada, `${await keep(opened, own, "ABC")}?lang=${language}`);
    await isLoaded(page);
    await expect(page.locator("html")).toHaveAttribute("lang", language);
    await page.locator('[data-control="step"]').click();
    await expect(page.getByTestId("hop-list").locator("tr[data-event]")).not.toHaveCount(0);
    await checkEveryLook(page);
  });
}
