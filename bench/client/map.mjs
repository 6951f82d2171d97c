// The live map under load, for the benchmark `client`: events at a steady rate, the frames that the tab draws
// meanwhile, what its socket carries, and the memory of its scripts.
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** How often commands are sent, in milliseconds. */
const TICK_MS = 10;
/** Their connections to the server. */
const CONNECTIONS = 16;
/** The products whose stock is received, so that commands meet on a stream seldom. */
const PRODUCTS = 20;

/** Receives stock at a rate until the time is over, and gives the number of events and of failures. */
export async function receiveStock(origin, token, rate, milliseconds) {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const underway = new Set();
  const sent = { events: 0, failures: 0, begun: 0 };
  const begun = performance.now();
  for (let passed = 0; passed < milliseconds; passed = performance.now() - begun) {
    for (const due = Math.floor((rate * passed) / 1000); sent.begun < due; sent.begun += 1) {
      const command = receive(origin, token, agent, sent.begun % PRODUCTS)
        .then((accepted) => {
          sent[accepted ? "events" : "failures"] += 1;
        })
        .finally(() => underway.delete(command));
      underway.add(command);
    }
    await sleep(TICK_MS);
  }
  await Promise.all(underway);
  agent.destroy();
  return sent;
}

function receive(origin, token, agent, product) {
  const stream = `inventory-mug-${product}`;
  const body = JSON.stringify({ type: "ReceiveStock", stream, data: { quantity: 1 } });
  const headers = {
    "content-type": "application/json",
    "content-length": body.length,
    authorization: `Bearer ${token}`,
    "idempotency-key": crypto.randomUUID(),
  };
  return new Promise((resolve, reject) => {
    const sending = request(`${origin}/api/v1/commands`, { method: "POST", agent, headers }, (answer) => {
      answer.resume();
      answer.on("end", () => resolve(answer.statusCode === 200));
    });
    sending.on("error", reject);
    sending.end(body);
  });
}

/** Notes when the page draws a frame, from here on. */
export async function watchFrames(page) {
  await page.evaluate(() => {
    const frames = [];
    const note = (time) => {
      frames.push(time);
      if (window.benchmark.frames === frames) requestAnimationFrame(note);
    };
    window.benchmark.frames = frames;
    requestAnimationFrame(note);
  });
}

/** The times between the frames since `watchFrames`, in milliseconds. */
export async function framesSeen(page) {
  const times = await page.evaluate(() => {
    const { frames } = window.benchmark;
    window.benchmark.frames = null;
    return frames;
  });
  return times.slice(1).map((time, index) => time - times[index]);
}
