// A foldline server for one test: its own port, its own data, gone when the test ends. It can be stopped the
// way a deployment stops it, killed the way a power cut does, and started again on the same port and the same
// data.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { PATIENCE_MS, REQUEST_TIMEOUT } from "./patience.mjs";

export const BINARY =
  process.env.FOLDLINE_BINARY ?? path.join(import.meta.dirname, "../../target/debug/foldline");

/**
 * The ports of the servers: below those that the system hands out by itself. So no other program is given the
 * port of a server that is away, and no browser that keeps trying to reach it connects to itself.
 */
const PORTS = { from: 10_000, count: 20_000 };

/** A server that is not started yet. `args` are further arguments of `foldline serve`. */
export async function newServer(args) {
  return new Server(await freePort(), await mkdtemp(path.join(tmpdir(), "foldline-")), args);
}

class Server {
  #child = null;

  constructor(port, dataDir, args) {
    this.port = port;
    this.dataDir = dataDir;
    this.args = args;
    this.log = "";
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts the program and waits until `/readyz` says so. */
  async start() {
    assert.equal(this.#child, null, "the server runs already");
    const child = spawn(
      BINARY,
      [
        ...["serve", "--listen", `127.0.0.1:${this.port}`, "--data-dir", this.dataDir],
        ...REQUEST_TIMEOUT,
        ...this.args,
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    const keep = (text) => {
      this.log += text;
    };
    child.stdout.setEncoding("utf8").on("data", keep);
    child.stderr.setEncoding("utf8").on("data", keep);
    child.on("error", (error) => keep(`${error}\n`));
    this.#child = child;
    const deadline = Date.now() + PATIENCE_MS;
    while (!(await this.#isReady())) {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
        this.#child = null;
        throw new Error(`the server ended before it was ready:\n${this.log}`);
      }
      if (Date.now() > deadline) {
        throw new Error(`the server was not ready in ${PATIENCE_MS} ms:\n${this.log}`);
      }
      await sleep(50);
    }
  }

  /** Stops as a deployment does, and gives the exit code. */
  async stop() {
    return this.#end("SIGTERM");
  }

  /** Stops as a power cut does. */
  async kill() {
    return this.#end("SIGKILL");
  }

  /** Ends the program, and removes its data. */
  async remove() {
    await this.kill();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  /** A path of the server, fetched by this process and not by the browser. */
  fetch(path, init) {
    return fetch(new URL(path, this.url), init);
  }

  async #isReady() {
    try {
      return (await this.fetch("/readyz")).ok;
    } catch {
      return false;
    }
  }

  async #end(signal) {
    const child = this.#child;
    if (child === null) return null;
    this.#child = null;
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, "exit");
      child.kill(signal);
      const giveUp = new AbortController();
      const late = sleep(PATIENCE_MS, "late", { signal: giveUp.signal }).catch(() => "in time");
      const first = await Promise.race([exited, late]);
      giveUp.abort();
      if (first === "late") {
        child.kill("SIGKILL");
        throw new Error(`the server did not end within ${PATIENCE_MS} ms of ${signal}:\n${this.log}`);
      }
    }
    return child.exitCode;
  }
}

/** A port that no process listens on. */
async function freePort() {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * PORTS.count);
    const probe = createServer();
    try {
      probe.listen(port, "127.0.0.1");
      await once(probe, "listening");
    } catch (error) {
      if (error.code === "EADDRINUSE") continue;
      throw error;
    }
    probe.close();
    await once(probe, "close");
    return port;
  }
}
