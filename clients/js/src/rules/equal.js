/** `random`, every allowed action equally often, and `fixed`, one action always. */

import { EdgeError, shown } from '../errors.js';
import { WHOLE, equalShares, everything } from '../tables.js';

export const random = ({ n }, _actions, allowed) => equalShares(WHOLE, everything(allowed, n));

/** Where its action is not allowed, any of the allowed ones with equal probability. */
export function fixed({ action }, actions, allowed) {
  const chosen = actions.indexOf(action);
  if (chosen < 0) {
    throw new EdgeError(
      'definition.incoherent',
      `policy 'fixed': action=${shown(action)} is not one of the loop's actions ${shown(actions)}`,
      { field: 'action' },
    );
  }
  const mask = everything(allowed, actions.length);
  return equalShares(WHOLE, mask[chosen] ? mask.map((_, i) => i === chosen) : mask);
}
