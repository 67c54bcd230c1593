// How long to wait before the next try: never less than the server asked for, and each client for another time.
const INITIAL_BACKOFF = 1000;
const MAX_BACKOFF = 30_000;
const MAX_RETRY_AFTER = 600_000;

// Returns milliseconds: Retry-After is a number of seconds or a date.
function parseRetryAfter(retryAfter) {
  const seconds = Number(retryAfter);
  const delay = Number.isNaN(seconds) ? Date.parse(retryAfter) - Date.now() : seconds * 1000;
  return Math.min(Math.max(delay || 0, 0), MAX_RETRY_AFTER);
}

export class Backoff {
  #failures = 0;
  #notBefore = 0;
  #retryAt = 0;
  #timer = 0;
  #resolve = null;

  // Exponential backoff with full jitter, on top of what the server asked for.
  recordFailure(retryAfter) {
    const spread = Math.min(MAX_BACKOFF, INITIAL_BACKOFF * 2 ** this.#failures);
    this.#failures += 1;
    this.#notBefore = performance.now() + parseRetryAfter(retryAfter);
    this.#retryAt = this.#notBefore + Math.random() * spread;
  }

  reset() {
    this.#failures = 0;
    this.#notBefore = this.#retryAt = 0;
  }

  // The next try may succeed now. All clients behind one access point learn that at once, so this has jitter too.
  retrySoon() {
    const soon = Math.max(this.#notBefore, performance.now()) + Math.random() * INITIAL_BACKOFF;
    this.#failures = 0;
    this.#retryAt = Math.min(this.#retryAt, soon);
    this.#schedule();
  }

  // Resolves when it is time for the next try.
  wait() {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#schedule();
    });
  }

  #schedule() {
    clearTimeout(this.#timer);
    if (this.#resolve) {
      this.#timer = setTimeout(this.#resolve, Math.max(0, this.#retryAt - performance.now()));
    }
  }
}
