/** Decides in the app itself with the loop's newest bundle, and brings what happened to the service in its own time. */

import { Decider } from '../decider.js';
import { EdgeError, shown } from '../errors.js';
import { checkedName, randomId } from '../ids.js';
import { Courier } from './courier.js';
import { Follower } from './follower.js';
import { openOutboxes } from './outbox.js';
import { Service } from './service.js';
import { memoryStorage } from './storage.js';

/** What stands in the place of a bundle's hash before any came. */
const FALLBACK = 'fallback';
const MOST_PENDING = 10_000;

export class Edge {
  #loop;
  #fallback;
  #clock;
  #limit;
  #onError;
  #onBundle;
  #storage;
  #bundleKey;
  #decider = null;
  #follower;
  #courier;
  #outbox;
  #dropped = 0;
  #error = null;
  #closed = false;
  #ready;
  #isReady;
  #online = () => this.#wake();
  #leaving = () => void this.#courier.deliver();

  /**
   * Opens a client: takes over what an earlier one left in the storage, and begins to follow the loop's bundles.
   *
   * Resolves at once, with or without network; await `ready()` for the first bundle. See index.d.ts for the options.
   */
  static async open(options) {
    const { url, loop, storage = memoryStorage() } = options ?? {};
    if (typeof url !== 'string') {
      throw new EdgeError('input.invalid', `url is ${shown(url)}, expected the service's address`, { field: 'url' });
    }
    checkedName(loop, 'loop');
    const place = `foldline/${encodeURIComponent(loop)}`;
    const edge = new Edge({ ...options, storage }, place, await openOutboxes(storage, `${place}/outbox/`));
    edge.#follower.run();
    if (edge.#courier.pending) edge.#courier.wake();
    globalThis.addEventListener?.('online', edge.#online);
    globalThis.addEventListener?.('pagehide', edge.#leaving);
    return edge;
  }

  /** Use `Edge.open`. */
  constructor(options, place, outboxes) {
    const { url, loop, key = null, fallback = null, storage, onError, onBundle } = options;
    this.#loop = loop;
    this.#fallback = fallback;
    this.#clock = options.clock ?? Date.now;
    this.#limit = options.limit ?? MOST_PENDING;
    this.#onError = onError;
    this.#onBundle = onBundle;
    this.#storage = storage;
    this.#bundleKey = `${place}/bundle`;
    this.#ready = new Promise((resolve) => (this.#isReady = resolve));
    this.#restore();
    const fetch = options.fetch ?? ((...request) => globalThis.fetch(...request));
    const service = new Service(url, loop, key, fetch);
    const failed = (error) => this.#report(error);
    const backoff = options.backoff ?? {};
    this.#outbox = outboxes[0];
    this.#courier = new Courier(service, outboxes, { lingerMs: options.lingerMs ?? 1000, failed, backoff });
    this.#follower = new Follower(service, {
      hash: this.bundle?.hash ?? null,
      waitS: options.waitS ?? 20,
      accept: (bundle) => this.#accept(bundle),
      failed,
      backoff,
    });
  }

  /** The bundle in use, or null before any came. */
  get bundle() {
    return this.#decider?.bundle ?? null;
  }

  /** How it stands: events pending and what became of the others, the last error. */
  get status() {
    return {
      bundle: this.bundle?.hash ?? null,
      pending: this.#courier.pending,
      ...this.#courier.counts,
      dropped: this.#dropped,
      error: this.#error,
    };
  }

  /** Resolves when there is a bundle, perhaps the stored one of an earlier run; false if the client is closed first. */
  ready() {
    return this.#ready;
  }

  /**
   * Decides for a unit, at once, and queues the decision for the service.
   *
   * Throws `fold.no_bundle` where no bundle has come yet and the client has no fallback.
   */
  decide(unit, { decision = randomId(), context = null, available = null, log = true } = {}) {
    this.#open();
    const occurred = this.#clock();
    const made = this.#decider
      ? this.#decider.decide(unit, decision, { context, available, occurred })
      : this.#fallen(unit, decision, { context, available, occurred });
    if (log) this.#append(logged('decision', made));
    return made;
  }

  /**
   * Reports how a decision went; with `{unit}` in its place, the unit's last decision is credited.
   *
   * The same `rewardId` counts once.
   */
  reward(decision, value, { name = null, rewardId = randomId() } = {}) {
    this.#open();
    const event = { type: 'reward', ...about(decision), value: number(value) };
    if (name !== null) event.name = checkedName(name, 'name');
    this.#append({ ...event, reward_id: checkedName(rewardId, 'rewardId'), occurred: this.#clock() });
  }

  /** Reports a decision made with `log: false` together with its reward, for loops whose outcomes come complete. */
  outcome(decision, reward) {
    this.#open();
    about(decision);
    this.#append({ ...logged('outcome', decision), reward: number(reward) });
  }

  /** Reports that a decision was shown, for loops where it counts only then. */
  activate(decision) {
    this.#open();
    this.#append({ type: 'activation', ...about(decision), occurred: this.#clock() });
  }

  /** Sends what is queued, now; resolves to the number of events still queued: 0 when the service has them all. */
  async flush() {
    await this.#courier.deliver();
    return this.#courier.pending;
  }

  /** Asks for a newer bundle, now; resolves when the service has answered, or has not. */
  async refresh() {
    if (!this.#closed) await this.#follower.refresh();
    return this.bundle;
  }

  /** Sends once more what is queued, and ends; resolves to the number of events left, which the storage keeps. */
  async close() {
    if (this.#closed) return this.#courier.pending;
    this.#closed = true;
    globalThis.removeEventListener?.('online', this.#online);
    globalThis.removeEventListener?.('pagehide', this.#leaving);
    this.#follower.close();
    this.#isReady(this.#decider !== null);
    await this.#courier.deliver();
    this.#courier.close();
    return this.#courier.pending;
  }

  #open() {
    if (this.#closed) throw new EdgeError('edge.closed', `the edge client of loop ${shown(this.#loop)} is closed`);
  }

  #wake() {
    this.#follower.refresh();
    this.#courier.deliver();
  }

  /** The fallback, or where it is not available the first that is. */
  #fallen(unit, local, { context, available, occurred }) {
    checkedName(unit, 'unit');
    checkedName(local, 'decision');
    const names = available && [...available];
    if (names && !names.length) {
      throw new EdgeError('input.no_action', 'available is empty; allow at least one action', { field: 'available' });
    }
    if (this.#fallback === null) {
      throw new EdgeError(
        'fold.no_bundle',
        `no bundle of loop ${shown(this.#loop)} has come yet; await ready(), or give a fallback`,
      );
    }
    return {
      id: null,
      local,
      unit,
      action: !names || names.includes(this.#fallback) ? this.#fallback : names[0],
      propensity: 1,
      bundle: FALLBACK,
      definition: 0,
      available: names,
      context,
      occurred,
    };
  }

  #append(event) {
    if (this.#courier.pending >= this.#limit) {
      this.#dropped++;
      const message = `the outbox has ${this.#limit} events, the limit; this one is not kept`;
      this.#report(Object.assign(new EdgeError('outbox.full', message), { event }));
      return;
    }
    try {
      this.#outbox.append(event);
    } catch (cause) {
      this.#report(new EdgeError('outbox.storage', `events are kept in memory only: ${cause.message}`, { cause }));
    }
    this.#courier.wake();
  }

  #accept(bundle) {
    if (bundle?.loop !== this.#loop) {
      throw new EdgeError('edge.bundle', `the answer is no bundle of loop ${shown(this.#loop)}`);
    }
    this.#use(bundle);
    try {
      this.#storage.set(this.#bundleKey, JSON.stringify(bundle));
    } catch (cause) {
      this.#report(new EdgeError('outbox.storage', `the bundle is not stored: ${cause.message}`, { cause }));
    }
  }

  #use(bundle) {
    this.#decider = new Decider(bundle);
    this.#isReady(true);
    this.#onBundle?.(bundle);
  }

  /** Begins with the bundle of an earlier run, so that an app started without network decides by what it knew. */
  #restore() {
    const text = this.#storage.get(this.#bundleKey);
    if (text === null) return;
    try {
      this.#use(JSON.parse(text));
    } catch (cause) {
      this.#report(new EdgeError('edge.bundle', `the stored bundle cannot be used: ${cause.message}`, { cause }));
    }
  }

  #report(error) {
    this.#error = error;
    try {
      this.#onError?.(error);
    } catch (thrown) {
      // The app's own fault: it must not end the client's work, nor vanish.
      queueMicrotask(() => {
        throw thrown;
      });
    }
  }
}

/** A decision as an event has it: the local id, and nothing that is null. */
function logged(type, { local, unit, action, propensity, bundle, definition, available, context, occurred }) {
  const event = { type, decision: local, unit, action, propensity, bundle, definition };
  if (available !== null) event.available = available;
  if (context !== null) event.context = context;
  if (occurred !== null) event.occurred = occurred;
  return event;
}

function about({ local, unit } = {}) {
  const event = { unit: checkedName(unit, 'unit') };
  return local === undefined ? event : { decision: checkedName(local, 'decision'), ...event };
}

function number(value) {
  const found = typeof value === 'boolean' ? Number(value) : value;
  if (typeof found === 'number' && Number.isFinite(found)) return found;
  throw new EdgeError('input.invalid', `value is ${shown(value)}, expected a finite number`, { field: 'value' });
}
