// On the result's page: nothing of this attempt is sent any more, so nothing of it is kept.
import { Outbox, sweep } from "./outbox.js";

const result = document.querySelector(".result");
const leftover = new Outbox(result.dataset.attempt);
const late = leftover.answers().size;
if (late > 0) {
  const note = document.createElement("p");
  note.className = "note trouble";
  note.textContent = late === 1
    ? "1 answer on this device had not been saved when the attempt was finished; it does not count."
    : `${late} answers on this device had not been saved when the attempt was finished; they do not count.`;
  result.before(note);
}
leftover.clear();
sweep();
