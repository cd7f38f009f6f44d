/**
 * `thompson` and `gaussian_thompson`: each action as often as it is probably the best.
 *
 * The bundle has the table for all actions; a mask recomputes the probabilities among those allowed.
 */

import { probabilitiesBest } from '../stats/best_action.js';
import { betaPosterior, studentPosterior } from '../stats/posterior.js';
import { proportional } from '../tables.js';

const among = (posteriorOf) => (parameters, _actions, allowed) => {
  if (!allowed) return Float64Array.from(parameters.weights);
  const marked = allowed.flatMap((is, i) => (is ? [i] : []));
  const shares = new Float64Array(allowed.length);
  const best = probabilitiesBest(marked.map((i) => posteriorOf(parameters, i)));
  marked.forEach((i, k) => (shares[i] = best[k]));
  return proportional(shares, allowed);
};

export const thompson = among(({ alpha, beta }, i) => betaPosterior(alpha[i], beta[i]));

export const gaussianThompson = among(({ location, scale, freedom }, i) =>
  studentPosterior(location[i], scale[i], freedom[i]),
);
