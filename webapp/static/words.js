// What the page says about the answers: in words, and never better than it is.
function listed(numbers) {
  const all = new Intl.ListFormat("en-GB").format(numbers.map(String));
  return numbers.length === 1 ? `Question ${all} is` : `Questions ${all} are`;
}

// What the server will not take: `refusals` is a list of [question's number or null for finishing, reason].
function whatIsRefused(refusals) {
  const numbers = refusals.map(([number]) => number).filter((number) => number !== null).sort((a, b) => a - b);
  const reason = refusals.at(-1)[1];
  return numbers.length > 0 ? `${listed(numbers)} not saved: ${reason}` : `Not finished: ${reason}`;
}

function whatWaits(waiting, finishes, isOnline) {
  const answers = waiting === 1 ? "1 answer is not saved yet." : `${waiting} answers are not saved yet.`;
  const said = [waiting > 0 ? answers : "", finishes && waiting === 0 ? "Not finished yet." : ""];
  const again = finishes && waiting > 0 ? "Trying again, then finishing…" : "Trying again…";
  const hope = isOnline ? again : "You are offline; this goes on by itself when you are back.";
  return [...said, hope].filter(Boolean).join(" ");
}

// Returns [text, kind]; the kind is a class of .state.
export function words({ refusals, waiting, finishes, isTroubled, wasTroubled, isOnline, isMissing, isSaved }) {
  if (isTroubled && (waiting > 0 || finishes)) {
    return [whatWaits(waiting, finishes, isOnline), "waiting"];
  }
  if (finishes) {
    return ["Finishing…", ""];
  }
  if (refusals.length > 0) {
    return [whatIsRefused(refusals), "trouble"];
  }
  if (isMissing) {
    return ["Choose at least one answer; until then the last saved choice counts.", "trouble"];
  }
  if (waiting > 0) {
    return ["Saving…", ""];
  }
  if (wasTroubled) {
    return ["All answers are saved", "done"];
  }
  return isSaved ? ["Saved", "done"] : ["", ""];
}
