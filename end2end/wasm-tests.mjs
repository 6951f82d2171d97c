// Runs tests that were compiled to WebAssembly, on a page in a real browser.
//
//     node wasm-tests.mjs <folder> …
//
// Each folder holds `tests.js` and `tests_bg.wasm`, as `cargo xtask test wasm` writes them. The page does
// what wasm-bindgen's own runner does: it hands every export named `__wbgt_…` to a `WasmBindgenTestContext`,
// which prints into the element `output`.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import process from "node:process";
import { once } from "node:events";
import { chromium } from "@playwright/test";
import { launchOptions } from "./support/chromium.mjs";
import { PATIENCE_MS } from "./support/patience.mjs";

const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm" };
const PAGE = `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>Tests</title><link rel="icon" href="data:,"></head>
  <body>
    <pre id="output"></pre>
    <pre id="console_output"></pre>
    <script>
      // The context listens to the console through these hooks, and shows the lines of a test that failed.
      for (const method of ["debug", "log", "info", "warn", "error"]) {
        const original = console[method];
        console[method] = (...args) => {
          original.apply(console, args);
          window["on_console_" + method]?.(args);
        };
      }
      window.__wbg_test_invoke = (f) => f();
    </script>
    <script type="module">
      import * as glue from "./tests.js";
      try {
        const wasm = await glue.default({ module_or_path: "./tests_bg.wasm" });
        const context = new glue.WasmBindgenTestContext(false);
        for (const method of ["debug", "log", "info", "warn", "error"]) {
          window["on_console_" + method] = glue["__wbgtest_console_" + method];
        }
        context.include_ignored(false);
        context.filtered_count(0);
        const tests = Object.keys(wasm).filter((name) => name.startsWith("__wbgt_"));
        const passed = tests.length > 0 && (await context.run(tests.map((name) => wasm[name])));
        window.result = { tests: tests.length, passed };
      } catch (error) {
        window.result = { tests: 0, passed: false, error: String(error?.stack ?? error) };
      }
    </script>
  </body>
</html>`;

async function serve(folder) {
  const server = createServer(async (request, response) => {
    if (request.url === "/") {
      response.setHeader("content-type", "text/html").end(PAGE);
      return;
    }
    try {
      const file = path.join(folder, path.normalize(decodeURI(request.url)));
      const content = await readFile(file);
      const type = TYPES[path.extname(file)] ?? "application/octet-stream";
      response.setHeader("content-type", type).end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

async function runFolder(browser, folder) {
  const server = await serve(folder);
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.error(`exception: ${error.stack ?? error.message}`));
  try {
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.waitForFunction(() => window.result !== undefined, null, { timeout: PATIENCE_MS });
    return await page.evaluate(() => window.result);
  } finally {
    console.log(await page.locator("#output").textContent());
    await page.close();
    server.close();
  }
}

const browser = await chromium.launch(await launchOptions());
try {
  for (const folder of process.argv.slice(2)) {
    console.log(`${path.basename(folder)}, in ${browser.browserType().name()} ${browser.version()}`);
    const { tests, passed, error } = await runFolder(browser, folder);
    if (error) console.error(error);
    if (tests === 0) console.error("no test was found");
    if (!passed) process.exitCode = 1;
  }
} finally {
  await browser.close();
}
