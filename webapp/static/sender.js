// Sends what is in the outbox, one request at a time, until the server has acknowledged or refused each.
import { Patience } from "./patience.js";

// Longer than the server works on any request: what it has not answered by then it has given up.
const NO_REPLY_AFTER = 25_000;
const ONLY_FOR_NOW = new Set([408, 425, 429]);

// Returns one of { acknowledged }, { refused: the problem } and { later: what Retry-After says }.
async function request(address, options, isAcknowledged) {
  try {
    const signal = AbortSignal.timeout?.(NO_REPLY_AFTER);
    const response = await fetch(address, { ...options, redirect: "error", signal });
    const isProblem = response.headers.get("Content-Type")?.startsWith("application/problem+json");
    if (response.ok && isAcknowledged(await response.json())) {
      return { acknowledged: true };
    }
    if (isProblem && response.status < 500 && !ONLY_FOR_NOW.has(response.status)) {
      return { refused: await response.json() };
    }
    return { later: response.headers.get("Retry-After") };
  } catch {
    // No reply, or that of somebody else: a proxy, the sign-in page of a wireless network.
    return { later: null };
  }
}

// Two tabs with the same attempt take turns, where the browser can do that. A tab that was put to sleep in the
// middle of its turn is not waited for.
async function byTurns(name, deed) {
  if (!navigator.locks) {
    return deed();
  }
  const signal = AbortSignal.timeout?.(NO_REPLY_AFTER);
  try {
    return await navigator.locks.request(name, { signal }, deed);
  } catch (error) {
    if (error !== signal?.reason) {
      throw error;
    }
    return deed();
  }
}

export class Sender {
  // Whether the last request got no definite answer.
  isTroubled = false;
  #isWorking = false;
  #patience = new Patience();

  // `tell` has saved(item, choices), refused(item or null, problem), finished() and changed().
  constructor(outbox, api, tell) {
    this.outbox = outbox;
    this.api = api;
    this.tell = tell;
  }

  async wake() {
    if (this.#isWorking) {
      return;
    }
    this.#isWorking = true;
    try {
      while (!this.outbox.isEmpty) {
        await this.#patience.over();
        await byTurns(this.outbox.name, () => this.#sendNext());
        this.tell.changed();
      }
    } finally {
      this.#isWorking = false;
      this.isTroubled = false;
      this.tell.changed();
    }
  }

  // There is reason to believe that the server can be reached again.
  hurry() {
    this.#patience.hurry();
    this.wake();
  }

  async #sendNext() {
    const [next] = this.outbox.answers();
    if (next) {
      await this.#sendAnswer(...next);
    } else if (this.outbox.finishes) {
      await this.#sendFinish();
    }
  }

  async #sendAnswer(item, choices) {
    const headers = { "Content-Type": "application/json" };
    const options = { method: "PUT", headers, body: JSON.stringify({ choices }) };
    const reply = await request(`${this.api}/answers/${item}`, options, (body) => body.saved === true);
    if (this.#isDefinite(reply)) {
      this.outbox.take(item, choices);
      if (reply.refused) {
        this.tell.refused(item, reply.refused);
      } else {
        this.tell.saved(item, choices);
      }
    }
  }

  async #sendFinish() {
    const reply = await request(`${this.api}/finish`, { method: "POST" }, (body) => body.finished_at);
    if (this.#isDefinite(reply)) {
      this.outbox.finishes = false;
      if (reply.refused) {
        this.tell.refused(null, reply.refused);
      } else {
        this.outbox.clear();
        this.tell.finished();
      }
    }
  }

  #isDefinite(reply) {
    this.isTroubled = "later" in reply;
    if (this.isTroubled) {
      this.#patience.failed(reply.later);
    } else {
      this.#patience.succeeded();
    }
    return !this.isTroubled;
  }
}
