/**
 * The few WebAssembly instructions a hash needs, as functions from operand bytes to bytes.
 *
 * The module is put together when it is loaded, so there is no compiled blob to trust: what stands in `xxh3_wasm.js`
 * is the program. Encoding: WebAssembly core specification 1.0, section 5.
 */

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F64 = 0x7c;

const BLOCK = 0x40;

function unsigned(value) {
  const bytes = [];
  do {
    const rest = value >>> 7;
    bytes.push((value & 127) | (rest ? 128 : 0));
    value = rest;
  } while (value);
  return bytes;
}

function signed(value) {
  const bytes = [];
  for (;;) {
    const low = Number(value & 127n);
    value >>= 7n;
    if ((value === 0n && !(low & 64)) || (value === -1n && low & 64)) return [...bytes, low];
    bytes.push(low | 128);
  }
}

const both = (code) => (left, right) => [...left, ...right, code];
const one = (code) => (operand) => [...operand, code];
const load = (code) => (address, offset = 0) => [...address, code, 0, ...unsigned(offset)];

export const get = (local) => [0x20, local];
export const set = (local, value) => [...value, 0x21, local];
export const call = (func, ...operands) => [...operands.flat(), 0x10, func];
export const int32 = (value) => [0x41, ...signed(BigInt(value))];
export const int64 = (value) => [0x42, ...signed(BigInt.asIntN(64, value))];

export const byteAt = load(0x31);
export const wordAt = load(0x35);
export const longAt = load(0x29);
export const store = (address, value, offset = 0) => [...address, ...value, 0x37, 0, ...unsigned(offset)];

export const plus32 = both(0x6a);
export const minus32 = both(0x6b);
export const and32 = both(0x71);
export const right32 = both(0x76);
export const atMost32 = both(0x4d);
export const below32 = both(0x49);

export const plus = both(0x7c);
export const minus = both(0x7d);
export const times = both(0x7e);
export const and = both(0x83);
export const or = both(0x84);
export const xor = both(0x85);
export const left = both(0x86);
export const right = both(0x88);
export const rotate = both(0x89);

export const widen = one(0xad);
export const asFloat = one(0xba);

export const giveBack = one(0x0f);
export const when = (condition, ...body) => [...condition, 0x04, BLOCK, ...body.flat(), 0x0b];
/** Repeats the body while the condition, asked before each round, holds. */
export const loop = (condition, ...body) => [
  0x03, BLOCK, ...condition, 0x04, BLOCK, ...body.flat(), 0x0c, 1, 0x0b, 0x0b,
];

const sized = (bytes) => [...unsigned(bytes.length), ...bytes];
const list = (items) => [...unsigned(items.length), ...items.flat()];
const section = (id, items) => [id, ...sized(list(items))];
const name = (text) => sized([...text].map((letter) => letter.charCodeAt(0)));

/**
 * A module with one page of memory, exported as `memory`.
 *
 * @param functions each `{params, result, locals, body, as}`: types, and the name it is exported under, if any.
 */
export function moduleOf(functions) {
  const types = functions.map(({ params, result }) => [0x60, ...list(params.map((t) => [t])), 1, result]);
  const exports = functions.flatMap(({ as }, i) => (as ? [[...name(as), 0, ...unsigned(i)]] : []));
  const bodies = functions.map(({ locals = [], body }) =>
    sized([...list(locals.map((type) => [1, type])), ...body.flat(), 0x0b]),
  );
  return Uint8Array.from([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, types),
    ...section(3, functions.map((_, i) => unsigned(i))),
    ...section(5, [[0, 1]]),
    ...section(7, [[...name('memory'), 2, 0], ...exports]),
    ...section(10, bodies),
  ]);
}
