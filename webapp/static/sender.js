// Sends what is in the outbox, one request at a time, until the server has acknowledged or rejected each.
import { Backoff } from "./backoff.js";

// Longer than the server works on any request: what it has not answered by then it has given up.
const REQUEST_TIMEOUT = 25_000;
const RETRYABLE_STATUSES = new Set([408, 425, 429]);

// Returns one of { acknowledged }, { rejected: the problem } and { retryAfter: the header's value or null }.
async function request(address, options, isAcknowledged) {
  try {
    const signal = AbortSignal.timeout?.(REQUEST_TIMEOUT);
    const response = await fetch(address, { ...options, redirect: "error", signal });
    const isProblem = response.headers.get("Content-Type")?.startsWith("application/problem+json");
    if (response.ok && isAcknowledged(await response.json())) {
      return { acknowledged: true };
    }
    if (isProblem && response.status < 500 && !RETRYABLE_STATUSES.has(response.status)) {
      return { rejected: await response.json() };
    }
    return { retryAfter: response.headers.get("Retry-After") };
  } catch {
    // No response, or one that is not the service's: a proxy, the sign-in page of a wireless network.
    return { retryAfter: null };
  }
}

// Two tabs with the same attempt exclude each other, where the browser supports locks. A tab that was suspended while
// it had the lock is not waited for.
async function withLock(name, operation) {
  if (!navigator.locks) {
    return operation();
  }
  const signal = AbortSignal.timeout?.(REQUEST_TIMEOUT);
  try {
    return await navigator.locks.request(name, { signal }, operation);
  } catch (error) {
    if (error !== signal?.reason) {
      throw error;
    }
    return operation();
  }
}

export class Sender {
  // Whether the last request got no definite response.
  isRetrying = false;
  #isWorking = false;
  #backoff = new Backoff();

  // `callbacks` has onSaved(item, choices), onRejected(item or null, problem), onFinished() and onChanged().
  constructor(outbox, api, callbacks) {
    this.outbox = outbox;
    this.api = api;
    this.callbacks = callbacks;
  }

  async flush() {
    if (this.#isWorking) {
      return;
    }
    this.#isWorking = true;
    try {
      while (!this.outbox.isEmpty) {
        await this.#backoff.wait();
        await withLock(this.outbox.name, () => this.#sendNext());
        this.callbacks.onChanged();
      }
    } finally {
      this.#isWorking = false;
      this.isRetrying = false;
      this.callbacks.onChanged();
    }
  }

  // There is reason to believe that the server can be reached again.
  retrySoon() {
    this.#backoff.retrySoon();
    this.flush();
  }

  async #sendNext() {
    const [next] = this.outbox.pendingAnswers();
    if (next) {
      await this.#sendAnswer(...next);
    } else if (this.outbox.finishRequested) {
      await this.#sendFinish();
    }
  }

  async #sendAnswer(item, choices) {
    const headers = { "Content-Type": "application/json" };
    const options = { method: "PUT", headers, body: JSON.stringify({ choices }) };
    const reply = await request(`${this.api}/answers/${item}`, options, (body) => body.saved === true);
    if (this.#isDefinite(reply)) {
      this.outbox.acknowledge(item, choices);
      if (reply.rejected) {
        this.callbacks.onRejected(item, reply.rejected);
      } else {
        this.callbacks.onSaved(item, choices);
      }
    }
  }

  async #sendFinish() {
    const reply = await request(`${this.api}/finish`, { method: "POST" }, (body) => body.finished_at);
    if (this.#isDefinite(reply)) {
      this.outbox.finishRequested = false;
      if (reply.rejected) {
        this.callbacks.onRejected(null, reply.rejected);
      } else {
        this.outbox.clear();
        this.callbacks.onFinished();
      }
    }
  }

  #isDefinite(reply) {
    this.isRetrying = "retryAfter" in reply;
    if (this.isRetrying) {
      this.#backoff.recordFailure(reply.retryAfter);
    } else {
      this.#backoff.reset();
    }
    return !this.isRetrying;
  }
}
