// Shows times in the time zone of the reader and the language of the page; without script they are in UTC and say so.
import { pageLocale } from "./texts.js";

const format = new Intl.DateTimeFormat(pageLocale, { dateStyle: "medium", timeStyle: "short" });
for (const element of document.querySelectorAll("time[datetime]")) {
  element.title = element.textContent;
  element.textContent = format.format(new Date(element.dateTime));
}
