// The time that is left of an attempt. The server has said how many seconds there are; they are counted by the clock
// of the page, which starts with it and which nobody can set, and never by the device's, which may be an hour wrong.
const WARNINGS = [60, 10];

const now = () => performance.now() / 1000;

export function formatSeconds(seconds) {
  const pad = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(seconds % 60)}` : `${minutes}:${pad(seconds % 60)}`;
}

export class Clock {
  #endsAt;
  #timer;
  #warned;

  // `callbacks` has onWarning(seconds) and onOver(); the seconds were right when the page began to arrive.
  constructor(element, callbacks) {
    this.element = element;
    this.callbacks = callbacks;
    const [navigation] = performance.getEntriesByType("navigation");
    const seconds = Number(element.dataset.secondsLeft);
    this.#endsAt = (navigation?.responseStart ?? 0) / 1000 + seconds;
    // What is said already, or was before the page came.
    this.#warned = WARNINGS.filter((warning) => seconds <= warning).length;
    element.hidden = false;
    this.#tick();
  }

  // The server has said anew how many seconds there are: the author has given more time, or the device has slept.
  set(seconds) {
    this.#endsAt = now() + seconds;
    this.#tick();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  #tick() {
    this.stop();
    const left = Math.max(0, this.#endsAt - now());
    this.element.querySelector("[role=timer]").textContent = formatSeconds(Math.ceil(left));
    this.element.classList.toggle("is-ending", left <= WARNINGS[0]);
    if (left === 0) {
      this.callbacks.onOver();
      return;
    }
    if (left <= WARNINGS[this.#warned]) {
      this.callbacks.onWarning(WARNINGS[this.#warned]);
      this.#warned += 1;
    }
    this.#timer = setTimeout(() => this.#tick(), 1000 * (left - Math.ceil(left) + 1) || 1000);
  }
}
