// One question at a time.
import { textOf } from "./texts.js";

export class Stepper {
  #current = 0;

  constructor(form, onShow) {
    this.questions = [...form.querySelectorAll(".question")];
    this.progressBar = form.querySelector(".stepper");
    this.button = (name) => form.querySelector(`button.${name}`);
    this.onShow = onShow;
    form.classList.add("is-stepped");
    this.progressBar.hidden = false;
    this.button("save").hidden = true;
    for (const question of this.questions) {
      question.querySelector("legend").tabIndex = -1;
    }
    this.button("back").addEventListener("click", () => this.show(this.#current - 1));
    this.button("next").addEventListener("click", () => this.next());
  }

  get current() {
    return this.questions[this.#current];
  }

  next() {
    if (this.#current < this.questions.length - 1) {
      this.show(this.#current + 1);
    }
  }

  show(index, { focus = true } = {}) {
    const last = this.questions.length - 1;
    this.#current = index;
    this.questions.forEach((question, number) => { question.hidden = number !== index; });
    this.progressBar.querySelector("progress").value = index + 1;
    this.progressBar.querySelector(".step-count").textContent = textOf("step", { number: index + 1, total: last + 1 });
    this.button("back").hidden = index === 0;
    this.button("next").hidden = index === last;
    this.button("finish").hidden = index !== last;
    this.onShow();
    if (focus) {
      this.current.querySelector("legend").focus();
    }
  }

  // Shows the first question without an answer.
  start() {
    const open = this.questions.findIndex((question) => !question.querySelector("input:checked"));
    this.show(open === -1 ? this.questions.length - 1 : open, { focus: false });
  }
}
