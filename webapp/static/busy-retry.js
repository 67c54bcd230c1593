// On the page of a server that is too busy: repeats the request by itself, and shows the response when there is one.
import { Backoff } from "./backoff.js";
import { hasPendingAnswers } from "./outbox.js";
import { textOf } from "./texts.js";

const section = document.querySelector(".busy");
const form = section.querySelector("form");
const backoff = new Backoff();

function showResponse(response) {
  if (response.redirected) {
    location.replace(response.url);
  } else if (form) {
    // The form was rejected; the page that comes says why.
    form.submit();
  } else {
    location.reload();
  }
}

async function retryUntilAnswered() {
  let response = null;
  backoff.recordFailure(section.dataset.retryAfter);
  while (!response) {
    await backoff.wait();
    try {
      const options = form ? { method: "POST", body: new URLSearchParams(new FormData(form)) } : {};
      response = await fetch(location.href, options);
    } catch { /* no reply */ }
    if (!response || (!response.redirected && (response.status >= 500 || response.status === 429))) {
      backoff.recordFailure(response?.headers.get("Retry-After"));
      response = null;
    }
  }
  showResponse(response);
}

const sentences = [textOf("retrying"), ...(hasPendingAnswers() ? [textOf("kept")] : [])];
section.querySelector(".status").textContent = sentences.join(" ");
for (const name of ["online", "pageshow"]) {
  window.addEventListener(name, () => backoff.retrySoon());
}
document.addEventListener("visibilitychange", () => document.hidden || backoff.retrySoon());
retryUntilAnswered();
