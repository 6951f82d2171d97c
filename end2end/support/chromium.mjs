// The Chromium of this machine, started the same way by every runner. Playwright's own download is never
// used: the browser under test is the one that the system's packages install.
import { access } from "node:fs/promises";
import path from "node:path";
import process from "node:process";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** What Playwright's `launch` is given. */
export async function launchOptions() {
  return {
    executablePath: await executable(),
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  };
}

async function executable() {
  if (process.env.FOLDLINE_CHROMIUM) return process.env.FOLDLINE_CHROMIUM;
  for (const folder of (process.env.PATH ?? "").split(path.delimiter)) {
    for (const name of NAMES) {
      const file = path.join(folder, name);
      if (await exists(file)) return file;
    }
  }
  throw new Error("no Chromium found: install it, or name it in FOLDLINE_CHROMIUM");
}

async function exists(file) {
  return access(file).then(
    () => true,
    () => false,
  );
}
