// The browser of the benchmark `client`: Chromium as the browser tests find it, and what its protocol tells
// of a page. Playwright is that of the browser tests.
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "../../end2end/node_modules/playwright-core/index.mjs";
import { launchOptions } from "../../end2end/support/chromium.mjs";

/** For what a page is waited for, in milliseconds. It only ends a benchmark that hangs. */
const PATIENCE_MS = 300_000;
/** A page is loaded when it has requested nothing for so long, in milliseconds. */
const QUIET_MS = 250;
const POLL_MS = 10;

/** Starts it. */
export async function launch() {
  return chromium.launch(await launchOptions());
}

/** A person's browser, with nothing in its cache. A token signs the person in. */
export async function newPerson(browser, origin, token) {
  const person = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB" });
  person.setDefaultTimeout(PATIENCE_MS);
  if (token) await person.addCookies([{ name: "foldline_session", value: token, url: origin }]);
  await person.addInitScript(observe);
  return person;
}

/**
 * Runs in the page before its own scripts: `hydrated` is the event that `frontend/frame.js` waits for. The
 * memory of WebAssembly is no part of the JavaScript heap, and is kept from its instance.
 */
function observe() {
  const seen = { hydrated: null, shift: 0, memories: [], confirmed: [] };
  window.benchmark = seen;
  for (const name of ["instantiate", "instantiateStreaming"]) {
    const original = WebAssembly[name];
    WebAssembly[name] = async (...given) => {
      const made = await original.apply(WebAssembly, given);
      const { memory } = (made.instance ?? made).exports;
      if (memory) seen.memories.push(memory);
      return made;
    };
  }
  document.addEventListener(
    "hydrated",
    () => {
      seen.hydrated = performance.now();
    },
    { once: true },
  );
  new PerformanceObserver((list) => {
    for (const shift of list.getEntries()) {
      if (!shift.hadRecentInput) seen.shift = Math.max(seen.shift, shift.value);
    }
  }).observe({ type: "layout-shift", buffered: true });
}

/** A tab, with its traffic as the browser's network stack counts it. */
export class Tab {
  #requests = 0;
  #wire = 0;
  #underway = new Set();
  #changedAt = performance.now();
  #frames = 0;
  #carried = 0;

  static async open(person) {
    const tab = new Tab();
    tab.page = await person.newPage();
    tab.protocol = await person.newCDPSession(tab.page);
    tab.#count();
    await tab.protocol.send("Network.enable");
    return tab;
  }

  /** The frames with a change that the live connection has brought. */
  get changes() {
    return this.#frames;
  }

  /** The bytes of the frames that the live connection has brought. */
  get carried() {
    return this.#carried;
  }

  /** Goes to a page, waits until it is hydrated and quiet, and gives its figures. */
  async load(url) {
    [this.#requests, this.#wire] = [0, 0];
    const answer = await this.page.goto(url, { waitUntil: "load", timeout: PATIENCE_MS });
    if (!answer.ok()) throw new Error(`${url} answered ${answer.status()}`);
    await this.hydrated();
    await this.quiet();
    const seen = await this.page.evaluate(() => ({
      paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null,
      html: performance.getEntriesByType("navigation")[0].decodedBodySize,
      hydrated: window.benchmark.hydrated,
      shift: window.benchmark.shift,
    }));
    if (seen.paint === null) throw new Error(`${url} has painted nothing`);
    return { ...seen, requests: this.#requests, wire: this.#wire, ...(await this.memory()) };
  }

  /** Until the islands take clicks; a page without islands does already. */
  async hydrated() {
    await this.page.waitForFunction(
      () => window.benchmark.hydrated !== null || !document.querySelector("leptos-island"),
    );
  }

  /** Until nothing has been requested and no frame has come for a while. */
  async quiet() {
    const until = performance.now() + PATIENCE_MS;
    while (this.#underway.size > 0 || performance.now() - this.#changedAt < QUIET_MS) {
      if (performance.now() > until) throw new Error("the page does not come to rest");
      await sleep(POLL_MS);
    }
  }

  /** Until so many changes have come. */
  async changed(changes) {
    const until = performance.now() + PATIENCE_MS;
    while (this.#frames < changes) {
      if (performance.now() > until) throw new Error(`${this.#frames} of ${changes} changes have come`);
      await sleep(POLL_MS);
    }
  }

  /** The bytes of the JavaScript heap, without garbage, and of the memory of WebAssembly. */
  async memory() {
    await this.protocol.send("HeapProfiler.collectGarbage");
    const { usedSize } = await this.protocol.send("Runtime.getHeapUsage");
    const sizes = await this.page.evaluate(() =>
      window.benchmark.memories.map((memory) => memory.buffer.byteLength),
    );
    return { heap: usedSize, wasm: sizes.reduce((sum, size) => sum + size, 0) };
  }

  /** The rows of a list of orders. */
  rows() {
    return this.page.locator("tr[data-order]").count();
  }

  /** Notes when a row of an order is first painted as confirmed, from here on. */
  async watchConfirmations() {
    await this.page.evaluate(() => {
      const { confirmed } = window.benchmark;
      const known = new Set();
      const isConfirmed = (row) => row.textContent.includes("confirmed");
      const rows = () => document.querySelectorAll("tr[data-order]");
      for (const row of rows()) if (isConfirmed(row)) known.add(row.dataset.order);
      new MutationObserver(() => {
        for (const row of rows()) {
          if (known.has(row.dataset.order) || !isConfirmed(row)) continue;
          known.add(row.dataset.order);
          // A task after the frame that has the row: it is painted then.
          requestAnimationFrame(() => {
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = () => confirmed.push(performance.timeOrigin + performance.now());
            port2.postMessage(null);
          });
        }
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
  }

  /** When the order with this number was painted as confirmed, counted from the first that was watched. */
  async confirmedAt(number) {
    const time = await this.page.waitForFunction((number) => window.benchmark.confirmed[number], number, {
      polling: POLL_MS,
    });
    return time.jsonValue();
  }

  async close() {
    await this.page.close();
  }

  #count() {
    const changed = () => {
      this.#changedAt = performance.now();
    };
    const on = (event, act) =>
      this.protocol.on(`Network.${event}`, (details) => {
        changed();
        act(details);
      });
    on("requestWillBeSent", ({ requestId, request }) => {
      if (!request.url.startsWith("http")) return;
      this.#underway.add(requestId);
    });
    on("responseReceived", ({ response }) => {
      // What the cache answers by itself is no request.
      if (!response.fromDiskCache && !response.fromPrefetchCache) this.#requests += 1;
    });
    // The bytes of an answer as they came, headers included; none of what came from the cache.
    on("loadingFinished", ({ requestId, encodedDataLength }) => {
      this.#underway.delete(requestId);
      this.#wire += encodedDataLength;
    });
    on("loadingFailed", ({ requestId }) => this.#underway.delete(requestId));
    on("webSocketFrameReceived", ({ response }) => {
      this.#carried += Buffer.byteLength(response.payloadData);
      if (response.payloadData.startsWith('{"op":"change"')) this.#frames += 1;
    });
  }
}
