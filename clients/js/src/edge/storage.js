/**
 * Where an edge client keeps what must outlive it: texts by key, and locks.
 *
 * A storage has `get(key)`, `set(key, text)`, `delete(key)` and `keys()`, which answer at once; `set` may throw where
 * there is no room. `lock(name)`, where it has it, gives a function that releases the lock, or null where another
 * client of the same storage holds it. Without `lock` every client writes to an outbox of its own.
 */

/** Keeps everything while the program runs. Several clients may share one. */
export function memoryStorage() {
  const texts = new Map();
  const held = new Set();
  return {
    get: (key) => texts.get(key) ?? null,
    set: (key, text) => void texts.set(key, text),
    delete: (key) => void texts.delete(key),
    keys: () => [...texts.keys()],
    lock: async (name) => {
      if (held.has(name)) return null;
      held.add(name);
      return () => held.delete(name);
    },
  };
}

/** Keeps everything in the browser's localStorage, shared by all tabs of the origin. */
export function browserStorage(storage = globalThis.localStorage) {
  const locks = globalThis.navigator?.locks;
  return {
    get: (key) => storage.getItem(key),
    set: (key, text) => storage.setItem(key, text),
    delete: (key) => storage.removeItem(key),
    keys: () => Array.from({ length: storage.length }, (_, i) => storage.key(i)),
    // Pages that are not served securely have no locks.
    ...(locks ? { lock: (name) => browserLock(locks, name) } : {}),
  };
}

/** The Web Locks API holds a lock until a promise settles. */
function browserLock(locks, name) {
  return new Promise((resolve, reject) => {
    locks
      .request(name, { ifAvailable: true }, (lock) => {
        if (!lock) return resolve(null);
        return new Promise((release) => resolve(release));
      })
      .catch(reject);
  });
}
