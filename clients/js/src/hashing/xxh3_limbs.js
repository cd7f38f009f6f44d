/**
 * XXH3 64, seed 0, in 32-bit halves, for places where WebAssembly is not allowed. A 64-bit number is two int32.
 */

import {
  MIX, PRIME32_1, PRIME64_1, PRIME64_2, PRIME64_3, SECRET, SHORT_MIX, START,
} from './secret.js';

/** The result of the functions below, high half first: typed, so that no number is boxed. */
const out = new Int32Array(2);

const halves = (value) => Int32Array.of(Number(BigInt.asIntN(32, value >> 32n)), Number(BigInt.asIntN(32, value)));
const [MIX_64, SHORT_64, ONE_64, TWO_64, THREE_64] = [MIX, SHORT_MIX, PRIME64_1, PRIME64_2, PRIME64_3].map(halves);
const PRIME_64 = halves(PRIME32_1);
const STARTS = START.map(halves);
const WORD = 4294967296;

const at32 = (bytes, at) => bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
const secret = (at) => at32(SECRET, at);
const swapped = (word) =>
  (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);

/** The upper 32 bits of the product of two unsigned 32-bit numbers. */
function upper(a, b) {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  return aHigh * bHigh + (middle >>> 16) + ((aLow * bHigh + (middle & 0xffff)) >>> 16);
}

/** out = a · b, its lower 64 bits. */
function multiply(high, low, factor) {
  out[0] = upper(low, factor[1]) + Math.imul(low, factor[0]) + Math.imul(high, factor[1]);
  out[1] = Math.imul(low, factor[1]);
}

/** out = a + b. */
function add(aHigh, aLow, bHigh, bLow) {
  const low = (aLow >>> 0) + (bLow >>> 0);
  out[0] = aHigh + bHigh + (low >= WORD ? 1 : 0);
  out[1] = low;
}

/** out = both halves of the 128-bit product a · b, joined by xor. */
function fold(aHigh, aLow, bHigh, bLow) {
  const cross = upper(aLow, bLow) + (Math.imul(aHigh, bLow) >>> 0) + (Math.imul(aLow, bHigh) >>> 0);
  const third =
    (Math.imul(aHigh, bHigh) >>> 0) + upper(aHigh, bLow) + upper(aLow, bHigh) + Math.floor(cross / WORD);
  const fourth = upper(aHigh, bHigh) + Math.floor(third / WORD);
  out[0] = fourth ^ cross;
  out[1] = third ^ Math.imul(aLow, bLow);
}

/** out += 16 bytes at `at`, mixed with the secret at `place`. */
function sixteen(bytes, at, place) {
  const high = out[0];
  const low = out[1];
  fold(
    at32(bytes, at + 4) ^ secret(place + 4),
    at32(bytes, at) ^ secret(place),
    at32(bytes, at + 12) ^ secret(place + 12),
    at32(bytes, at + 8) ^ secret(place + 8),
  );
  add(high, low, out[0], out[1]);
}

/** out ^= out >>> bits, for bits below 32; then times the factor. */
function mix(bits, factor) {
  out[1] ^= (out[1] >>> bits) | (out[0] << (32 - bits));
  out[0] ^= out[0] >>> bits;
  multiply(out[0], out[1], factor);
}

/** The same for bits above 32. */
function mixFar(bits, factor) {
  multiply(out[0], out[1] ^ (out[0] >>> (bits - 32)), factor);
}

function finish() {
  mixFar(37, MIX_64);
  out[1] ^= out[0];
}

function finishShort() {
  mixFar(33, TWO_64);
  mix(29, THREE_64);
  out[1] ^= out[0];
}

function upTo3(bytes, at, size) {
  out[0] = 0;
  out[1] =
    ((bytes[at] << 16) | (bytes[at + (size >> 1)] << 24) | bytes[at + size - 1] | (size << 8)) ^
    secret(0) ^
    secret(4);
  finishShort();
}

function upTo8(bytes, at, size) {
  const high = at32(bytes, at) ^ secret(12) ^ secret(20);
  const low = at32(bytes, at + size - 4) ^ secret(8) ^ secret(16);
  // Turned left by 49 and by 24 bits.
  const far = [(low << 17) | (high >>> 15), (high << 17) | (low >>> 15)];
  const near = [(high << 24) | (low >>> 8), (low << 24) | (high >>> 8)];
  multiply(high ^ far[0] ^ near[0], low ^ far[1] ^ near[1], SHORT_64);
  const [h, l] = out;
  // Shifted by 35 the number has 29 bits, so the size adds without a carry.
  multiply(h, l ^ ((h >>> 3) + size), SHORT_64);
  out[1] ^= (out[1] >>> 28) | (out[0] << 4);
  out[0] ^= out[0] >>> 28;
}

function upTo16(bytes, at, size) {
  const end = at + size - 8;
  const aHigh = at32(bytes, at + 4) ^ secret(28) ^ secret(36);
  const aLow = at32(bytes, at) ^ secret(24) ^ secret(32);
  const bHigh = at32(bytes, end + 4) ^ secret(44) ^ secret(52);
  const bLow = at32(bytes, end) ^ secret(40) ^ secret(48);
  fold(aHigh, aLow, bHigh, bLow);
  add(out[0], out[1], 0, size);
  add(out[0], out[1], swapped(aLow), swapped(aHigh));
  add(out[0], out[1], bHigh, bLow);
  finish();
}

function upTo240(bytes, at, size) {
  const end = at + size;
  multiply(0, size, ONE_64);
  if (size <= 128) {
    for (let pair = (size - 1) >> 5; pair >= 0; pair--) {
      sixteen(bytes, at + 16 * pair, 32 * pair);
      sixteen(bytes, end - 16 * pair - 16, 32 * pair + 16);
    }
    return finish();
  }
  for (let i = 0; i < 128; i += 16) sixteen(bytes, at + i, i);
  finish();
  for (let i = 128; i <= size - 16; i += 16) sixteen(bytes, at + i, i - 125);
  sixteen(bytes, end - 16, 136 - 17);
  return finish();
}

function stripe(sums, bytes, at, place) {
  for (let lane = 0; lane < 16; lane += 2) {
    const [high, low] = [at32(bytes, at + 4 * lane + 4), at32(bytes, at + 4 * lane)];
    const [a, b] = [high ^ secret(place + 4 * lane + 4), low ^ secret(place + 4 * lane)];
    const other = lane ^ 2;
    add(sums[other], sums[other + 1], high, low);
    sums.set(out, other);
    add(sums[lane], sums[lane + 1], upper(a, b), Math.imul(a, b));
    sums.set(out, lane);
  }
}

function scramble(sums) {
  for (let lane = 0; lane < 16; lane += 2) {
    const [high, low] = [sums[lane], sums[lane + 1]];
    const mixed = low ^ (high >>> 15) ^ secret(128 + 4 * lane);
    multiply(high ^ secret(132 + 4 * lane), mixed, PRIME_64);
    sums.set(out, lane);
  }
}

function beyond240(bytes, at, size) {
  const sums = new Int32Array(16);
  STARTS.forEach((start, i) => sums.set(start, 2 * i));
  const last = at + size - 64;
  let place = 0;
  for (let from = at; from < last; from += 64) {
    stripe(sums, bytes, from, place);
    place += 8;
    if (place === 128) {
      scramble(sums);
      place = 0;
    }
  }
  stripe(sums, bytes, last, SECRET.length - 64 - 7);
  multiply(0, size, ONE_64);
  for (let lane = 0; lane < 16; lane += 4) {
    const [high, low] = out;
    const from = 11 + 4 * lane;
    fold(
      sums[lane] ^ secret(from + 4),
      sums[lane + 1] ^ secret(from),
      sums[lane + 2] ^ secret(from + 12),
      sums[lane + 3] ^ secret(from + 8),
    );
    add(high, low, out[0], out[1]);
  }
  finish();
}

function run(bytes, at, size) {
  if (size > 240) beyond240(bytes, at, size);
  else if (size > 16) upTo240(bytes, at, size);
  else if (size > 8) upTo16(bytes, at, size);
  else if (size > 3) upTo8(bytes, at, size);
  else if (size > 0) upTo3(bytes, at, size);
  else {
    out[0] = secret(60) ^ secret(68);
    out[1] = secret(56) ^ secret(64);
    finishShort();
  }
}

/** The hash of `size` bytes at `at`, as a BigInt. */
export function hashOf(bytes, at, size) {
  run(bytes, at, size);
  return (BigInt(out[0] >>> 0) << 32n) | BigInt(out[1] >>> 0);
}

/** Its upper 53 bits, as a number. */
export function drawOf(bytes, at, size) {
  run(bytes, at, size);
  return (out[0] >>> 0) * 2097152 + (out[1] >>> 11);
}
