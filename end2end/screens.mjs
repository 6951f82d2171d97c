// Takes a picture of every page, on a desktop and on a phone, and writes the page that shows them. The
// pictures go into `docs/screens/`, and the page is `docs/screens.md`. See `screens.config.mjs`.
import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import * as office from "./support/office.mjs";
import { mainHeading, openTab } from "./support/page.mjs";
import { takePictures, takeSheet } from "./support/pictures.mjs";
import * as shop from "./support/shop.mjs";
import { expect, test } from "./support/test.mjs";

/** The chapter of the pages outside a workspace. */
const OUTSIDE = "Outside a workspace";

/** The chapters in their order. Each page has a name, a path and a title. */
function chapters(order, event, recording) {
  return {
    [OUTSIDE]: [
      ["landing", "/", "The home page"],
      ["infographic", "/infographic", "The page of the picture"],
      ["open", "/open", "Opening a workspace with names"],
      ["join", "/join/ABCDEFG", "Joining with a code"],
      ["register", "/register", "Registering an account"],
      ["sign-in", "/sign-in", "Signing in"],
      ["forgot-password", "/forgot-password", "A forgotten password"],
      ["reset-password", "/reset-password?token=abc", "A new password by the link of a mail"],
      ["confirm-email", "/confirm-email?token=abc", "Confirming an address by the link of a mail"],
    ],
    "The shop": [
      ["catalogue", "/shop", "The catalogue"],
      ["product", "/shop/mug-01", "A product"],
      ["basket", "/basket", "The basket and the checkout"],
      ["orders", "/orders", "The orders"],
      ["order", `/orders/${order}`, "An order and its time line"],
      ["inbox", "/inbox", "The inbox"],
      ["mailbox", "/mailbox", "Mails without a mail server"],
      ["account", "/account", "The account"],
    ],
    "The back office": [
      ["office-orders", "/office/orders?status=all", "Orders to ship and to deliver"],
      ["office-stock", "/office/stock", "Stock"],
      ["office-products", "/office/products", "Products"],
      ["office-payments", "/office/payments", "Payments"],
      ["office-customers", "/office/customers", "Customers"],
      ["office-sales", "/office/sales", "Sales"],
      ["office-activity", "/office/activity", "Activity"],
      ["office-people", "/office/people", "People"],
    ],
    "The lab": [
      ["lab", "/lab", "The live map"],
      ["lab-business", "/lab?sheet=business", "The live map of the event-driven architecture"],
      ["lab-lessons", "/lab/lessons", "The lessons"],
      ["lab-lesson", "/lab/lessons/happy_path", "A lesson before it begins"],
      ["lab-glossary", "/lab/glossary", "The glossary"],
      ["lab-dials", "/lab/dials", "The dials and lights"],
      ["lab-class", "/lab/class", "The class, for its educator"],
      ["class", "/class", "The class, on a phone"],
      ["lab-projections", "/lab/projections", "The event handlers"],
      ["lab-views", "/lab/views", "The views of one's own"],
      ["lab-dead-letters", "/lab/dead-letters", "The dead letters"],
      ["lab-split", "/lab/split", "The split view"],
      ["lab-recording", "/lab/recording", "The recordings"],
      ["lab-player", recording, "A recording that is played"],
    ],
    "The log": [
      ["streams", "/lab/streams", "The streams and their verification"],
      ["stream", `/lab/streams/order-${order}`, "The events of a stream"],
      ["event", `/lab/events/${event}`, "An event, with its causes and effects"],
    ],
  };
}

/** The pages that are taken in the light theme as well. */
const LIGHT = ["landing", "catalogue", "order", "office-sales", "lab", "lab-dials"];

/** The languages of the pictures of the landing page and of the sheets. */
const LANGUAGES = ["en", "de", "ar", "hi", "ja"];

const docs = path.join(import.meta.dirname, "../docs");
const folder = path.join(docs, "screens");

test.use({ colorScheme: "dark" });

test("a picture of every page", async ({ page: outside, newPerson, server }) => {
  const opened = await office.openFullShop(server);
  await outside.goto("/");
  const guest = await newPerson();
  await office.letIn(opened, guest, "customer", { name: "Grace" });
  const joined = await openTab(guest, "/shop");
  const ada = await newPerson();
  const actor = crypto.randomUUID();
  const own = await office.letIn(opened, ada, "educator", { name: "Ada", actor });
  await office.done(opened, own, "RegisterUser", `user-${actor}`, {
    email: "ada@example.org",
    display_name: "Ada",
    password: "correct horse battery",
  });
  const inside = await openTab(ada, "/shop");
  const grace = await office.token(opened, "customer", { name: "Grace" });
  const orders = [];
  for (const bearer of [own, grace, grace, own]) orders.push(await office.orderToShip(opened, bearer));
  await office.done(opened, opened.token, "ShipOrder", `order-${orders[0]}`, {});
  await office.done(opened, opened.token, "DeliverOrder", `order-${orders[0]}`, {});
  await office.done(opened, opened.token, "ShipOrder", `order-${orders[1]}`, {});
  await shop.isLive(inside);
  for (const name of ["Star map", "Enamel mug"]) {
    await shop
      .product(inside, name)
      .getByRole("button", { name: /Add to basket/ })
      .click();
  }

  const headers = { "content-type": "application/json", authorization: `Bearer ${own}` };
  const stream = await server.fetch(`/api/v1/streams/order-${orders[0]}`, { headers });
  const [{ event_id: event }] = (await stream.json()).data;
  const body = JSON.stringify({ title: "Four orders" });
  const kept = await server.fetch("/api/v1/lab/recordings", { method: "POST", headers, body });
  const { link: recording } = await kept.json();

  await mkdir(folder, { recursive: true });
  for (const file of await readdir(folder)) await rm(path.join(folder, file));
  const lines = ["# Every page", ""];
  lines.push("Written by `cargo xtask screens`: every page on a desktop and on a phone.", "");
  for (const [chapter, pages] of Object.entries(chapters(orders[0], event, recording))) {
    lines.push(`## ${chapter}`, "");
    for (const [name, address, title] of pages) {
      // A guest may make an account.
      const page = name === "register" ? joined : chapter === OUTSIDE ? outside : inside;
      const answer = await page.goto(address);
      expect(answer.ok(), `${address} answered ${answer.status()}`).toBe(true);
      await expect(mainHeading(page)).toBeVisible();
      if (await shop.connection(page).count()) await shop.isLive(page);
      const themes = LIGHT.includes(name) ? ["dark", "light"] : ["dark"];
      for (const theme of themes) {
        await page.emulateMedia({ colorScheme: theme });
        const files = await takePictures(page, folder, theme === "dark" ? name : `${name}-light`);
        lines.push(`### ${title}${theme === "light" ? ", light" : ""}`, "");
        lines.push(files.map((file) => picture(file, `${title}, ${theme}`)).join("\n"), "");
      }
      await page.emulateMedia({ colorScheme: "dark" });
    }
  }
  lines.push("## In five languages", "");
  for (const language of LANGUAGES.slice(1)) {
    await outside.goto(`/?lang=${language}`);
    const files = await takePictures(outside, folder, `landing-${language}`);
    lines.push(files.map((file) => picture(file, `The home page, ${language}`)).join("\n"), "");
  }
  lines.push("## The picture", "");
  for (const language of LANGUAGES) {
    for (const sheet of ["pattern", "business"]) {
      for (const theme of ["dark", "light"]) {
        const file = path.join(folder, `${sheet}-${language}-${theme}-1600.webp`);
        await takeSheet(outside, server, { sheet, theme, lang: language }, file);
        lines.push(picture(file, `The sheet ${sheet}, ${language}, ${theme}`));
      }
    }
    lines.push("");
  }
  await writeFile(path.join(docs, "screens.md"), `${lines.join("\n").trimEnd()}\n`);
  const files = await readdir(folder);
  const sizes = await Promise.all(files.map(async (file) => (await stat(path.join(folder, file))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  console.log(`${sizes.length} pictures, ${Math.round(total / 1000)} KB, in ${folder}`);
});

/** The element that shows a file of `takePictures`. */
function picture(file, title) {
  const width = file.match(/-(\d+)\.\w+$/)[1];
  const alt = `${title}, ${width} pixels wide`;
  return `<img src="screens/${path.basename(file)}" alt="${alt}" width="${width === "360" ? 200 : 620}">`;
}
