// Shows the progress of a collection run while it is running.
import { Poller } from "./poller.js";

const REFRESH_INTERVAL = 1500;
const MAX_INTERVAL = 48_000;
const announcement = document.getElementById("announcement");

function liveElement() {
  return document.getElementById("live");
}

function isRunning() {
  return liveElement().dataset.running === "yes";
}

// What was opened stays open, and the focus stays where it was.
function render(page) {
  const current = liveElement();
  const replacement = page.getElementById("live");
  const isOpen = current.querySelector("details[open]") !== null;
  const hasFocus = current.contains(document.activeElement);
  const details = replacement.querySelector("details");
  if (isOpen && details) details.open = true;
  current.replaceWith(replacement);
  const status = replacement.dataset.status;
  if (status !== current.dataset.status) announcement.textContent = replacement.dataset.announcement;
  if (hasFocus) replacement.querySelector("button")?.focus();
}

new Poller({
  url: () => "?part=live",
  interval: () => REFRESH_INTERVAL,
  maxInterval: MAX_INTERVAL,
  isActive: isRunning,
  onPage: render,
}).start();
