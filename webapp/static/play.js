// The page of an attempt: each answer is saved when it is chosen, also when the server is away meanwhile.
// Without this script the same form shows all questions and sends them together.
import { Outbox, sweep } from "./outbox.js";
import { Sender } from "./sender.js";
import { Steps } from "./steps.js";
import { words } from "./words.js";

const form = document.querySelector("form.play");
const state = form.querySelector(".state");
// By this device's clock, whatever that shows.
const expires = Date.now() + Number(form.dataset.secondsLeft) * 1000;
const outbox = new Outbox(form.dataset.attempt, expires);
const sender = new Sender(outbox, form.dataset.api, { saved, refused, finished, changed: tell });
// What the server has, item → choices; and what it would not take, item or null → reason.
const stored = new Map();
const refusals = new Map();
let wasTroubled = false;
let isOver = false;
let steps;

const inputs = (question) => [...question.querySelectorAll("input")];
const numbers = (some) => some.map((input) => Number(input.value)).sort((a, b) => a - b);
const chosen = (question) => numbers(inputs(question).filter((input) => input.checked));
const isStored = (question) =>
  chosen(question).length > 0 && String(stored.get(question.dataset.item)) === String(chosen(question));

function tell() {
  const question = steps.current;
  const answers = outbox.answers();
  const finishes = outbox.finishes || isOver;
  wasTroubled ||= sender.isTroubled;
  const [text, kind] = words({
    refusals: [...refusals].map(([item, reason]) => [item && numberOf(item), reason]),
    waiting: answers.size,
    finishes,
    isTroubled: sender.isTroubled,
    wasTroubled,
    isOnline: navigator.onLine,
    isMissing: question.dataset.isMissing === "true",
    isSaved: isStored(question) && !answers.has(question.dataset.item),
  });
  // Said again it would be read out again.
  if (state.textContent !== text) {
    state.textContent = text;
  }
  state.className = `state ${kind}`;
  lock(finishes);
  window.onbeforeunload = outbox.isEmpty ? null : () => "Not all answers are saved yet.";
}

function lock(finishes) {
  for (const question of steps.questions) {
    question.disabled = finishes;
  }
  steps.button("finish").setAttribute("aria-disabled", finishes);
}

function numberOf(item) {
  return steps.questions.findIndex((question) => question.dataset.item === item) + 1;
}

function choose(question) {
  const item = question.dataset.item;
  const choices = chosen(question);
  question.dataset.isMissing = choices.length === 0;
  refusals.delete(item);
  refusals.delete(null);
  wasTroubled = sender.isTroubled;
  if (choices.length > 0) {
    outbox.put(item, choices);
  } else {
    outbox.take(item);
  }
  tell();
  sender.wake();
}

function saved(item, choices) {
  stored.set(item, choices);
}

function refused(item, problem) {
  refusals.set(item, problem.detail);
  const question = steps.questions.find((one) => one.dataset.item === item);
  if (question && !outbox.answers().has(item)) {
    check(question, stored.get(item));
  }
  // Who was told that something does not count may think again before finishing, unless that is done.
  if (!problem.type.endsWith("#attempt-finished")) {
    outbox.finishes = false;
  }
}

function finished() {
  isOver = true;
  tell();
  // The same address now shows the result.
  location.replace(location.pathname);
}

function finish() {
  if (outbox.finishes || isOver) {
    return;
  }
  refusals.clear();
  // What is chosen is sent, also when a browser has restored the choice and told nobody.
  for (const question of steps.questions) {
    if (chosen(question).length > 0 && !isStored(question)) {
      outbox.put(question.dataset.item, chosen(question));
    }
  }
  outbox.finishes = true;
  tell();
  sender.wake();
}

// The server's word, over it what it has not heard yet, and over that what was chosen before this script was here.
function restore() {
  const waiting = outbox.answers();
  wasTroubled = !outbox.isEmpty;
  for (const question of steps.questions) {
    const item = question.dataset.item;
    stored.set(item, numbers(inputs(question).filter((input) => input.defaultChecked)));
    if (chosen(question).length > 0 && !isStored(question)) {
      outbox.put(item, chosen(question));
    } else if (waiting.has(item)) {
      check(question, waiting.get(item));
    }
  }
}

function check(question, choices) {
  for (const input of inputs(question)) {
    input.checked = choices.includes(Number(input.value));
  }
}

function listen() {
  for (const question of steps.questions) {
    question.addEventListener("change", () => choose(question));
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter === steps.button("finish")) {
      finish();
    } else {
      // Enter in a question.
      steps.next();
    }
  });
  const onward = () => { tell(); sender.hurry(); };
  window.addEventListener("online", onward);
  window.addEventListener("offline", tell);
  window.addEventListener("pageshow", onward);
  // Another tab with this attempt has put something in, or has sent it.
  window.addEventListener("storage", () => { tell(); sender.wake(); });
  document.addEventListener("visibilitychange", () => document.hidden || onward());
}

sweep();
if (form.querySelector(".question")) {
  steps = new Steps(form, () => { wasTroubled &&= !outbox.isEmpty; tell(); });
  restore();
  listen();
  steps.begin();
  sender.wake();
}
