/** A policy compiled at a cut, as the service sends it. */
export interface Bundle {
  type: 'bundle';
  loop: string;
  /** Names the bundle by its content. */
  hash: string;
  /** When it was published, milliseconds. */
  time: number;
  /** The offset covered of each partition. */
  cut: number[];
  definition: number;
  stream_time: number;
  generation: number;
  salt: string;
  /** The policy's kind, such as `thompson`. */
  kind: string;
  /** The actions allowed, in table order. */
  actions: string[];
  parameters: Record<string, unknown>;
}

export interface Decision {
  /** `generation.partition.local`; null where no bundle had come. */
  readonly id: string | null;
  readonly local: string;
  readonly unit: string;
  readonly action: string;
  /** The probability the action had: an integer over 2^53, exact. */
  readonly propensity: number;
  /** Hash of the bundle decided with, or `fallback`. */
  readonly bundle: string;
  /** Version of the loop's definition, 0 with the fallback. */
  readonly definition: number;
  readonly available: readonly string[] | null;
  readonly context: Readonly<Record<string, unknown>> | null;
  /** This machine's time, milliseconds. */
  readonly occurred: number | null;
}

/** The service's codes (`input.unknown_action`, `http.gap`, …) and some of the client's own (`edge.…`). */
export class EdgeError extends Error {
  constructor(code: string, message: string, options?: { field?: string | null; cause?: unknown });
  readonly code: string;
  /** The input at fault, where there is one. */
  readonly field: string | null;
  /** The event that was refused or not kept, where it is about one. */
  readonly event?: Readonly<Record<string, unknown>>;
  /** HTTP status of a request that failed, 0 where no answer came. */
  readonly status?: number;
}

/** A bundle ready to decide; does no input and output. */
export class Decider {
  /** @throws EdgeError `input.invalid`, `input.no_action`, `input.unknown_policy`, `definition.incoherent` */
  constructor(bundle: Bundle);
  readonly bundle: Bundle;
  readonly actions: readonly string[];
  /** The probability of each action, all being available. */
  readonly propensities: Float64Array;
  /** From a decision's full id to the index of its action, all being available. */
  readonly choose: (id: string) => number;
  /**
   * Decides for a unit. The same unit and local id against the same bundle give the same answer, on the server too.
   *
   * @param local the local part of the decision's id.
   * @param options.available the actions allowed, where fewer than the bundle's.
   * @throws EdgeError `input.invalid`, `input.unknown_action`, `input.no_action`
   */
  decide(
    unit: string,
    local: string,
    options?: {
      context?: Record<string, unknown> | null;
      available?: Iterable<string> | null;
      occurred?: number | null;
    },
  ): Decision;
  /** The probabilities over 2^53 with these actions available; null allows all. */
  weightsAmong(available: Iterable<string> | null): number[];
}

/** Where a client keeps its outbox and its last bundle. */
export interface Storage {
  get(key: string): string | null;
  /** May throw where there is no room. */
  set(key: string, text: string): void;
  delete(key: string): void;
  keys(): string[];
  /** A function that releases the lock, or null where another client of this storage holds it. */
  lock?(name: string): Promise<(() => void) | null>;
}

/** Keeps everything while the program runs; the default. */
export function memoryStorage(): Storage;

/** Keeps everything in the browser's localStorage, or in another that has its methods. */
export function browserStorage(storage?: {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, text: string): void;
  removeItem(key: string): void;
}): Storage;

export interface EdgeOptions {
  /** The service's address, such as `https://decide.example.org`. */
  url: string;
  loop: string;
  /** With the roles decide and reward. Whoever has the app has the key: give it no other role. */
  key?: string | null;
  /** The action before any bundle came; the first available one where this is not. None: `decide` throws then. */
  fallback?: string | null;
  storage?: Storage;
  /** Called with every error that is not thrown: requests that failed, events that were refused. */
  onError?: (error: EdgeError) => void;
  /** Called with every bundle put in use. */
  onBundle?: (bundle: Bundle) => void;
  /** Seconds a request for a newer bundle waits at the service, 60 at most; default 20. */
  waitS?: number;
  /** How long an event waits for others to be sent with; default 1000. */
  lingerMs?: number;
  /** Pauses after failures: from `leastMs` (500) doubling to `mostMs` (60,000), half of it at random. */
  backoff?: { leastMs?: number; mostMs?: number; random?: () => number };
  /** Events kept at most while the service is away; default 10,000. */
  limit?: number;
  clock?: () => number;
  fetch?: typeof fetch;
}

export interface Status {
  /** Hash of the bundle in use. */
  bundle: string | null;
  /** Events the service has not acknowledged. */
  pending: number;
  accepted: number;
  /** Events the service had already, from an attempt whose answer was lost. */
  repeated: number;
  /** Events the service refused for what stood in them. */
  refused: number;
  /** Events not kept because the outbox was full. */
  dropped: number;
  /** The last error. */
  error: EdgeError | null;
}

/** Decides in the app with the loop's newest bundle, and reports in its own time. */
export class Edge {
  private constructor();
  /** Resolves at once, with or without network. */
  static open(options: EdgeOptions): Promise<Edge>;
  readonly bundle: Bundle | null;
  readonly status: Status;
  /** Resolves when there is a bundle, perhaps one an earlier run stored; to false if the client is closed first. */
  ready(): Promise<boolean>;
  /**
   * Decides at once, and queues the decision.
   *
   * @param options.decision the caller's own id: the same id and unit, decided again, counts once.
   * @param options.log false where the decision is reported with its reward by `outcome`.
   * @throws EdgeError as `Decider.decide`; `fold.no_bundle` without bundle and fallback; `edge.closed`
   */
  decide(
    unit: string,
    options?: {
      decision?: string;
      context?: Record<string, unknown> | null;
      available?: Iterable<string> | null;
      log?: boolean;
    },
  ): Decision;
  /** Reports how a decision went; `{unit}` credits the unit's last one. The same `rewardId` counts once. */
  reward(
    decision: Decision | { unit: string; local?: string },
    value: number | boolean,
    options?: { name?: string | null; rewardId?: string },
  ): void;
  /** Reports a decision made with `log: false` together with its reward. */
  outcome(decision: Decision, reward: number | boolean): void;
  /** Reports that a decision was shown. */
  activate(decision: Decision | { unit: string; local: string }): void;
  /** Sends what is queued, now; resolves to the number of events still queued. */
  flush(): Promise<number>;
  /** Asks for a newer bundle, now; resolves to the one in use after the answer. */
  refresh(): Promise<Bundle | null>;
  /** Sends once more and ends; resolves to the number of events left in the storage. */
  close(): Promise<number>;
}

/** A decision's random number, 0 to 2^53 - 1. */
export function draw(salt: string, purpose: string, id: string): number;

/** The partition of a unit, as the Java Kafka client's default partitioner. */
export function partitionOf(unit: string, partitions: number): number;
