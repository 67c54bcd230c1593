// Keeps the console up to date, without disturbing what its reader has opened or focused.
import { Poller } from "./poller.js";
import { pageLocale, textOf } from "./texts.js";

const form = document.querySelector("[data-console]");
const live = document.getElementById("live");
const announcement = document.getElementById("announcement");
const refreshStatus = document.getElementById("refresh-status");
const pause = document.getElementById("pause");
const MAX_INTERVAL = 20_000;
const renderedParts = new Map();

document.documentElement.classList.add("js");
pause.hidden = false;
for (const part of live.querySelectorAll("[data-part]")) renderedParts.set(part.id, part.outerHTML);

function refreshInterval() {
  return Number(form.elements.interval.value) * 1000;
}

function isPaused() {
  return pause.getAttribute("aria-pressed") === "true";
}

// The filters are part of the address, so that it can be shared.
function pageUrl(part) {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) query.set(name, value);
  if (part) query.set("part", part);
  return `${location.pathname}?${query}`;
}

function diagnosis() {
  return live.querySelector("[data-diagnosis]").textContent;
}

function worstDiagnosis() {
  return live.querySelector(".diagnoses p")?.textContent ?? "";
}

// What is announced: another severity, or another thing that is wrong; not every new number in it.
function alertKey() {
  const isOk = live.querySelector("#diagnosis").classList.contains("severity-ok");
  return diagnosis() + (isOk ? "" : worstDiagnosis().replace(/[\d.]+ ?([^\s\d]{1,4}\b)?/g, ""));
}

// Only what has changed is replaced; what was opened stays open, and the focus stays where it was.
function render(page) {
  const previousKey = alertKey();
  const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
  for (const part of page.querySelectorAll("[data-part]")) {
    const html = part.outerHTML;
    const current = document.getElementById(part.id);
    if (renderedParts.get(part.id) === html || !current) continue;
    renderedParts.set(part.id, html);
    for (const open of current.querySelectorAll("details[open][id]")) {
      const counterpart = part.querySelector(`#${CSS.escape(open.id)}`);
      if (counterpart) counterpart.open = true;
    }
    const hasFocus = current.contains(document.activeElement);
    current.replaceWith(part);
    if (hasFocus && focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }
  if (alertKey() !== previousKey) {
    announcement.textContent = `${diagnosis()}. ${worstDiagnosis()}`;
    document.title = `${diagnosis()} – ${textOf("console")} – Poolproof`;
  }
  document.body.classList.remove("stale");
  refreshStatus.textContent = textOf("as-of", { time: new Date().toLocaleTimeString(pageLocale) });
}

function showFailure(error, failures) {
  const reason = error.name === "TimeoutError" ? textOf("too-long") : error.message;
  document.body.classList.add("stale");
  refreshStatus.textContent = textOf("stale", { reason });
  if (failures === 1) announcement.textContent = refreshStatus.textContent;
}

const poller = new Poller({
  url: () => pageUrl("live"),
  interval: refreshInterval,
  maxInterval: MAX_INTERVAL,
  isActive: () => !isPaused(),
  onPage: render,
  onFailure: showFailure,
});

form.addEventListener("change", () => {
  history.replaceState(null, "", pageUrl(""));
  poller.refresh();
});
pause.addEventListener("click", () => {
  pause.setAttribute("aria-pressed", String(!isPaused()));
  pause.textContent = textOf(isPaused() ? "resume" : "pause");
  if (isPaused()) refreshStatus.textContent = textOf("paused");
  poller.refresh();
});
poller.start();
