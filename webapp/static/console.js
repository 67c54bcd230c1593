// Keeps the console up to date: one look at a time, the next one only after the answer, none in a hidden tab.
const form = document.querySelector("[data-console]");
const live = document.getElementById("live");
const heard = document.getElementById("heard");
const state = document.getElementById("state");
const pause = document.getElementById("pause");
const LONGEST = 20;
const ANSWER_WITHIN = 8000;
const seen = new Map();
let timer = 0;
let failures = 0;
let isLooking = false;

document.documentElement.classList.add("scripted");
pause.hidden = false;
for (const part of live.querySelectorAll("[data-part]")) seen.set(part.id, part.outerHTML);

function every() {
  return Number(form.elements.every.value);
}

function isPaused() {
  return pause.getAttribute("aria-pressed") === "true";
}

// What is filtered stands in the address, so that it can be sent to somebody.
function address(part) {
  const wanted = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) wanted.set(name, value);
  if (part) wanted.set("part", part);
  return `${location.pathname}?${wanted}`;
}

function verdict() {
  return live.querySelector("[data-verdict]").textContent;
}

function worst() {
  return live.querySelector(".sentences p")?.textContent ?? "";
}

// What is worth hearing: another verdict, or another thing that is wrong; not every new number in it.
function whatIsWrong() {
  const isWell = live.querySelector("#verdict").classList.contains("grade-ok");
  return verdict() + (isWell ? "" : worst().replace(/[\d.]+ ?(ms|s|min|h)?\b/g, ""));
}

// Only what has changed is replaced; what was opened stays open, and the focus stays where it was.
function show(page) {
  const before = whatIsWrong();
  const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
  for (const part of page.querySelectorAll("[data-part]")) {
    const text = part.outerHTML;
    const present = document.getElementById(part.id);
    if (seen.get(part.id) === text || !present) continue;
    seen.set(part.id, text);
    for (const open of present.querySelectorAll("details[open][id]")) {
      const same = part.querySelector(`#${CSS.escape(open.id)}`);
      if (same) same.open = true;
    }
    const inner = present.contains(document.activeElement);
    present.replaceWith(part);
    if (inner && focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }
  if (whatIsWrong() !== before) {
    heard.textContent = `${verdict()}. ${worst()}`;
    document.title = `${verdict()} – Console – Poolproof`;
  }
}

async function look() {
  clearTimeout(timer);
  if (isLooking || document.hidden || isPaused()) return;
  isLooking = true;
  try {
    const answer = await fetch(address("live"), { signal: AbortSignal.timeout(ANSWER_WITHIN), cache: "no-store" });
    if (answer.redirected) {
      location.reload();
      return;
    }
    if (!answer.ok) throw new Error(`the service said ${answer.status}`);
    show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    failures = 0;
    document.body.classList.remove("stale");
    state.textContent = `as of ${new Date().toLocaleTimeString()}`;
  } catch (error) {
    failures += 1;
    document.body.classList.add("stale");
    state.textContent = `No answer: ${error.name === "TimeoutError" ? "it took too long" : error.message}. What you see is old.`;
    if (failures === 1) heard.textContent = state.textContent;
  } finally {
    isLooking = false;
  }
  timer = setTimeout(look, Math.min(LONGEST, every() * 2 ** Math.min(failures, 4)) * 1000);
}

form.addEventListener("change", () => {
  history.replaceState(null, "", address(""));
  look();
});
pause.addEventListener("click", () => {
  pause.setAttribute("aria-pressed", String(!isPaused()));
  pause.textContent = isPaused() ? "Go on" : "Pause";
  if (isPaused()) state.textContent = "paused";
  look();
});
document.addEventListener("visibilitychange", look);
timer = setTimeout(look, every() * 1000);
