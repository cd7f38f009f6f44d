/** `mixture`: a bandit's table mixed with even choice. */

import { everything, mixed } from '../tables.js';

/** The rule, by a function from the kind of the bandit to its rule. */
export const mixtureOf =
  (ruleOf) =>
  ({ share, kind, policy }, actions, allowed) => {
    const weights = ruleOf(kind)(policy, actions, allowed);
    return mixed(weights, share, everything(allowed, weights.length));
  };
