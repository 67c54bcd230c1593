// What was kept of an item while it was written is not needed once it is saved.
import { forgetDraft } from "./draft-store.js";

forgetDraft(document.querySelector("[data-saved]").dataset.saved);
