// Keeps an author's results up to date while the quiz runs; the server answers with nothing while they are the same.
import { Poller } from "./poller.js";

const INTERVAL = 2000;
const MAX_INTERVAL = 30_000;
const pause = document.getElementById("pause");
const following = document.getElementById("following");
let isPaused = false;

const live = () => document.getElementById("live");
const isLive = () => live().dataset.live === "yes";

// A screen reader would read the same text again.
function tell(state) {
  const text = following.dataset[state];
  if (following.textContent !== text) following.textContent = text;
}

// The place that was scrolled to in the table stays, and so does the focus in it.
function render(page) {
  tell("following");
  const replacement = page.getElementById("live");
  if (!replacement) return;
  const before = live().querySelector(".marks");
  const hadFocus = before?.contains(document.activeElement);
  live().replaceWith(replacement);
  const after = replacement.querySelector(".marks");
  if (before && after) after.scrollLeft = before.scrollLeft;
  if (hadFocus) after?.focus({ preventScroll: true });
  if (!isLive()) tell("over");
  pause.hidden = !isLive();
}

const poller = new Poller({
  url: () => `?part=live&after=${live().dataset.tag}`,
  interval: () => INTERVAL,
  maxInterval: MAX_INTERVAL,
  isActive: () => isLive() && !isPaused,
  onPage: render,
  onFailure: () => tell("failed"),
});

pause.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.setAttribute("aria-pressed", isPaused);
  tell(isPaused ? "paused" : "following");
  poller.refresh();
});

if (isLive()) {
  pause.hidden = false;
  tell("following");
} else {
  tell("over");
}
poller.start();
