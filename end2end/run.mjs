// Runs the browser tests: every file in tests/, or those whose path contains one of the words given.
//
//     node run.mjs [word …]
//
// `cargo xtask test browser` does this with a fresh client and server; by hand, FOLDLINE_BINARY names the server.
import { readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import path from "node:path";
import process from "node:process";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { FILE_MS } from "./support/patience.mjs";

const folder = path.join(import.meta.dirname, "tests");
const words = process.argv.slice(2);
const files = (await readdir(folder, { recursive: true }))
  .filter((file) => file.endsWith(".test.mjs"))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort()
  .map((file) => path.join(folder, file));

// A browser and a server take a core each.
const concurrency = Math.max(1, Math.floor(availableParallelism() / 2));
const counts = { passed: 0, failed: 0 };
const isTest = (data) => data.details?.type !== "suite" && !files.includes(data.name);

// Without files `run` would look for some itself.
if (files.length > 0) {
  const results = run({ files, concurrency, timeout: FILE_MS });
  results.on("test:pass", (data) => {
    if (isTest(data) && !data.skip && !data.todo) counts.passed += 1;
  });
  results.on("test:fail", (data) => {
    // The entry of a file fails along with its tests; it only counts when it fails without one.
    if (isTest(data) || counts.failed === 0) counts.failed += 1;
    process.exitCode = 1;
  });
  for await (const text of results.compose(new spec())) process.stdout.write(text);
}
const verdict = counts.failed === 0 ? "ok" : "FAILED";
console.log(`test result: ${verdict}. ${counts.passed} passed; ${counts.failed} failed; ${files.length} files`);
