/** What may stand as a unit, an id or a name. */

import { EdgeError, shown } from './errors.js';

/** Characters (code points) a unit, a local id or a name may have. */
export const LONGEST = 400;

const UNFIT = /[\u0000-\u001f\u007f-\u009f]|\p{Cs}/u;

/** The text, if it has 1 to 400 characters and none is a control character or half of a surrogate pair. */
export function checkedName(text, field) {
  if (typeof text !== 'string') {
    throw new EdgeError('input.invalid', `${field} is ${shown(text)}, expected a string`, { field });
  }
  const size = text.length <= LONGEST ? text.length : [...text].length;
  if (size < 1 || size > LONGEST) {
    throw new EdgeError(
      'input.invalid',
      `${field} is ${shown(text)}, ${size} characters long, expected 1 to ${LONGEST}`,
      { field },
    );
  }
  if (UNFIT.test(text)) {
    throw new EdgeError('input.invalid', `${field} is ${shown(text)}, expected no control characters`, {
      field,
    });
  }
  return text;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const pool = new Uint8Array(4096);
let used = pool.length;

/** A random id of 32 hexadecimal digits. Random bytes are fetched many at a time: fetching costs more than they do. */
export function randomId() {
  if (used === pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  let id = '';
  for (const end = used + 16; used < end; used++) id += HEX[pool[used]];
  return id;
}
