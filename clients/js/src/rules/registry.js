/**
 * The rules by kind: from a bundle's parameters, its actions and a mask (null allows all) to weights over 2^53.
 *
 * Each repeats the `weights` of the policy of its name in `foldline.policies`, bit for bit.
 */

import { EdgeError, shown } from '../errors.js';
import { greatestBound } from './bound.js';
import { fixed, random } from './equal.js';
import { epsilonGreedy } from './greedy.js';
import { mixtureOf } from './mixture.js';
import { split } from './split.js';
import { gaussianThompson, thompson } from './thompson.js';

const RULES = new Map([
  ['random', random],
  ['fixed', fixed],
  ['split', split],
  ['epsilon_greedy', epsilonGreedy],
  ['constant_step', epsilonGreedy],
  ['discounted', epsilonGreedy],
  ['thompson', thompson],
  ['gaussian_thompson', gaussianThompson],
  ['ucb1', greatestBound],
  ['kl_ucb', greatestBound],
  ['mixture', mixtureOf((kind) => ruleOf(kind))],
]);

export const kinds = [...RULES.keys()];

/** The rule of a kind. */
export function ruleOf(kind) {
  const rule = RULES.get(kind);
  if (rule) return rule;
  throw new EdgeError(
    'input.unknown_policy',
    `policy ${shown(kind)} is not known; expected one of ${kinds.join(', ')}`,
    { field: 'kind' },
  );
}
