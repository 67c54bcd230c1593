// On the result's page: nothing of this attempt is sent any more, so what is left of it in this browser is removed.
import { Outbox, removeExpired } from "./outbox.js";
import { textOf } from "./texts.js";

const result = document.querySelector(".result");
const outbox = new Outbox(result.dataset.attempt);
const unsavedCount = outbox.pendingAnswers().size;
if (unsavedCount > 0) {
  const alert = document.createElement("p");
  alert.className = "alert error";
  alert.textContent = textOf(unsavedCount === 1 ? "unsaved-answer" : "unsaved-answers", { count: unsavedCount });
  result.before(alert);
}
outbox.clear();
removeExpired();
