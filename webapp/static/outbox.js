// What the server has not acknowledged yet, kept in this browser across reloads, an entry for each item.
// The newest choice replaces an older one. Nothing here says where the attempt is or who plays it.
const ALL = "poolproof/";
const FINISH = "finish";
// For entries that the browser will not keep: storage may be full or forbidden.
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

function entries(prefix) {
  let kept = [];
  try {
    kept = Object.entries(localStorage);
  } catch { /* nothing is kept */ }
  return [...kept, ...inMemory].filter(([key]) => key.startsWith(prefix)).flatMap(([key, text]) => {
    try {
      return [[key, JSON.parse(text)]];
    } catch {
      remove(key);
      return [];
    }
  });
}

export function anythingIsKept() {
  return entries(ALL).length > 0;
}

// Forgets what nobody can send any more, because its attempt has expired.
export function sweep() {
  for (const [key, entry] of entries(ALL)) {
    if (!(entry.until > Date.now())) {
      remove(key);
    }
  }
}

export class Outbox {
  constructor(attempt, until = 0) {
    this.name = `${ALL}${attempt}/`;
    this.until = until;
  }

  put(item, choices) {
    write(this.name + item, { choices, until: this.until });
  }

  // Takes an answer out: because these choices were acknowledged or refused (a newer one stays), or in any case.
  take(item, choices = null) {
    if (choices === null || String(this.answers().get(item)) === String(choices)) {
      remove(this.name + item);
    }
  }

  // The answers that wait: item → choices.
  answers() {
    const found = entries(this.name).map(([key, entry]) => [key.slice(this.name.length), entry.choices]);
    return new Map(found.filter(([item, choices]) => item !== FINISH && Array.isArray(choices)));
  }

  get finishes() {
    return entries(this.name + FINISH).length > 0;
  }

  set finishes(wanted) {
    if (wanted) {
      write(this.name + FINISH, { until: this.until });
    } else {
      remove(this.name + FINISH);
    }
  }

  get isEmpty() {
    return this.answers().size === 0 && !this.finishes;
  }

  clear() {
    for (const [key] of entries(this.name)) {
      remove(key);
    }
  }
}
