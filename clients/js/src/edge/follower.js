/** Follows the loop's bundles by long poll, for as long as the client is open. */

import { EdgeError } from '../errors.js';
import { Backoff, Pause } from './backoff.js';

/** Bundles are published a few times a second at most; two servers that disagree must not make a client spin. */
const BETWEEN_MS = 200;
/** A 304 that comes sooner was not waited for, whatever stands between: then the client waits. */
const EARLY_MS = 1000;

export class Follower {
  #service;
  #waitS;
  #accept;
  #failed;
  #backoff;
  #pause = new Pause();
  #aborter = new AbortController();
  #asked = [];
  #closed = false;

  /**
   * @param accept called with each new bundle; may throw where it cannot be used.
   * @param failed called with each error.
   */
  constructor(service, { hash, waitS, accept, failed, backoff = {} }) {
    this.#service = service;
    /** Hash of the last bundle seen, used or not. */
    this.hash = hash;
    this.#waitS = waitS;
    this.#accept = accept;
    this.#failed = failed;
    this.#backoff = new Backoff(backoff);
  }

  async run() {
    let quick = true;
    while (!this.#closed) {
      // Someone waits for the answer, or the network was away: ask without waiting for something newer.
      const pause = await this.#ask(quick || this.#asked.length > 0);
      quick = pause.failed;
      if (!this.#closed && !this.#asked.length) await this.#pause.wait(pause.ms);
    }
  }

  /** Asks at once; settles when the service has answered, or has not. */
  refresh() {
    return new Promise((resolve) => {
      this.#asked.push(resolve);
      this.#aborter.abort();
      this.#aborter = new AbortController();
      this.#pause.cut();
    });
  }

  close() {
    this.#closed = true;
    this.#aborter.abort();
    this.#pause.cut();
    this.#asked.splice(0).forEach((resolve) => resolve());
  }

  async #ask(quick) {
    const { signal } = this.#aborter;
    const asked = this.#asked.splice(0);
    const began = performance.now();
    try {
      const bundle = await this.#service.bundle(this.hash, quick ? 0 : this.#waitS, signal);
      this.#backoff.succeeded();
      if (bundle === null) {
        return { ms: quick || performance.now() - began >= EARLY_MS ? 0 : EARLY_MS, failed: false };
      }
      this.hash = bundle?.hash ?? null;
      this.#accept(bundle);
      return { ms: BETWEEN_MS, failed: false };
    } catch (error) {
      if (signal.aborted) {
        // Asked for again, or closed; then nobody will be answered.
        if (!this.#closed) this.#asked.unshift(...asked.splice(0));
        return { ms: 0, failed: false };
      }
      const known = error instanceof EdgeError ? error : new EdgeError('edge.bundle', error.message, { cause: error });
      this.#failed(known);
      return { ms: this.#backoff.failed(known.retryMs), failed: true };
    } finally {
      asked.forEach((resolve) => resolve());
    }
  }
}
