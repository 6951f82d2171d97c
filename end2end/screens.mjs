// Takes a picture of every page, on a desk and in a hand, and writes the page that shows them.
//
//     node screens.mjs <folder of docs>
//
// `cargo xtask screens` does this with a fresh client and server; by hand, FOLDLINE_BINARY names the server. The pictures
// go into `screens/` of that folder, and what shows them into `screens.md`.
import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { browse } from "./support/browser.mjs";
import * as check from "./support/check.mjs";
import * as find from "./support/find.mjs";
import * as office from "./support/office.mjs";
import { takeScreens } from "./support/screens.mjs";
import { startServer } from "./support/server.mjs";
import * as shop from "./support/shop.mjs";

/** The chapter of those who are in no workspace. */
const WAY_IN = "The way in";

/** The pages in the order in which they are shown: a heading, and the name, path and title of each under it. */
function chapters(order) {
  return {
    [WAY_IN]: [
      ["landing", "/", "The start page"],
      ["join", "/join/ABCDEFG", "Joining with a code"],
      ["register", "/register", "Making an account"],
      ["sign-in", "/sign-in", "Signing in"],
    ],
    "The shop": [
      ["catalogue", "/shop", "The catalogue"],
      ["product", "/shop/mug-01", "A product"],
      ["basket", "/basket", "The basket and the checkout"],
      ["orders", "/orders", "The orders"],
      ["order", `/orders/${order}`, "An order and its time line"],
      ["inbox", "/inbox", "The inbox"],
      ["mailbox", "/mailbox", "Mails, where no server takes them"],
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
    "The log": [
      ["streams", "/streams", "The streams, and the proof"],
      ["stream", `/streams/order-${order}`, "The events of a stream"],
    ],
  };
}

/** Those that are taken in the light theme as well. */
const LIGHT = ["catalogue", "order", "office-sales"];

const docs = path.resolve(process.argv[2] ?? path.join(import.meta.dirname, "../docs"));
const folder = path.join(docs, "screens");
// What `startServer` and `browse` want of a test.
const leavings = [];
const run = { name: "screens", passed: true, diagnostic: console.error, after: (leave) => leavings.push(leave) };

try {
  const server = await startServer(run);
  const opened = await office.openFullShop(server);
  const stranger = await (await browse(run, server)).open("/");
  const guest = await browse(run, server);
  await office.letIn(opened, guest, "customer", { name: "Grace" });
  const joined = await guest.open("/shop");
  const ada = await browse(run, server);
  const actor = crypto.randomUUID();
  const own = await office.letIn(opened, ada, "educator", { name: "Ada", actor });
  await office.done(opened, own, "RegisterUser", `user-${actor}`, {
    email: "ada@example.org",
    display_name: "Ada",
    password: "correct horse battery",
  });
  const inside = await ada.open("/shop");
  const grace = await office.token(opened, "customer", { name: "Grace" });
  const orders = [];
  for (const bearer of [own, grace, grace, own]) orders.push(await office.orderToShip(opened, bearer));
  await office.done(opened, opened.token, "ShipOrder", `order-${orders[0]}`, {});
  await office.done(opened, opened.token, "DeliverOrder", `order-${orders[0]}`, {});
  await office.done(opened, opened.token, "ShipOrder", `order-${orders[1]}`, {});
  for (const page of [stranger, joined, inside]) await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
  await shop.isLive(inside);
  for (const name of ["Star map", "Enamel mug"]) {
    await find.button(shop.product(inside, name), /Add to basket/).click();
  }

  await mkdir(folder, { recursive: true });
  for (const file of await readdir(folder)) await rm(path.join(folder, file));
  const lines = ["# Every page", "", "As `cargo xtask screens` took them: on a desk, and in a hand.", ""];
  for (const [chapter, pages] of Object.entries(chapters(orders[0]))) {
    lines.push(`## ${chapter}`, "");
    for (const [name, address, title] of pages) {
      // Who has come in as a guest may make an account.
      const page = name === "register" ? joined : chapter === WAY_IN ? stranger : inside;
      const answer = await page.goto(address);
      if (!answer.ok()) throw new Error(`${address} answered ${answer.status()}`);
      await check.hasTitle(page);
      if (await shop.connection(page).count()) await shop.isLive(page);
      const themes = LIGHT.includes(name) ? ["dark", "light"] : ["dark"];
      for (const theme of themes) {
        await page.emulateMedia({ colorScheme: theme });
        const files = await takeScreens(page, folder, theme === "dark" ? name : `${name}-light`);
        const shown = files.map((file) => {
          const width = file.match(/-(\d+)\.\w+$/)[1];
          const words = `${title}, ${theme}, ${width} pixels wide`;
          return `<img src="screens/${path.basename(file)}" alt="${words}" width="${width === "360" ? 200 : 620}">`;
        });
        lines.push(`### ${title}${theme === "light" ? ", light" : ""}`, "", shown.join("\n"), "");
      }
      await page.emulateMedia({ colorScheme: "dark" });
    }
  }
  await writeFile(path.join(docs, "screens.md"), `${lines.join("\n").trimEnd()}\n`);
  const sizes = await Promise.all((await readdir(folder)).map(async (file) => (await stat(path.join(folder, file))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  console.log(`${sizes.length} pictures, ${Math.round(total / 1000)} KB, in ${folder}`);
} catch (error) {
  run.passed = false;
  throw error;
} finally {
  for (const leave of leavings) await leave();
}
