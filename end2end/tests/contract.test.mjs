// The interface does what its description says: Schemathesis makes requests up from the OpenAPI description, good and bad
// ones, and no answer is a server error, or one that the description does not know.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { startServer } from "../support/server.mjs";

// What it may not find fault with: a request that fits the description, and is refused by a rule of the shop.
const REFUSALS_ARE_FINE = "positive_data_acceptance";

test("no request that the description allows or forbids is answered otherwise than it says", async (t) => {
  const program = process.env.SCHEMATHESIS;
  assert.ok(program, "SCHEMATHESIS names the program `st`; `cargo xtask test browser` installs it");
  const server = await startServer(t, { args: ["--requests-per-minute", "0"] });
  const opened = await server.fetch("/api/v1/workspaces", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ template: "shop" }),
  });
  const { token } = await opened.json();
  const run = spawn(
    program,
    [
      ...["run", `${server.url}/api/v1/openapi.json`, "--header", `Authorization: Bearer ${token}`],
      // a WebSocket
      ...["--exclude-path", "/api/v1/live"],
      ...["--exclude-checks", REFUSALS_ARE_FINE, "--phases", "examples,coverage,fuzzing"],
      ...["--max-examples", "20", "--generation-deterministic", "--continue-on-failure", "--no-color"],
      // as long as the server may take, and the longest that a request may ask to wait besides
      ...["--request-timeout", "200"],
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let said = "";
  for (const output of [run.stdout, run.stderr]) {
    output.setEncoding("utf8");
    output.on("data", (text) => (said += text));
  }
  const [code] = await once(run, "close");
  assert.equal(code, 0, said);
  const [, cases] = said.match(/(\d+) generated/) ?? [];
  t.diagnostic(`${cases} requests were made up`);
  assert.ok(Number(cases) > 100, said);
});
