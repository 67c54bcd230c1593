// What the server has not acknowledged yet, stored in this browser across reloads, an entry for each item.
// The newest choice replaces an older one. Nothing here says where the attempt is or who plays it.
const KEY_PREFIX = "poolproof/";
const FINISH_KEY = "finish";
// For entries that the browser does not store: storage may be full or forbidden.
const inMemory = new Map();

function write(key, entry) {
  const text = JSON.stringify(entry);
  try {
    localStorage.setItem(key, text);
    inMemory.delete(key);
  } catch {
    inMemory.set(key, text);
  }
}

function remove(key) {
  inMemory.delete(key);
  try {
    localStorage.removeItem(key);
  } catch { /* then it is not there */ }
}

function readEntries(prefix) {
  let stored = [];
  try {
    stored = Object.entries(localStorage);
  } catch { /* nothing is stored */ }
  return [...stored, ...inMemory].filter(([key]) => key.startsWith(prefix)).flatMap(([key, text]) => {
    try {
      return [[key, JSON.parse(text)]];
    } catch {
      remove(key);
      return [];
    }
  });
}

export function hasPendingAnswers() {
  return readEntries(KEY_PREFIX).length > 0;
}

// Removes what can no longer be sent, because its attempt has expired.
export function removeExpired() {
  for (const [key, entry] of readEntries(KEY_PREFIX)) {
    if (!(entry.until > Date.now())) {
      remove(key);
    }
  }
}

export class Outbox {
  constructor(attempt, expiresAt = 0) {
    this.name = `${KEY_PREFIX}${attempt}/`;
    this.expiresAt = expiresAt;
  }

  put(item, choices) {
    write(this.name + item, { choices, until: this.expiresAt });
  }

  // Removes an answer: because these choices were acknowledged or rejected (a newer one stays), or in any case.
  acknowledge(item, choices = null) {
    if (choices === null || String(this.pendingAnswers().get(item)) === String(choices)) {
      remove(this.name + item);
    }
  }

  // The answers to be sent: item → choices.
  pendingAnswers() {
    const entries = readEntries(this.name).map(([key, entry]) => [key.slice(this.name.length), entry.choices]);
    return new Map(entries.filter(([item, choices]) => item !== FINISH_KEY && Array.isArray(choices)));
  }

  get finishRequested() {
    return readEntries(this.name + FINISH_KEY).length > 0;
  }

  set finishRequested(isRequested) {
    if (isRequested) {
      write(this.name + FINISH_KEY, { until: this.expiresAt });
    } else {
      remove(this.name + FINISH_KEY);
    }
  }

  get isEmpty() {
    return this.pendingAnswers().size === 0 && !this.finishRequested;
  }

  clear() {
    for (const [key] of readEntries(this.name)) {
      remove(key);
    }
  }
}
