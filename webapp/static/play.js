// The page of an attempt: each answer is saved when it is chosen, also when the server is unavailable meanwhile.
// Without this script the same form shows all questions and sends them together.
import { Clock } from "./clock.js";
import { listenToNumberKeys } from "./number-keys.js";
import { Outbox, removeExpired } from "./outbox.js";
import { Sender } from "./sender.js";
import { statusText } from "./status-text.js";
import { Stepper } from "./stepper.js";
import { textOf } from "./texts.js";

const form = document.querySelector("form.play");
const status = form.querySelector(".status");
// By this device's clock, whatever that shows.
const expiresAt = Date.now() + Number(form.dataset.secondsLeft) * 1000;
const outbox = new Outbox(form.dataset.attempt, expiresAt);
const sender = new Sender(outbox, form.dataset.api, { onSaved, onRejected, onFinished, onChanged: updateStatus });
// What the server has stored, item → choices; and what it has rejected, item or null → reason.
const savedChoices = new Map();
const rejections = new Map();
let wasRetrying = false;
let isOver = false;
// The attempt's time is over, whether it is finished or not.
let isTimeOver = false;
let stepper;

const inputs = (question) => [...question.querySelectorAll("input")];
const values = (elements) => elements.map((input) => Number(input.value)).sort((a, b) => a - b);
const chosen = (question) => values(inputs(question).filter((input) => input.checked));
const isSaved = (question) =>
  chosen(question).length > 0 && String(savedChoices.get(question.dataset.item)) === String(chosen(question));

function updateStatus() {
  const question = stepper.current;
  const pending = outbox.pendingAnswers();
  const finishRequested = outbox.finishRequested || isOver;
  wasRetrying ||= sender.isRetrying;
  const [text, kind] = statusText({
    rejections: [...rejections].map(([item, reason]) => [item && numberOf(item), reason]),
    pendingCount: pending.size,
    finishRequested,
    isRetrying: sender.isRetrying,
    wasRetrying,
    isOnline: navigator.onLine,
    isMissing: question.dataset.isMissing === "true",
    isSaved: isSaved(question) && !pending.has(question.dataset.item),
  });
  // A screen reader would read the same text again.
  if (status.textContent !== text) {
    status.textContent = text;
  }
  status.className = `status ${kind}`;
  lock(finishRequested);
  window.onbeforeunload = outbox.isEmpty ? null : () => textOf("leaving");
}

function lock(isLocked) {
  for (const question of stepper.questions) {
    question.disabled = isLocked;
  }
  stepper.button("finish").setAttribute("aria-disabled", isLocked);
}

function numberOf(item) {
  return stepper.questions.findIndex((question) => question.dataset.item === item) + 1;
}

function onChange(question) {
  const item = question.dataset.item;
  const choices = chosen(question);
  question.dataset.isMissing = choices.length === 0;
  rejections.delete(item);
  rejections.delete(null);
  wasRetrying = sender.isRetrying;
  if (choices.length > 0) {
    outbox.put(item, choices);
  } else {
    outbox.acknowledge(item);
  }
  updateStatus();
  sender.flush();
}

function onSaved(item, choices) {
  savedChoices.set(item, choices);
}

function onRejected(item, problem) {
  rejections.set(item, problem.detail);
  const question = stepper.questions.find((candidate) => candidate.dataset.item === item);
  if (question && !outbox.pendingAnswers().has(item)) {
    check(question, savedChoices.get(item));
  }
  // A player whose answer was rejected may want to change it before finishing, unless the attempt is finished.
  if (!problem.type.endsWith("#attempt-finished") && !isTimeOver) {
    outbox.finishRequested = false;
  }
  if (problem.type.endsWith("#attempt-time-over")) {
    endTime();
  }
  if (item === null && isTimeOver) {
    // Nothing was saved in time, so there is nothing to finish: the page says so.
    outbox.clear();
    onFinished();
  }
}

function onFinished() {
  isOver = true;
  updateStatus();
  // The same address now shows the result.
  location.replace(location.pathname);
}

// What was chosen in time and is not saved yet is sent, for which the server has some grace; then the attempt is finished.
function endTime() {
  if (!isTimeOver) {
    isTimeOver = true;
    document.querySelector(".clock-status").textContent = textOf("time-over");
    outbox.finishRequested = true;
    updateStatus();
    sender.flush();
  }
}

function startClock() {
  const element = document.querySelector(".clock");
  if (!element) {
    return;
  }
  const onWarning = (seconds) => {
    document.querySelector(".clock-status").textContent = textOf(seconds > 10 ? "minute-left" : "seconds-left");
  };
  const clock = new Clock(element, { onWarning, onOver: endTime });
  document.addEventListener("visibilitychange", async () => {
    if (document.hidden || isTimeOver) {
      return;
    }
    try {
      const { seconds_left: seconds } = await (await fetch(form.dataset.api)).json();
      if (typeof seconds === "number" && !isTimeOver) {
        clock.set(seconds);
      }
    } catch { /* the clock goes on as it was */ }
  });
}

function finish() {
  if (outbox.finishRequested || isOver) {
    return;
  }
  rejections.clear();
  // What is chosen is sent, also when a browser has restored the choice without an event.
  for (const question of stepper.questions) {
    if (chosen(question).length > 0 && !isSaved(question)) {
      outbox.put(question.dataset.item, chosen(question));
    }
  }
  outbox.finishRequested = true;
  updateStatus();
  sender.flush();
}

// What the server has stored; over it the answers that are still pending; and over these what was chosen before this
// script was loaded.
function restore() {
  const pending = outbox.pendingAnswers();
  wasRetrying = !outbox.isEmpty;
  for (const question of stepper.questions) {
    const item = question.dataset.item;
    savedChoices.set(item, values(inputs(question).filter((input) => input.defaultChecked)));
    if (chosen(question).length > 0 && !isSaved(question)) {
      outbox.put(item, chosen(question));
    } else if (pending.has(item)) {
      check(question, pending.get(item));
    }
  }
}

function check(question, choices) {
  for (const input of inputs(question)) {
    input.checked = choices.includes(Number(input.value));
  }
}

function listen() {
  for (const question of stepper.questions) {
    question.addEventListener("change", () => onChange(question));
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter === stepper.button("finish")) {
      finish();
    } else {
      // Enter in a question.
      stepper.next();
    }
  });
  const retry = () => { updateStatus(); sender.retrySoon(); };
  window.addEventListener("online", retry);
  window.addEventListener("offline", updateStatus);
  window.addEventListener("pageshow", retry);
  // Another tab with this attempt has put something into the outbox, or has sent it.
  window.addEventListener("storage", () => { updateStatus(); sender.flush(); });
  document.addEventListener("visibilitychange", () => document.hidden || retry());
}

removeExpired();
if (form.querySelector(".question")) {
  stepper = new Stepper(form, () => { wasRetrying &&= !outbox.isEmpty; updateStatus(); });
  restore();
  listen();
  stepper.start();
  listenToNumberKeys(() => inputs(stepper.current));
  startClock();
  sender.flush();
}
