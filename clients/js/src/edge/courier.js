/** Carries events from outboxes to the service, one request at a time, until they are acknowledged. */

import { EdgeError } from '../errors.js';
import { Backoff } from './backoff.js';

/** Below the service's limits of 1,000 items and 1 MB: a character has three bytes of UTF-8 at most. */
const MOST_EVENTS = 500;
const MOST_CHARACTERS = 250_000;
const GAP = 'http.gap';

export class Courier {
  #service;
  #outboxes;
  #lingerMs;
  #failed;
  #backoff;
  #timer = null;
  #pass = null;
  #closed = false;
  /** Events a request may carry; halved while the service refuses requests, to find the one at fault. */
  #most = MOST_EVENTS;
  counts = { accepted: 0, repeated: 0, refused: 0 };

  constructor(service, outboxes, { lingerMs, failed, backoff = {} }) {
    this.#service = service;
    this.#outboxes = outboxes;
    this.#lingerMs = lingerMs;
    this.#failed = failed;
    this.#backoff = new Backoff(backoff);
  }

  get pending() {
    return this.#outboxes.reduce((sum, { pending }) => sum + pending.length, 0);
  }

  /** Something was appended: sends it soon, together with what follows it within the linger. */
  wake() {
    if (!this.#closed && !this.#pass) this.#timer ??= setTimeout(() => this.deliver(), this.#lingerMs);
  }

  /** One pass over everything pending, ended by the first failure; never rejects. */
  deliver() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#pass ??= this.#deliver().finally(() => {
      this.#pass = null;
      if (this.pending && !this.#timer) this.wake();
    });
    return this.#pass;
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#outboxes.forEach((outbox) => outbox.close());
  }

  async #deliver() {
    try {
      // What earlier clients left goes first: it is older.
      while (this.#outboxes.length > 1) {
        await this.#empty(this.#outboxes[1]);
        this.#outboxes[1].remove();
        this.#outboxes.splice(1, 1);
      }
      await this.#empty(this.#outboxes[0]);
    } catch (error) {
      const known = error instanceof EdgeError ? error : new EdgeError('edge.outbox', error.message, { cause: error });
      this.#failed(known);
      if (!this.#closed) this.#timer = setTimeout(() => this.deliver(), this.#backoff.failed(known.retryMs));
    }
  }

  async #empty(outbox) {
    let renewed = false;
    while (outbox.pending.length) {
      const events = this.#batch(outbox.pending);
      try {
        const answer = await this.#service.send(outbox.id, outbox.first, events);
        this.#took(outbox, answer);
      } catch (error) {
        if (renewed && error.code === GAP) throw error;
        renewed ||= error.code === GAP;
        await this.#recover(error, outbox, events.length);
      }
    }
  }

  #batch(pending) {
    let characters = 0;
    const size = pending.findIndex((text, i) => {
      characters += text.length;
      return i > 0 && (i >= this.#most || characters > MOST_CHARACTERS);
    });
    return pending.slice(0, size < 0 ? pending.length : size);
  }

  #took(outbox, { next, accepted = 0, repeated = 0, errors = [] }) {
    this.#backoff.succeeded();
    this.#most = Math.min(MOST_EVENTS, 2 * this.#most);
    this.counts.accepted += accepted;
    this.counts.repeated += repeated;
    for (const { index, error } of errors) {
      this.#refused(error.code, error.message, JSON.parse(outbox.pending[index] ?? 'null'));
    }
    outbox.acknowledge(next);
  }

  /** What can be mended at once; any other error ends the pass. */
  async #recover(error, outbox, sent) {
    if (error.code === GAP) {
      // The storage was put back to an earlier state, or the service lost its memory. Decision and reward ids keep
      // what is sent twice from counting twice.
      this.#failed(error);
      await outbox.renew();
    } else if (error.status !== 400 && error.status !== 413) {
      throw error;
    } else if (sent > 1) {
      this.#most = Math.ceil(sent / 2);
    } else {
      this.#refused(error.code, error.message, outbox.discardFirst());
    }
  }

  #refused(code, message, event) {
    this.counts.refused++;
    this.#failed(Object.assign(new EdgeError(code, `the service refused an event: ${message}`), { event }));
  }
}
