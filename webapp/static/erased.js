// On the page of an attempt that was erased: what this browser still kept of it is removed, too.
import { Outbox } from "./outbox.js";

new Outbox(document.querySelector(".erased").dataset.attempt).clear();
