/** What ids are hashed for: a decision's random number, and a unit's partition. */

import { fastHash } from './xxh3.js';

export { partitionOf } from './murmur2.js';

/** A decision's random number, 0 to 2^53 - 1: salt, purpose and id, joined by the byte 0x1f, hashed with XXH3. */
export const draw = (salt, purpose, id) => fastHash.drawer(`${salt}\x1f${purpose}\x1f`)(id);
