/**
 * Events on their way to the service, numbered from 0 over the outbox's life.
 *
 * The service remembers the next number it expects of each outbox, so events may be sent any number of times. What
 * must hold here is that a number never stands for two events: one client at a time appends to an outbox, under the
 * storage's lock. Stored are the events, a key each, and `next`, the first number not yet acknowledged.
 */

import { randomId } from '../ids.js';

const NEXT = 'next';

export class Outbox {
  #storage;
  #prefix;
  #release;
  /** Whether events are stored; not after the storage was full, until the outbox is empty: it must have no holes. */
  #stored = true;

  constructor(storage, prefix, id, { release = null, first = 0, pending = [] } = {}) {
    this.#storage = storage;
    this.#prefix = prefix;
    this.#release = release;
    this.id = id;
    this.first = first;
    /** Events as JSON, the first has the number `first`. */
    this.pending = pending;
  }

  #key(what) {
    return `${this.#prefix}${this.id}/${what}`;
  }

  /** Adds an event. Throws what the storage throws where it has no room; the event is kept in memory then. */
  append(event) {
    const number = this.first + this.pending.length;
    const text = JSON.stringify(event);
    if (!this.pending.length) this.#stored = true;
    this.pending.push(text);
    if (!this.#stored) return;
    try {
      if (number === 0) this.#storeNext();
      this.#storage.set(this.#key(number), text);
    } catch (error) {
      this.#stored = false;
      throw error;
    }
  }

  /** Padded, so that writing it again needs no room: a full storage must still be emptied. */
  #storeNext() {
    this.#storage.set(this.#key(NEXT), String(this.first).padStart(16, '0'));
  }

  /** Drops the events before a number, which the service has. */
  acknowledge(next) {
    const from = this.first;
    this.first = next;
    this.pending.splice(0, next - from);
    // The number first: if the program ends in between, what is left over is deleted when the outbox is opened.
    this.#storeNext();
    for (let n = from; n < next; n++) this.#storage.delete(this.#key(n));
  }

  /** Takes out the first event, which the service will never take; those behind it move up. */
  discardFirst() {
    const event = this.pending[0];
    this.#forget();
    this.pending.shift();
    this.#storeAll();
    return JSON.parse(event);
  }

  /** Starts anew under another id with what is pending, where the service's number contradicts this one's. */
  async renew() {
    const [old, release] = [new Outbox(this.#storage, this.#prefix, this.id, this), this.#release];
    this.id = randomId();
    this.#release = (await this.#storage.lock?.(this.#prefix + this.id)) ?? null;
    this.first = 0;
    this.#storeAll();
    old.remove();
    release?.();
  }

  /** As far as there is room; what finds none stays in memory. */
  #storeAll() {
    try {
      this.#storeNext();
      this.pending.forEach((text, i) => this.#storage.set(this.#key(this.first + i), text));
      this.#stored = true;
    } catch {
      this.#stored = false;
    }
  }

  #forget() {
    this.pending.forEach((_, i) => this.#storage.delete(this.#key(this.first + i)));
  }

  /** Deletes every trace of an outbox that nobody will append to again. */
  remove() {
    this.#forget();
    this.#storage.delete(this.#key(NEXT));
    this.close();
  }

  close() {
    this.#release?.();
    this.#release = null;
  }
}

/**
 * The outbox to append to, and those that earlier clients left behind with events in them, in `[own, ...left]`.
 *
 * One that nobody holds is taken over. Where the storage has no locks, each client begins its own; sending what
 * another, perhaps alive, has left is harmless, since its numbers stay with its events.
 */
export async function openOutboxes(storage, prefix) {
  const found = stored(storage, prefix);
  const opened = [];
  for (const [id, { next, events }] of found) {
    const release = storage.lock ? await storage.lock(prefix + id) : undefined;
    if (release === null) continue;
    const first = next ?? Math.min(...events.keys());
    const pending = [];
    for (const number of events.keys()) if (number < first) storage.delete(`${prefix}${id}/${number}`);
    while (events.has(first + pending.length)) pending.push(events.get(first + pending.length));
    opened.push(new Outbox(storage, prefix, id, { release, first, pending }));
  }
  if (storage.lock && opened.length) return opened;
  const id = randomId();
  const release = (await storage.lock?.(prefix + id)) ?? null;
  return [new Outbox(storage, prefix, id, { release }), ...opened];
}

function stored(storage, prefix) {
  const found = new Map();
  for (const key of storage.keys()) {
    if (!key.startsWith(prefix)) continue;
    const [id, what] = key.slice(prefix.length).split('/');
    const outbox = found.get(id) ?? { next: null, events: new Map() };
    found.set(id, outbox);
    if (what === NEXT) outbox.next = Number(storage.get(key));
    else outbox.events.set(Number(what), storage.get(key));
  }
  return found;
}
