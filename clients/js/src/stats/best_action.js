/**
 * The probability that each of several independent quantities is the greatest, by quadrature:
 * `foldline.stats.best_action`, operation by operation, where the method is explained.
 */

import { exp, frexp, power } from './portable.js';
import { logBelow } from './posterior.js';

/** Cells before the first doubling; half as many before each later one. */
const FINE = 128;

/** The probability of each posterior to be the greatest. */
export function probabilitiesBest(posteriors) {
  if (posteriors.length < 2) return posteriors.map(() => 1);
  const nodes = leadingNodes(posteriors);
  return shares(posteriors.map((posterior) => logBelow(posterior, nodes)), nodes.length);
}

/** Nodes from where the product of the probabilities begins to its end, on a dyadic lattice. */
function leadingNodes(posteriors) {
  const start = posteriors.reduce((most, p) => Math.max(most, p.start), -Infinity);
  const end = posteriors.reduce((most, p) => Math.max(most, p.end), -Infinity);
  const width = posteriors.reduce((least, p) => (p.end > start ? Math.min(least, p.width) : least), Infinity);
  // Below 2^-45 of the magnitude the nodes would coincide in float64.
  const magnitude = Math.max(Math.abs(start), Math.abs(end), 1e-290);
  const exponent = Math.max(frexp(width)[1] - 4, frexp(magnitude)[1] - 45);
  const unit = power(exponent);
  const anchor = Math.floor(start / (16 * unit)) * 16;
  const levels = Math.max(0, frexp(Math.max(end / unit - anchor, 1) / FINE)[1]);
  return lattice(anchor, unit, levels);
}

/** Nodes at `anchor` and on, in units: 128 cells of one, then 64 of each doubled width. */
function lattice(anchor, unit, levels) {
  const nodes = new Float64Array(1 + FINE + levels * (FINE / 2));
  let at = 0;
  for (let i = 0; i < nodes.length; i++) {
    nodes[i] = (anchor + at) * unit;
    at += i < FINE ? 1 : power(1 + Math.floor((i - FINE) / (FINE / 2)));
  }
  return nodes;
}

function shares(rows, size) {
  const logs = new Float64Array(size);
  for (const row of rows) for (let i = 0; i < size; i++) logs[i] += row[i];
  const perLog = new Float64Array(size);
  let before = exp(logs[0]);
  for (let i = 1; i < size; i++) {
    const product = exp(logs[i]);
    const rise = logs[i] - logs[i - 1];
    if (rise > 0) perLog[i] = (product - before) / rise;
    before = product;
  }
  const found = rows.map((row) => {
    let share = 0;
    for (let i = 1; i < size; i++) share += perLog[i] * (row[i] - row[i - 1]);
    return share;
  });
  const whole = found.reduce((sum, share) => sum + share, 0);
  return found.map((share) => Math.max(share, 0) / whole);
}
