// The peer Emmett in the benchmark `append`: callers that each append one event at a time to streams of their
// own, ten events a stream, with the version that they know. The benchmark starts this program, and writes a
// line for each task:
//
//   probe N      appends N events one after the other
//   run MS       lets all callers append for so many milliseconds
//
// The answer is a line of JSON. The program ends with its standard input.

import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";

const [database, location, callerCount, payload, metadata] = process.argv.slice(2);
const STREAM = 10;
// Latencies are counted in buckets that are a hundredth wide.
const BUCKET = Math.log(1.01);

const { open } = await import(`./${database}/store.mjs`);
const store = await open(location);
const data = JSON.parse(payload);
const meta = JSON.parse(metadata);

class Caller {
  #number;
  #stored = 0;
  #version = "STREAM_DOES_NOT_EXIST";

  constructor(number) {
    this.#number = number;
  }

  async append() {
    const stream = `order-${this.#number}-${Math.floor(this.#stored / STREAM)}`;
    if (this.#stored % STREAM === 0) {
      this.#version = "STREAM_DOES_NOT_EXIST";
    }
    const event = { type: "OrderCreated", data, metadata: { ...meta, command_id: randomUUID() } };
    const answer = await store.append(stream, [event], { expectedStreamVersion: this.#version });
    this.#version = answer.nextExpectedStreamVersion;
    this.#stored += 1;
  }

  async appendFor(milliseconds, latencies) {
    const begun = performance.now();
    let before = begun;
    let done = 0;
    while (before - begun < milliseconds) {
      await this.append();
      const now = performance.now();
      const bucket = Math.round(Math.log(Math.max((now - before) * 1000, 1)) / BUCKET);
      latencies.set(bucket, (latencies.get(bucket) ?? 0) + 1);
      before = now;
      done += 1;
    }
    return done;
  }
}

const callers = Array.from({ length: Number(callerCount) }, (_, number) => new Caller(number));

const tasks = {
  probe: async (count) => {
    for (let done = 0; done < count; done += 1) {
      await callers[0].append();
    }
    return { done: count };
  },
  run: async (milliseconds) => {
    const latencies = new Map();
    const begun = performance.now();
    const done = await Promise.all(callers.map((caller) => caller.appendFor(milliseconds, latencies)));
    return {
      done: done.reduce((sum, part) => sum + part, 0),
      milliseconds: performance.now() - begun,
      // Microseconds, and how many calls took so long.
      latencies: [...latencies].map(([bucket, count]) => [Math.exp(bucket * BUCKET), count]),
    };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [task, number] = line.split(" ");
  process.stdout.write(`${JSON.stringify(await tasks[task](Number(number)))}\n`);
}
await store.close();
process.exit(0);
