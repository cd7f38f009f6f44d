/** `ucb1` and `kl_ucb`: the greatest bound; null, never decided, comes first. */

import { WHOLE, bestOf, equalShares, everything } from '../tables.js';

export function greatestBound({ bounds, ties }, _actions, allowed) {
  const values = bounds.map((bound) => bound ?? Infinity);
  return equalShares(WHOLE, bestOf(values, everything(allowed, values.length), ties));
}
