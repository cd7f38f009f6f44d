/**
 * Posterior distributions of an action's mean reward, tabulated: `foldline.stats.posterior`, operation by operation.
 *
 * A posterior is `{y, below, density, start, end, width}`: 129 nodes, the probability below each and the density
 * there; the last node with hardly anything below it, the last node, the width of the peak. Beta posteriors stand on
 * the log-odds scale. The order of operations is part of the result's bits and must not be tidied.
 */

import { exp, log, log1p } from './portable.js';

const NODES = 129;
const HALF = 64;
/** The outermost nodes stand where the log-density has fallen by this much. */
const DROP = 24;
const NEGLIGIBLE = 1e-4;

/** Of Beta(alpha, beta). */
export function betaPosterior(alpha, beta) {
  return posterior(betaTable(alpha, beta), Math.sqrt((alpha + beta) / (alpha * beta)));
}

/** Of location + scale · Student-t(freedom). */
export function studentPosterior(location, given, freedom) {
  // As in Python: below 2^-40 of the location float64 could not tell the nodes apart.
  const scale = Math.max(given, Math.abs(location) * 2 ** -40);
  return posterior(studentTable(location, scale, freedom), scale);
}

function posterior({ y, below, density }, width) {
  const first = below.findIndex((value) => value >= NEGLIGIBLE);
  const start = Math.max(0, (first < 0 ? NODES : first) - 1);
  return { y, below, density, start: y[start], end: y[NODES - 1], width };
}

/** log(1 + e^y). */
const softplus = (y) => (y > 0 ? y + log1p(exp(-y)) : log1p(exp(y)));

/** Where the log-density, concave, has fallen by `DROP`: doubling steps, then bisection to 1 % of the way. */
function betaEdge(alpha, beta, peak, top, direction) {
  const fallen = (reach) => {
    const y = peak + direction * reach;
    return top - (alpha * y - (alpha + beta) * softplus(y));
  };
  let reach = Math.sqrt((alpha + beta) / (alpha * beta));
  let inner = 0;
  while (fallen(reach) < DROP) {
    inner = reach;
    reach *= 2;
  }
  while (reach - inner > 0.01 * reach) {
    const middle = 0.5 * (inner + reach);
    if (fallen(middle) < DROP) inner = middle;
    else reach = middle;
  }
  return reach;
}

const emptyTable = () => ({
  y: new Float64Array(NODES),
  below: new Float64Array(NODES),
  density: new Float64Array(NODES),
});

function betaTable(alpha, beta) {
  const table = emptyTable();
  const slope = new Float64Array(NODES);
  const total = alpha + beta;
  const peak = log(alpha / beta);
  const top = alpha * peak - total * softplus(peak);
  const left = betaEdge(alpha, beta, peak, top, -1);
  const right = betaEdge(alpha, beta, peak, top, 1);
  for (let j = 0; j < NODES; j++) {
    const step = (j - HALF) / HALF;
    const y = peak + step * (j > HALF ? right : left);
    const density = exp(alpha * y - total * softplus(y) - top);
    table.y[j] = y;
    table.density[j] = density;
    // The derivative of the log-density: alpha - (alpha + beta) x, with x the probability at log-odds y.
    slope[j] = density * (alpha - total / (1 + exp(-y)));
  }
  return accumulated(table, slope);
}

function studentTable(location, scale, freedom) {
  const table = emptyTable();
  const slope = new Float64Array(NODES);
  const power = 0.5 * (freedom + 1);
  // Nodes at sinh of equal steps: even in the middle, geometric in the tails, however heavy.
  const edge = Math.sqrt(freedom * (exp(DROP / power) - 1));
  const reach = log(edge + Math.sqrt(edge * edge + 1));
  for (let j = 0; j < NODES; j++) {
    const grown = exp(reach * ((j - HALF) / HALF));
    const t = 0.5 * (grown - 1 / grown);
    const density = exp(-power * log1p((t * t) / freedom));
    table.y[j] = location + scale * t;
    table.density[j] = density / scale;
    slope[j] = ((density / scale) * ((-2 * power * t) / (freedom + t * t))) / scale;
  }
  return accumulated(table, slope);
}

/** Probabilities by the trapezium rule with end corrections, normalised by their own sum. */
function accumulated(table, slope) {
  const { y, below, density } = table;
  for (let j = 1; j < NODES; j++) {
    const h = y[j] - y[j - 1];
    const mass = 0.5 * h * (density[j - 1] + density[j]) + ((h * h) / 12) * (slope[j - 1] - slope[j]);
    below[j] = below[j - 1] + Math.max(mass, 0);
  }
  const whole = below[NODES - 1];
  for (let j = 0; j < NODES; j++) {
    below[j] /= whole;
    density[j] /= whole;
  }
  return table;
}

/** The logarithm of the probability below each of the ascending nodes; at least -690, as good as zero. */
export function logBelow({ y, below, density }, nodes) {
  const row = new Float64Array(nodes.length);
  let j = 0;
  for (let i = 0; i < nodes.length; i++) {
    const x = nodes[i];
    if (x <= y[0]) row[i] = -690;
    else if (x >= y[NODES - 1]) row[i] = 0;
    else {
      while (y[j + 1] < x) j++;
      const h = y[j + 1] - y[j];
      const t = (x - y[j]) / h;
      const u = 1 - t;
      const value =
        u * u * (1 + 2 * t) * below[j] +
        t * t * (3 - 2 * t) * below[j + 1] +
        h * t * u * (u * density[j] - t * density[j + 1]);
      row[i] = log(Math.min(Math.max(value, 1e-300), 1));
    }
  }
  return row;
}
