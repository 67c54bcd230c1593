// What the page says about the answers: never better than it is.
import { pageLocale, textOf } from "./texts.js";

function describeUnsaved(numbers, reason) {
  return numbers.length === 1
    ? textOf("unsaved-question", { number: numbers[0], reason })
    : textOf("unsaved-questions", { numbers: new Intl.ListFormat(pageLocale).format(numbers.map(String)), reason });
}

// `rejections` is a list of [question's number or null for finishing, reason].
function describeRejections(rejections) {
  const numbers = rejections.map(([number]) => number).filter((number) => number !== null).sort((a, b) => a - b);
  const reason = rejections.at(-1)[1];
  return numbers.length > 0 ? describeUnsaved(numbers, reason) : textOf("not-finished", { reason });
}

function describePending(pendingCount, finishRequested, isOnline) {
  const answers = textOf(pendingCount === 1 ? "pending-answer" : "pending-answers", { count: pendingCount });
  const problems = [pendingCount > 0 ? answers : "", finishRequested && pendingCount === 0 ? textOf("pending-finish") : ""];
  const retrying = finishRequested && pendingCount > 0 ? textOf("retrying-finish") : textOf("retrying");
  const nextStep = isOnline ? retrying : textOf("offline");
  return [...problems, nextStep].filter(Boolean).join(" ");
}

// Returns [text, kind]; the kind is a class of .status.
export function statusText({
  rejections, pendingCount, finishRequested, isRetrying, wasRetrying, isOnline, isMissing, isSaved,
}) {
  if (isRetrying && (pendingCount > 0 || finishRequested)) {
    return [describePending(pendingCount, finishRequested, isOnline), "pending"];
  }
  if (finishRequested) {
    return [textOf("finishing"), ""];
  }
  if (rejections.length > 0) {
    return [describeRejections(rejections), "error"];
  }
  if (isMissing) {
    return [textOf("missing"), "error"];
  }
  if (pendingCount > 0) {
    return [textOf("saving"), ""];
  }
  if (wasRetrying) {
    return [textOf("all-saved"), "success"];
  }
  return isSaved ? [textOf("saved"), "success"] : ["", ""];
}
