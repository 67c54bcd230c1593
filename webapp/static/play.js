// One question at a time, each answer saved when it is chosen. Without this script the
// same form shows all questions and sends them together.
const form = document.querySelector("form.play");
const questions = [...form.querySelectorAll(".question")];
const state = form.querySelector(".state");
const steps = form.querySelector(".steps");
const button = (name) => form.querySelector(`button.${name}`);
let current = 0;

function show(index, { focus = true } = {}) {
  current = index;
  questions.forEach((question, number) => { question.hidden = number !== index; });
  steps.querySelector("progress").value = index + 1;
  steps.querySelector(".step").textContent = `${index + 1} of ${questions.length}`;
  button("back").hidden = index === 0;
  button("next").hidden = index === questions.length - 1;
  button("finish").hidden = index !== questions.length - 1;
  // What was said was about another question.
  say("", "");
  if (focus) {
    questions[index].querySelector("legend").focus();
  }
}

function say(text, kind) {
  state.textContent = text;
  state.className = `state ${kind}`;
}

async function save(question) {
  const choices = [...question.querySelectorAll("input:checked")].map((input) => Number(input.value));
  if (choices.length === 0) {
    say("Choose at least one answer.", "trouble");
    return;
  }
  const here = () => questions[current] === question;
  const name = `Question ${questions.indexOf(question) + 1}`;
  say("Saving…", "");
  try {
    const response = await fetch(form.dataset.answers + question.dataset.item, {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ choices }),
    });
    if (!response.ok) {
      const problem = await response.json();
      say(`${name} is not saved: ${problem.detail}`, "trouble");
    } else if (here()) {
      say("Saved", "done");
    }
  } catch {
    say(`${name} is not saved: the server cannot be reached. Finish sends all your answers again.`, "trouble");
  }
}

if (questions.length > 0) {
  form.classList.add("stepped");
  steps.hidden = false;
  button("save").hidden = true;
  for (const question of questions) {
    question.querySelector("legend").tabIndex = -1;
    question.addEventListener("change", () => save(question));
  }
  button("back").addEventListener("click", () => show(current - 1));
  button("next").addEventListener("click", () => show(current + 1));
  const open = questions.findIndex((question) => !question.querySelector("input:checked"));
  show(open === -1 ? questions.length - 1 : open, { focus: false });
}
