/** How long to wait after failures, and waiting that can be cut short. */

/** From half a second, doubling, to a minute; half of it at random, so that clients do not come back all at once. */
export class Backoff {
  #failures = 0;

  constructor({ leastMs = 500, mostMs = 60_000, random = Math.random } = {}) {
    this.leastMs = leastMs;
    this.mostMs = mostMs;
    this.random = random;
  }

  succeeded() {
    this.#failures = 0;
  }

  /** The pause after one more failure; where the service asked for one, that and up to half of it more. */
  failed(askedMs = 0) {
    const whole = Math.min(this.mostMs, this.leastMs * 2 ** Math.min(this.#failures++, 30));
    return askedMs > 0 ? askedMs * (1 + 0.5 * this.random()) : whole * (0.5 + 0.5 * this.random());
  }
}

/** A pause that `cut` ends early. */
export class Pause {
  #end = null;

  wait(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.cut(), ms);
      this.#end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  cut() {
    const end = this.#end;
    this.#end = null;
    end?.();
  }
}
