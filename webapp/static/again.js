// On the page of a server that is too busy: asks again by itself, and goes on when there is an answer.
import { anythingIsKept } from "./outbox.js";
import { Patience } from "./patience.js";

const place = document.querySelector(".again");
const kept = place.querySelector("form");
const patience = new Patience();

function goOn(response) {
  if (response.redirected) {
    location.replace(response.url);
  } else if (kept) {
    // Not taken, and the page that comes says why.
    kept.submit();
  } else {
    location.reload();
  }
}

async function askUntilThereIsAnAnswer() {
  let response = null;
  patience.failed(place.dataset.retryAfter);
  while (!response) {
    await patience.over();
    try {
      const options = kept ? { method: "POST", body: new URLSearchParams(new FormData(kept)) } : {};
      response = await fetch(location.href, options);
    } catch { /* no reply */ }
    if (!response || (!response.redirected && (response.status >= 500 || response.status === 429))) {
      patience.failed(response?.headers.get("Retry-After"));
      response = null;
    }
  }
  goOn(response);
}

const safe = anythingIsKept() ? " Answers that are not saved yet are kept on this device." : "";
place.querySelector(".state").textContent = `Trying again…${safe}`;
for (const name of ["online", "pageshow"]) {
  window.addEventListener(name, () => patience.hurry());
}
document.addEventListener("visibilitychange", () => document.hidden || patience.hurry());
askUntilThereIsAnAnswer();
