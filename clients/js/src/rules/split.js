/** `split`: fixed weights by action; those not named have weight zero. */

import { EdgeError, shown } from '../errors.js';
import { everything, proportional } from '../tables.js';

export function split({ weights }, actions, allowed) {
  const unknown = Object.keys(weights).filter((name) => !actions.includes(name));
  if (unknown.length) {
    throw new EdgeError(
      'definition.incoherent',
      `policy 'split': weights for ${shown(unknown)}, which are none of the loop's actions ${shown(actions)}`,
      { field: 'shares' },
    );
  }
  const shares = actions.map((name) => (Object.hasOwn(weights, name) ? weights[name] : 0));
  return proportional(shares, everything(allowed, actions.length));
}
