// The keys 1 to 9 choose an answer of the question that is shown.
export function listenToNumberKeys(currentInputs) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || !/^[1-9]$/.test(event.key)) {
      return;
    }
    const input = currentInputs()[Number(event.key) - 1];
    if (input && !input.matches(":disabled")) {
      event.preventDefault();
      input.click();
      input.focus();
    }
  });
}
