// Keeps a part of a page up to date: one request at a time, the next one only after the response, none in a hidden tab.
const REQUEST_TIMEOUT = 8000;
const MAX_DOUBLINGS = 5;

export class Poller {
  #timer = 0;
  #failures = 0;
  #isRefreshing = false;

  // `url()` is what to fetch and `interval()` the milliseconds between two requests; the interval doubles after each
  // failure, up to `maxInterval`. Nothing is fetched while `isActive()` is false.
  constructor({ url, interval, maxInterval, isActive, onPage, onFailure = () => {} }) {
    this.url = url;
    this.interval = interval;
    this.maxInterval = maxInterval;
    this.isActive = isActive;
    this.onPage = onPage;
    this.onFailure = onFailure;
    document.addEventListener("visibilitychange", () => this.refresh());
  }

  start() {
    this.#schedule();
  }

  // Fetches now, unless a request is under way.
  async refresh() {
    clearTimeout(this.#timer);
    if (this.#isRefreshing || document.hidden || !this.isActive()) return;
    this.#isRefreshing = true;
    try {
      const response = await fetch(this.url(), { signal: AbortSignal.timeout(REQUEST_TIMEOUT), cache: "no-store" });
      if (response.redirected) {
        location.reload();
        return;
      }
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      this.onPage(new DOMParser().parseFromString(await response.text(), "text/html"));
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      this.onFailure(error, this.#failures);
    } finally {
      this.#isRefreshing = false;
    }
    this.#schedule();
  }

  #schedule() {
    if (!this.isActive()) return;
    const delay = this.interval() * 2 ** Math.min(this.#failures, MAX_DOUBLINGS);
    this.#timer = setTimeout(() => this.refresh(), Math.min(delay, this.maxInterval));
  }
}
