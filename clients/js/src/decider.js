/** A bundle ready to decide: a unit, a draw, and out comes a decision with its exact propensity. */

import { EdgeError, shown } from './errors.js';
import { fastHash } from './hashing/xxh3.js';
import { partitionOf } from './hashing/murmur2.js';
import { checkedName } from './ids.js';
import { ruleOf } from './rules/registry.js';
import { Table } from './tables.js';

/** The purpose of an action's draw, between the bytes that join it with salt and id. */
const ACTION = '\x1faction\x1f';
/** Tables of so many masks are kept. */
const MASKS = 256;

/** By code point, as Python sorts; JavaScript's own order is by UTF-16 unit. */
function byCodePoint(left, right) {
  const [a, b] = [[...left], [...right]];
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a[i] !== b[i]) return a[i].codePointAt(0) - b[i].codePointAt(0);
  }
  return a.length - b.length;
}

export class Decider {
  #table;
  #rule;
  #index;
  #partitions;
  #masked = new Map();

  /**
   * @param bundle as the service sends it, with parameters.
   * @param hash which implementation of the hash to use; for tests.
   */
  constructor(bundle, { hash = fastHash } = {}) {
    if (bundle?.type !== 'bundle' || !bundle.parameters) {
      throw new EdgeError('input.invalid', `a decider needs a bundle with parameters, got ${shown(bundle)}`, {
        field: 'bundle',
      });
    }
    const { kind, actions, parameters, salt, generation, cut } = bundle;
    if (!actions.length) {
      throw new EdgeError('input.no_action', `bundle ${bundle.hash} has no actions`, { field: 'actions' });
    }
    const rule = ruleOf(kind);
    this.bundle = bundle;
    this.actions = actions;
    this.#rule = (allowed) => rule(parameters, actions, allowed);
    this.#index = new Map(actions.map((name, i) => [name, i]));
    this.#table = new Table(this.#rule(null));
    // A drawer a partition, with the id's first half in its prefix: joining the halves for each draw costs more.
    this.#partitions = cut.map((_, partition) => {
      const prefix = `${generation}.${partition}.`;
      return { prefix, draw: hash.drawer(`${salt}${ACTION}${prefix}`) };
    });
    /** The probability of each action, all being available. */
    this.propensities = this.#table.propensities;
    const table = this.#table;
    const draw = hash.drawer(salt + ACTION);
    /**
     * From a decision's full id to the index of its action, all being available; `propensities[index]` is its
     * probability. The hot path, as a closure.
     */
    this.choose = (id) => table.find(draw(id));
  }

  /** The probabilities over 2^53 with these actions available, null for all. */
  weightsAmong(available) {
    return [...(available ? this.#among([...available]) : this.#table).weights];
  }

  /**
   * Decides for a unit.
   *
   * The same unit and local id against the same bundle give the same answer, here and on the server.
   *
   * @param unit who or what is decided for.
   * @param local the local part of the decision's id.
   * @param options.context features, logged by value.
   * @param options.available the actions allowed, where fewer than the bundle's.
   * @param options.occurred this machine's time, milliseconds.
   */
  decide(unit, local, { context = null, available = null, occurred = null } = {}) {
    checkedName(unit, 'unit');
    checkedName(local, 'decision');
    const partitions = this.#partitions;
    const { prefix, draw } = partitions[partitions.length > 1 ? partitionOf(unit, partitions.length) : 0];
    const names = available && [...available].sort(byCodePoint);
    const table = names ? this.#among(names) : this.#table;
    const index = table.find(draw(local));
    return {
      id: prefix + local,
      local,
      unit,
      action: this.actions[index],
      propensity: table.propensities[index],
      bundle: this.bundle.hash,
      definition: this.bundle.definition,
      available: names,
      context,
      occurred,
    };
  }

  #among(names) {
    const unknown = names.filter((name) => !this.#index.has(name));
    if (unknown.length) {
      throw new EdgeError(
        'input.unknown_action',
        `available names ${shown(unknown)}, which are none of the actions ${shown(this.actions)}`,
        { field: 'available' },
      );
    }
    if (!names.length) {
      throw new EdgeError('input.no_action', 'available is empty; allow at least one action', {
        field: 'available',
      });
    }
    const marked = new Set(names.map((name) => this.#index.get(name)));
    const allowed = this.actions.map((_, i) => marked.has(i));
    const key = allowed.map(Number).join('');
    const table = this.#masked.get(key) ?? new Table(this.#rule(allowed));
    // Set again, it stands last: the first is then the one not used for longest.
    this.#masked.delete(key);
    this.#masked.set(key, table);
    if (this.#masked.size > MASKS) this.#masked.delete(this.#masked.keys().next().value);
    return table;
  }
}
