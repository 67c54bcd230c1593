// The item editor: choices without requests, a live preview by the server, and a draft in the browser until it is saved.
import { ChoiceRows } from "./choice-rows.js";
import { findDraft, forgetDraft, formEntries, keepDraft } from "./draft-store.js";
import { pageLocale, textOf } from "./texts.js";

const PREVIEW_DELAY = 400;
const editor = document.querySelector("form.item-editor");
const frame = document.querySelector("[data-preview-frame]");
const offer = document.querySelector("[data-draft-offer]");
const { draft: draftName, saved: savedName, preview: previewAddress } = editor.dataset;
let timer = 0;
let previewRequest = null;
let isLeaving = false;

async function updatePreview() {
  previewRequest?.abort();
  previewRequest = new AbortController();
  try {
    const response = await fetch(previewAddress, {
      method: "POST", body: new URLSearchParams(new FormData(editor)), signal: previewRequest.signal,
    });
    if (response.ok && !response.redirected) {
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      frame.replaceChildren(...page.body.childNodes);
    }
  } catch {
    // The next change asks again.
  }
}

function noteChange() {
  if (initialState !== null && !isLeaving) {
    clearTimeout(timer);
    timer = setTimeout(updatePreview, PREVIEW_DELAY);
    keepDraft(draftName, formEntries(editor));
  }
}

// The server makes the form of the draft, as it does of every form that is not saved yet.
function restoreDraft(entries) {
  isLeaving = true;
  editor.replaceChildren(editor.querySelector("[name=csrf_token]"));
  for (const [name, value] of [...entries, ["action", "preview"]]) {
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name, value });
    editor.append(field);
  }
  editor.submit();
}

// After a conflict the same text stands in a form of a later version.
function textOfEntries(entries) {
  return JSON.stringify(entries.filter(([name]) => name !== "version"));
}

function offerDraft(draft) {
  const at = new Intl.DateTimeFormat(pageLocale, { dateStyle: "medium", timeStyle: "short" }).format(new Date(draft.at));
  offer.querySelector("p").textContent = textOf("draft-found", { time: at });
  offer.querySelector("[data-restore]").addEventListener("click", () => restoreDraft(draft.entries));
  offer.querySelector("[data-discard]").addEventListener("click", () => {
    forgetDraft(draftName);
    offer.hidden = true;
  });
  offer.hidden = false;
}

let initialState = null;
if (savedName) {
  forgetDraft(savedName);
}
new ChoiceRows(editor, noteChange);
initialState = textOfEntries(formEntries(editor));
const keptDraft = findDraft(draftName);
if (keptDraft && textOfEntries(keptDraft.entries) !== initialState) {
  offerDraft(keptDraft);
}
editor.addEventListener("input", noteChange);
document.querySelector("[data-discard-draft]")?.addEventListener("click", () => forgetDraft(draftName));
for (const radio of document.querySelectorAll("[name=width]")) {
  radio.addEventListener("change", () => frame.classList.toggle("is-wide", radio.value === "desktop" && radio.checked));
}
document.body.classList.add("has-script");
