// The API does what its description says: Schemathesis generates valid and invalid requests from the OpenAPI
// description, and no response is a server error, or one that the description does not name.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "../support/test.mjs";

// A check that is left out: a rule of the shop may refuse a request that fits the description.
const REFUSED_BY_A_RULE = "positive_data_acceptance";

test.use({ serverArgs: ["--requests-per-minute", "0"] });

test("every response, to valid and invalid requests, is one that the description names", async ({
  server,
}) => {
  const program = process.env.SCHEMATHESIS;
  expect(program, "SCHEMATHESIS names the program `st`; `cargo xtask test browser` installs it").toBeTruthy();
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
      // lines of JSON, which it cannot write
      ...["--exclude-path", "/api/v1/workspaces/import"],
      // with a paused view, or with bots that order all the time, a workspace is rightly never settled
      ...["--exclude-path", "/api/v1/lab/projections/{name}/pause", "--exclude-path", "/api/v1/lab/bots"],
      ...["--exclude-checks", REFUSED_BY_A_RULE, "--phases", "examples,coverage,fuzzing"],
      ...["--max-examples", "20", "--generation-deterministic", "--continue-on-failure", "--no-color"],
      // as long as the server may take, and the longest that a request may ask to wait besides
      ...["--request-timeout", "200"],
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  for (const stream of [run.stdout, run.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text) => (output += text));
  }
  const [code] = await once(run, "close");
  expect(code, output).toBe(0);
  const [, cases] = output.match(/(\d+) generated/) ?? [];
  console.log(`${cases} requests were generated`);
  expect(Number(cases), output).toBeGreaterThan(100);
});
