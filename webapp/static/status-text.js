// What the page says about the answers: never better than it is.
function formatQuestions(numbers) {
  const list = new Intl.ListFormat("en-GB").format(numbers.map(String));
  return numbers.length === 1 ? `Question ${list} is` : `Questions ${list} are`;
}

// `rejections` is a list of [question's number or null for finishing, reason].
function describeRejections(rejections) {
  const numbers = rejections.map(([number]) => number).filter((number) => number !== null).sort((a, b) => a - b);
  const reason = rejections.at(-1)[1];
  return numbers.length > 0 ? `${formatQuestions(numbers)} not saved: ${reason}` : `Not finished: ${reason}`;
}

function describePending(pendingCount, finishRequested, isOnline) {
  const answers = pendingCount === 1 ? "1 answer is not saved yet." : `${pendingCount} answers are not saved yet.`;
  const problems = [pendingCount > 0 ? answers : "", finishRequested && pendingCount === 0 ? "Not finished yet." : ""];
  const retrying = finishRequested && pendingCount > 0 ? "Trying again, then finishing…" : "Trying again…";
  const nextStep = isOnline ? retrying : "You are offline; this continues automatically when you are back online.";
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
    return ["Finishing…", ""];
  }
  if (rejections.length > 0) {
    return [describeRejections(rejections), "error"];
  }
  if (isMissing) {
    return ["Choose at least one answer; until then the last saved choice counts.", "error"];
  }
  if (pendingCount > 0) {
    return ["Saving…", ""];
  }
  if (wasRetrying) {
    return ["All answers are saved", "success"];
  }
  return isSaved ? ["Saved", "success"] : ["", ""];
}
