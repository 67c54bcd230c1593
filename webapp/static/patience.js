// How long to wait before trying again: never sooner than the server asked, and each of us at another moment.
const FIRST = 1000;
const LONGEST = 30_000;
const LONGEST_WISH = 600_000;

// The server's wish in milliseconds: Retry-After is a number of seconds or a date.
function wished(retryAfter) {
  const seconds = Number(retryAfter);
  const wish = Number.isNaN(seconds) ? Date.parse(retryAfter) - Date.now() : seconds * 1000;
  return Math.min(Math.max(wish || 0, 0), LONGEST_WISH);
}

export class Patience {
  #failures = 0;
  #notBefore = 0;
  #until = 0;
  #timer = 0;
  #go = null;

  // Exponential backoff with full jitter, on top of what the server asked for.
  failed(retryAfter) {
    const spread = Math.min(LONGEST, FIRST * 2 ** this.#failures);
    this.#failures += 1;
    this.#notBefore = performance.now() + wished(retryAfter);
    this.#until = this.#notBefore + Math.random() * spread;
  }

  succeeded() {
    this.#failures = 0;
    this.#notBefore = this.#until = 0;
  }

  // Something has changed: it may work now. All behind one access point learn that at once, so this has jitter too.
  hurry() {
    const soon = Math.max(this.#notBefore, performance.now()) + Math.random() * FIRST;
    this.#failures = 0;
    this.#until = Math.min(this.#until, soon);
    this.#arm();
  }

  // Resolves when it is time.
  over() {
    return new Promise((resolve) => {
      this.#go = resolve;
      this.#arm();
    });
  }

  #arm() {
    clearTimeout(this.#timer);
    if (this.#go) {
      this.#timer = setTimeout(this.#go, Math.max(0, this.#until - performance.now()));
    }
  }
}
