/**
 * Probability tables: integers over 2^53 that sum to it exactly.
 *
 * They are kept as doubles, which hold every integer up to 2^53. So that nothing is ever rounded, no sum here goes
 * beyond 2^53, and a quotient is taken of a number the divisor divides.
 */

/** Probabilities are integers over this. */
export const WHOLE = 9007199254740992;

/** The mask, or all of the actions where there is none. */
export const everything = (allowed, actions) => allowed ?? new Array(actions).fill(true);

const marked = (mask) => mask.reduce((count, is) => count + (is ? 1 : 0), 0);

/** Quotient, rounded down, and remainder of integers, 0 <= a <= 2^53. */
function divided(a, b) {
  const rest = a % b;
  return [(a - rest) / b, rest];
}

/** `mass` shared equally among the marked actions; the first marked ones take one unit more of what remains. */
export function equalShares(mass, among) {
  const [share, rest] = divided(mass, marked(among));
  let extra = rest;
  return Float64Array.from(among, (is) => (is ? share + (extra-- > 0 ? 1 : 0) : 0));
}

const indexOfGreatest = (values) => values.reduce((best, v, i) => (v > values[best] ? i : best), 0);

/**
 * `WHOLE` in proportion to the shares of the allowed actions, equally where all their shares are zero.
 *
 * Each share, divided by their sum added in order, is rounded down; what remains goes to the first of the greatest.
 */
export function proportional(shares, allowed) {
  const kept = Float64Array.from(shares, (share, i) => (allowed[i] ? share : 0));
  const total = kept.reduce((sum, share) => sum + share, 0);
  if (!(total > 0)) return equalShares(WHOLE, allowed);
  const weights = kept.map((share) => Math.floor((share / total) * WHOLE));
  // Taken off one by one: the sum of the rounded shares may lie above 2^53, where doubles skip odd numbers.
  const rest = weights.reduce((left, weight) => left - weight, WHOLE);
  weights[indexOfGreatest(weights)] += rest;
  return weights;
}

/** Marks the allowed actions of the greatest value: all of them, or with ties `first` the first alone. */
export function bestOf(values, allowed, ties) {
  const greatest = values.reduce((most, v, i) => (allowed[i] && v > most ? v : most), -Infinity);
  const best = values.map((value, i) => allowed[i] && value === greatest);
  if (ties !== 'first') return best;
  const first = best.indexOf(true);
  return best.map((_, i) => i === first);
}

/** Epsilon-greedy: every allowed action gets epsilon/n rounded down, the best share all the rest equally. */
export function greedy(values, allowed, epsilon, ties) {
  const count = marked(allowed);
  const [share] = divided(Math.trunc(epsilon * WHOLE), count);
  const weights = equalShares(WHOLE - share * count, bestOf(values, allowed, ties));
  return weights.map((weight, i) => (allowed[i] ? weight + share : weight));
}

/**
 * A table mixed with even choice: every allowed action gets share/n rounded down, the table the rest in proportion.
 *
 * Each of its weights is scaled and rounded down; what remains goes to the first of the greatest.
 */
export function mixed(weights, share, allowed) {
  const count = marked(allowed);
  const [even] = divided(Math.trunc(share * WHOLE), count);
  const rest = WHOLE - even * count;
  const found = weights.map((weight) => Math.floor((weight / WHOLE) * rest));
  const left = found.reduce((remaining, weight) => remaining - weight, rest);
  found[indexOfGreatest(found)] += left;
  return found.map((weight, i) => (allowed[i] ? weight + even : weight));
}

/**
 * A table ready to be drawn from.
 *
 * `find(draw)` is the first action whose cumulative weight exceeds the draw. A guide says where to begin (Chen and
 * Asau 1974): entry b holds the answer for the least draw of the b-th of equal buckets, so one or two comparisons
 * follow it, however many actions there are.
 */
export class Table {
  constructor(weights) {
    this.weights = weights;
    this.propensities = weights.map((weight) => weight / WHOLE);
    let sum = 0;
    this.cumulative = weights.map((weight) => (sum += weight));
    let buckets = 2;
    while (buckets < 2 * weights.length) buckets *= 2;
    // A power of two over a power of two: scaling by it is exact.
    this.scale = buckets / WHOLE;
    this.guide = new Uint32Array(buckets);
    const width = WHOLE / buckets;
    for (let b = 0, i = 0; b < buckets; b++) {
      while (this.cumulative[i] <= b * width) i++;
      this.guide[b] = i;
    }
  }

  /** The index of the action of a draw, 0 to 2^53 - 1. */
  find(draw) {
    const cumulative = this.cumulative;
    let i = this.guide[Math.floor(draw * this.scale)];
    while (cumulative[i] <= draw) i++;
    return i;
  }
}
