// The product in a real browser, for the benchmark `client`. The benchmark starts this program, and writes a
// line of JSON for each task, with the URL and the token of a person (`null`: no person is signed in):
//
//   {"task":"load","milliseconds":…}    loads a page again and again, each time with an empty cache; with
//                                       `"warm":true`, with what one load before has left in it
//   {"task":"visit","milliseconds":…}   loads all of `urls` one after the other, beginning with an empty cache
//   {"task":"order","milliseconds":…}   from a click on "Place order" until another tab has painted the order
//                                       as confirmed
//   {"task":"grow","changes":…}         the memory of an order list before and after so many changes,
//                                       once it is as long as it becomes
//   {"task":"map","rate":…}             the live map while so many events a second are stored
//
// `"bare":true` means the floor, whose pages have other ways to the same. The first line of the output has the
// version of the browser; then each answer is a line of JSON. The program ends with its standard input.
import { createInterface } from "node:readline";
import { Tab, launch, newPerson } from "./browser.mjs";
import { framesSeen, receiveStock, watchFrames } from "./map.mjs";

/** Orders at the same time, and how many before the tab has to have taken all of them in. */
const CALLERS = 4;
const PART = 48;
/** After so many parts a list must be full. */
const MOST_PARTS = 60;
/** How long the live map draws packets before it is measured, in milliseconds. */
const WARM_UP_MS = 3_000;

const browser = await launch();

/** What one person does in a new browser. */
async function as(url, token, work) {
  const person = await newPerson(browser, new URL(url).origin, token);
  try {
    return await work(person);
  } finally {
    await person.close();
  }
}

/** Loads a page in a tab of its own, and gives its figures. */
async function loadOnce(person, url) {
  const tab = await Tab.open(person);
  try {
    return await tab.load(url);
  } finally {
    await tab.close();
  }
}

/** Repeats something until the time is over, at least once. */
async function repeat(milliseconds, once) {
  const begun = performance.now();
  const found = [];
  do found.push(await once());
  while (performance.now() - begun < milliseconds);
  return { milliseconds: performance.now() - begun, found };
}

async function load({ url, token, milliseconds, warm }) {
  if (!warm) return repeat(milliseconds, () => as(url, token, (person) => loadOnce(person, url)));
  return as(url, token, async (person) => {
    await loadOnce(person, url);
    return repeat(milliseconds, () => loadOnce(person, url));
  });
}

async function visit({ urls, token, milliseconds }) {
  return repeat(milliseconds, () =>
    as(urls[0], token, async (person) => {
      const total = { requests: 0, wire: 0, shift: 0 };
      let last;
      for (const url of urls) {
        last = await loadOnce(person, url);
        total.requests += last.requests;
        total.wire += last.wire;
        total.shift = Math.max(total.shift, last.shift);
      }
      return { ...last, ...total };
    }),
  );
}

async function order({ url, token, bare, milliseconds }) {
  return as(url, token, async (person) => {
    const list = await Tab.open(person);
    await list.load(url);
    await list.watchConfirmations();
    const buyer = await Tab.open(person);
    const origin = new URL(url).origin;
    let placed = 0;
    return repeat(milliseconds, async () => {
      if (bare) {
        if (placed === 0) await buyer.load(url);
      } else {
        await buyer.load(`${origin}/shop`);
        await buyer.page
          .getByRole("button", { name: /Add to basket/ })
          .first()
          .click();
        await buyer.load(`${origin}/basket`);
      }
      const button = buyer.page.getByRole("button", { name: "Place order" });
      await button.evaluate((element) => {
        element.addEventListener(
          "click",
          (event) => {
            sessionStorage.setItem("clicked", String(performance.timeOrigin + event.timeStamp));
          },
          { capture: true, once: true },
        );
      });
      await button.click();
      const painted = await list.confirmedAt(placed);
      placed += 1;
      const clicked = await buyer.page.evaluate(() => sessionStorage.getItem("clicked"));
      return { latency: painted - Number(clicked) };
    });
  });
}

async function grow({ url, token, bare, changes }) {
  return as(url, token, async (person) => {
    const list = await Tab.open(person);
    await list.load(url);
    const origin = new URL(url).origin;
    const empty = await list.memory();
    await fill(list, origin, token, bare);
    const before = await list.memory();
    const first = list.changes;
    const begun = performance.now();
    await makeChanges(list, origin, token, bare, first + changes);
    const milliseconds = performance.now() - begun;
    const after = await list.memory();
    const heap = after.heap - before.heap;
    const wasm = after.wasm - before.wasm;
    return {
      milliseconds,
      found: [
        {
          changes: list.changes - first,
          rows: await list.rows(),
          filled: before.heap - empty.heap + before.wasm - empty.wasm,
          heap,
          wasm,
          grown: heap + wasm,
        },
      ],
    };
  });
}

/** Makes changes until a list shows no more rows than before: it removes its oldest ones then. */
async function fill(list, origin, token, bare) {
  let before = -1;
  for (let part = 0; part < MOST_PARTS; part += 1) {
    const rows = await list.rows();
    if (rows === before) return;
    before = rows;
    await makeChanges(list, origin, token, bare, list.changes + 1);
  }
  throw new Error(`the list has ${before} rows, and grows still`);
}

/** Orders, or publishes, in parts, until a tab has had so many changes; it is at rest then. */
async function makeChanges(list, origin, token, bare, changes) {
  const make = bare ? () => publish(origin) : () => place(origin, token);
  while (list.changes < changes) {
    const before = list.changes;
    const caller = async () => {
      for (let made = 0; made < PART / CALLERS; made += 1) await make();
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
    await list.changed(before + 1);
    await list.quiet();
  }
}

async function map({ url, token, rate, milliseconds }) {
  return as(url, token, async (person) => {
    const tab = await Tab.open(person);
    await tab.load(url);
    // What the map allocates with its first packets is not growth.
    await receiveStock(new URL(url).origin, token, rate, Math.min(milliseconds, WARM_UP_MS));
    await tab.quiet();
    const before = await tab.memory();
    const carried = tab.carried;
    await watchFrames(tab.page);
    const begun = performance.now();
    const sent = await receiveStock(new URL(url).origin, token, rate, milliseconds);
    const passed = performance.now() - begun;
    const frames = await framesSeen(tab.page);
    if (sent.failures > 0) throw new Error(`${sent.failures} commands of ${sent.begun} failed`);
    await tab.quiet();
    const after = await tab.memory();
    const whole = {
      events: sent.events,
      frames: (frames.length * 1000) / passed,
      longest: Math.max(...frames),
      bytes: ((tab.carried - carried) * 1000) / passed,
      heap: after.heap - before.heap,
      wasm: after.wasm - before.wasm,
      grown: after.heap - before.heap + after.wasm - before.wasm,
    };
    return { milliseconds: passed, found: [whole, ...frames.map((frame) => ({ frame }))] };
  });
}

async function place(origin, token) {
  const id = crypto.randomUUID();
  const data = { lines: [{ sku: "mug-0", quantity: 1 }], payment_method: "tok_ok" };
  const command = { type: "PlaceOrder", stream: `order-${id}`, data };
  await post(`${origin}/api/v1/commands`, JSON.stringify(command), {
    "content-type": "application/json",
    authorization: `Bearer ${token}`,
    "idempotency-key": id,
  });
}

/** A frame of about the length of ours. */
async function publish(origin) {
  const frame = { op: "change", key: crypto.randomUUID(), status: "confirmed", filler: " ".repeat(400) };
  await post(`${origin}/publish`, JSON.stringify(frame), { "content-type": "text/plain" });
}

async function post(url, body, headers) {
  const answer = await fetch(url, { method: "POST", headers, body });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${text}`);
}

const tasks = { load, visit, order, grow, map };
process.stdout.write(`${JSON.stringify({ version: browser.version() })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const { task, ...settings } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await tasks[task](settings))}\n`);
}
await browser.close();
