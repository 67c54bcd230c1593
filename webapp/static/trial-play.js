// Test play: one question at a time as on the page of an attempt, and nothing is sent before Finish.
import { Stepper } from "./stepper.js";

const form = document.querySelector("form.play");
if (form.querySelector(".question")) {
  const stepper = new Stepper(form, () => {});
  form.addEventListener("submit", (event) => {
    // Enter in a question.
    if (event.submitter !== stepper.button("finish")) {
      event.preventDefault();
      stepper.next();
    }
  });
  stepper.start();
}
