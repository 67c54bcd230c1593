// What this page's scripts say, in the page's language: the page has it as data, from the macro `script_texts`.
const pageTexts = Object.assign(
  {}, ...[...document.querySelectorAll("[data-texts]")].map((element) => JSON.parse(element.dataset.texts)),
);
const pageLanguage = document.documentElement.lang;

// Dates, numbers and lists as readers of the page's language write them, in the browser's variety of it if it has one.
export const pageLocale = navigator.languages.find((language) => language.split("-")[0] === pageLanguage) ?? pageLanguage;

// Returns a text by its name, with values in the place of {name}.
export function textOf(name, values = {}) {
  return (pageTexts[name] ?? name).replace(/\{(\w+)\}/g, (placeholder, key) => values[key] ?? placeholder);
}
