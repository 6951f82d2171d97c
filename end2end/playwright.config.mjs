// Runs the browser tests: every file in tests/, or those whose path matches an expression given.
//
//     npx playwright test [expression …]
//
// `cargo xtask test browser` does this with a fresh client and server; by hand, FOLDLINE_BINARY names the
// server. What a failed test leaves, a trace and pictures of its pages, lies in results/.
import { availableParallelism } from "node:os";
import { defineConfig } from "@playwright/test";
import { launchOptions } from "./support/chromium.mjs";
import { PATIENCE_MS, TEST_MS } from "./support/patience.mjs";

export default defineConfig({
  testDir: "tests",
  testMatch: "**/*.test.mjs",
  outputDir: "results",
  reporter: [["list"], ["./support/reporter.mjs"]],
  fullyParallel: true,
  // A browser and its server mostly wait for each other.
  workers: availableParallelism(),
  timeout: TEST_MS,
  expect: { timeout: PATIENCE_MS, toPass: { timeout: PATIENCE_MS } },
  use: {
    launchOptions: await launchOptions(),
    viewport: { width: 1280, height: 800 },
    reducedMotion: "reduce",
    actionTimeout: PATIENCE_MS,
    navigationTimeout: PATIENCE_MS,
    trace: "retain-on-failure",
    screenshot: "only-on-failure",
  },
});
