/** `epsilon_greedy`, `constant_step` and `discounted`: epsilon-greedy on one value an action. */

import { everything, greedy } from '../tables.js';

export const epsilonGreedy = ({ epsilon, ties, values }, _actions, allowed) =>
  greedy(values, everything(allowed, values.length), epsilon, ties);
