// On the result's page: nothing of this attempt is sent any more, so what is left of it in this browser is removed.
import { Outbox, removeExpired } from "./outbox.js";

const result = document.querySelector(".result");
const outbox = new Outbox(result.dataset.attempt);
const unsavedCount = outbox.pendingAnswers().size;
if (unsavedCount > 0) {
  const alert = document.createElement("p");
  alert.className = "alert error";
  alert.textContent = unsavedCount === 1
    ? "1 answer on this device had not been saved when the attempt was finished; it does not count."
    : `${unsavedCount} answers on this device had not been saved when the attempt was finished; they do not count.`;
  result.before(alert);
}
outbox.clear();
removeExpired();
