// The quiz builder: rows are moved by dragging or by their buttons, and the order is saved at once, without a new page.
import { makeSortable, moveRow, updateMoveButtons } from "./sortable.js";
import { textOf } from "./texts.js";

const builder = document.querySelector("form.builder");
const rows = builder.querySelector("[data-builder-rows]");
const builderStatus = builder.querySelector("[data-builder-status]");
// Not builder.action, which is the buttons of that name.
const orderAddress = builder.getAttribute("action");
let saving = Promise.resolve();

function showStatus(text, kind = "") {
  builderStatus.textContent = text;
  builderStatus.className = `status ${kind}`;
}

// One save after the other: each needs the version that the one before has made.
async function saveOrder(moved) {
  const body = new URLSearchParams(new FormData(builder));
  try {
    const response = await fetch(orderAddress, { method: "POST", body, headers: { Accept: "application/json" } });
    const answer = await response.json();
    if (!response.ok) {
      showStatus(textOf("order-not-saved", { reason: answer.detail }), "error");
      return;
    }
    for (const field of document.querySelectorAll("input[name=version]")) {
      field.value = answer.version;
    }
    showStatus(`${moved} ${textOf("order-saved")}`, "success");
  } catch {
    showStatus(textOf("order-not-saved", { reason: textOf("no-connection") }), "error");
  }
}

function reportRowMove(row) {
  updateMoveButtons(rows);
  const moved = textOf("row-moved", { number: [...rows.children].indexOf(row) + 1, count: rows.children.length });
  showStatus(moved);
  saving = saving.then(() => saveOrder(moved));
}

function handleRowClick(event) {
  const button = event.target.closest("button[name=action]");
  const action = button?.value.split(" ")[0];
  if (action !== "up" && action !== "down") {
    return;
  }
  event.preventDefault();
  const row = button.closest("li");
  if (moveRow(row, action)) {
    reportRowMove(row);
    const other = row.querySelector(`button[value^='${action === "up" ? "down" : "up"} ']`);
    (button.disabled ? other : button).focus();
  }
}

if (rows) {
  makeSortable(rows, reportRowMove);
  rows.addEventListener("click", handleRowClick);
  document.body.classList.add("has-script");
}
