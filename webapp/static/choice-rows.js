// The choices of the item that is edited: added, moved and removed without a request; the last removal can be undone.
import { makeSortable, moveRow, updateMoveButtons } from "./sortable.js";
import { textOf } from "./texts.js";

export class ChoiceRows {
  constructor(form, onChange) {
    this.form = form;
    this.onChange = onChange;
    this.list = form.querySelector("[data-rows]");
    this.undoButton = form.querySelector("[data-undo]");
    this.removed = null;
    makeSortable(this.list, (row) => this.reportMove(row));
    form.addEventListener("click", (event) => this.handleClick(event));
    form.addEventListener("change", (event) => this.keepOneRight(event.target));
    this.update();
  }

  handleClick(event) {
    const button = event.target.closest("button");
    const action = button?.name === "action" ? button.value.split(" ")[0] : "";
    if (button === this.undoButton) {
      this.undo();
    } else if (action === "add") {
      event.preventDefault();
      this.add();
    } else if (["up", "down", "remove"].includes(action)) {
      event.preventDefault();
      this.change(button, action);
    }
  }

  change(button, action) {
    const row = button.closest("li");
    if (action === "remove") {
      this.remove(row);
    } else if (moveRow(row, action)) {
      this.reportMove(row);
      const other = row.querySelector(`button[value^='${action === "up" ? "down" : "up"} ']`);
      (button.disabled ? other : button).focus();
    }
  }

  add() {
    if (this.list.children.length >= Number(this.form.dataset.maxRows)) {
      return;
    }
    const number = Math.max(-1, ...[...this.list.querySelectorAll("[name=row]")].map((input) => Number(input.value))) + 1;
    const row = this.form.querySelector("[data-row-template]").content.firstElementChild.cloneNode(true);
    row.querySelector(".choice-text").name = `choice-${number}`;
    for (const field of row.querySelectorAll("[name=row], [name=right], [name=pinned]")) {
      field.value = number;
    }
    for (const button of row.querySelectorAll("button")) {
      button.value = `${button.value.trim()} ${number}`;
    }
    this.list.append(row);
    this.update();
    this.announce(textOf("added", { number: this.list.children.length }));
    row.querySelector(".choice-text").focus();
  }

  remove(row) {
    const number = [...this.list.children].indexOf(row) + 1;
    this.removed = { row, next: row.nextElementSibling };
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    this.undoButton.hidden = false;
    this.update();
    this.announce(textOf("removed", { number }));
    (neighbour?.querySelector(".choice-text") ?? this.undoButton).focus();
  }

  undo() {
    const { row, next } = this.removed;
    this.list.insertBefore(row, next?.isConnected ? next : null);
    this.removed = null;
    this.undoButton.hidden = true;
    this.update();
    this.announce(textOf("undone"));
    row.querySelector(".choice-text").focus();
  }

  // Of the kinds with one right choice, another that is ticked takes its place.
  keepOneRight(field) {
    const kind = this.form.querySelector("[name=kind]:checked")?.value;
    if (field.name === "right" && field.checked && kind === "single") {
      for (const other of this.form.querySelectorAll("[name=right]:checked")) {
        other.checked = other === field;
      }
    }
  }

  reportMove(row) {
    this.update();
    const number = [...this.list.children].indexOf(row) + 1;
    this.announce(textOf("moved", { number, count: this.list.children.length }));
  }

  update() {
    updateMoveButtons(this.list);
    this.onChange();
  }

  announce(text) {
    this.form.querySelector("[data-announce]").textContent = text;
  }
}
