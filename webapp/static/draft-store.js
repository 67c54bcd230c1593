// Keeps in this browser what is being written until it is saved. Without room, or where it is forbidden, nothing is kept.
const DRAFT_PREFIX = "item-draft:";
const NOT_KEPT = new Set(["csrf_token", "action", "then"]);

// Returns the fields of a form as a list of [name, value].
export function formEntries(form) {
  return [...new FormData(form)].filter(([name, value]) => !NOT_KEPT.has(name) && typeof value === "string");
}

export function keepDraft(name, entries) {
  try {
    localStorage.setItem(DRAFT_PREFIX + name, JSON.stringify({ at: new Date().toISOString(), entries }));
  } catch {
    // The form itself still has everything.
  }
}

// Returns {at, entries}, or null.
export function findDraft(name) {
  try {
    return JSON.parse(localStorage.getItem(DRAFT_PREFIX + name));
  } catch {
    return null;
  }
}

export function forgetDraft(name) {
  try {
    localStorage.removeItem(DRAFT_PREFIX + name);
  } catch {
    // There is none.
  }
}
