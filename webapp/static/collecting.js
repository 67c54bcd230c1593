// Shows how far a collection is: one look at a time, the next one only after the answer, none in a hidden tab.
const EVERY = 1500;
const ANSWER_WITHIN = 8000;
const said = document.getElementById("said");
let failures = 0;

function live() {
  return document.getElementById("live");
}

function isUnderWay() {
  return live().dataset.underWay === "yes";
}

// What was opened stays open, and the focus stays where it was.
function show(fresh) {
  const before = live();
  const open = before.querySelector("details[open]") !== null;
  const focused = before.contains(document.activeElement);
  const status = before.dataset.status;
  const details = fresh.querySelector("details");
  if (open && details) details.open = true;
  before.replaceWith(fresh);
  if (fresh.dataset.status !== status) said.textContent = `The run is ${fresh.dataset.status}.`;
  if (focused) fresh.querySelector("button")?.focus();
}

async function look() {
  if (document.hidden || !isUnderWay()) return;
  try {
    const answer = await fetch("?part=live", { signal: AbortSignal.timeout(ANSWER_WITHIN), cache: "no-store" });
    if (answer.redirected) {
      location.reload();
      return;
    }
    if (!answer.ok) throw new Error(`the service said ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    show(page.getElementById("live"));
    failures = 0;
  } catch {
    failures = Math.min(failures + 1, 5);
  }
  if (isUnderWay()) setTimeout(look, EVERY * 2 ** failures);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) look();
});
if (isUnderWay()) setTimeout(look, EVERY);
