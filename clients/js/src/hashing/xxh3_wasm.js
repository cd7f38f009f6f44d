/**
 * XXH3 64, seed 0, in WebAssembly: 64-bit multiplications are single instructions there.
 *
 * Memory: the secret at 0, the accumulators of a long input at 192, free from `FREE` on.
 */

import {
  F64, I32, I64, and, and32, asFloat, atMost32, below32, byteAt, call, get, giveBack, int32, int64, left, longAt,
  loop, minus, minus32, moduleOf, or, plus, plus32, right, right32, rotate, set, store, times, when, widen, wordAt,
  xor,
} from './assembly.js';
import {
  MIX, PRIME32_1, PRIME64_1, PRIME64_2, PRIME64_3, SECRET, SHORT_MIX, START, secret32, secret64,
} from './secret.js';

const SUMS = SECRET.length;
/** Inputs may stand from here on. */
export const FREE = SUMS + 64;
const LOW = int64(0xffffffffn);
const [FOLD, SIXTEEN, FINISH, LONG, HASH] = [0, 1, 2, 3, 4];

const shifted = (value, bits) => right(value, int64(BigInt(bits)));
const up = (value, bits) => left(value, int64(BigInt(bits)));
const turned = (value, bits) => rotate(value, int64(BigInt(bits)));
const after = (address, bytes) => plus32(address, int32(bytes));

/** Both halves of the 128-bit product, joined by xor. Locals: a, b; the partial products. */
const fold = () => {
  const [a, b, low, high, cross] = [0, 1, 2, 3, 4].map(get);
  return {
    params: [I64, I64],
    result: I64,
    locals: [I64, I64, I64],
    body: [
      set(2, times(and(a, LOW), and(b, LOW))),
      set(3, times(shifted(a, 32), and(b, LOW))),
      set(4, plus(plus(shifted(low, 32), and(high, LOW)), times(and(a, LOW), shifted(b, 32)))),
      xor(
        plus(plus(shifted(high, 32), shifted(cross, 32)), times(shifted(a, 32), shifted(b, 32))),
        or(up(cross, 32), and(low, LOW)),
      ),
    ],
  };
};

/** Sixteen bytes at the first address, with the secret at the second. */
const sixteen = () => {
  const [at, secret] = [get(0), get(1)];
  return {
    params: [I32, I32],
    result: I64,
    body: call(FOLD, xor(longAt(at), longAt(secret)), xor(longAt(at, 8), longAt(secret, 8))),
  };
};

const finish = () => ({
  params: [I64],
  result: I64,
  body: [
    set(0, times(xor(get(0), shifted(get(0), 37)), int64(MIX))),
    xor(get(0), shifted(get(0), 32)),
  ],
});

/** More than 240 bytes: eight accumulators over stripes of 64 bytes, scrambled after every 16. */
const long = () => {
  const [input, size, at, stripe, last] = [0, 1, 2, 3, 4].map(get);
  const lanes = [0, 8, 16, 24, 32, 40, 48, 56];
  const accumulate = (data, secret) =>
    lanes.flatMap((lane) => [
      set(5, longAt(data, lane)),
      set(6, xor(get(5), longAt(secret, lane))),
      store(int32(SUMS), plus(longAt(int32(SUMS), lane ^ 8), get(5)), lane ^ 8),
      store(
        int32(SUMS),
        plus(longAt(int32(SUMS), lane), times(and(get(6), LOW), shifted(get(6), 32))),
        lane,
      ),
    ]);
  const scramble = lanes.flatMap((lane) => [
    set(5, longAt(int32(SUMS), lane)),
    store(
      int32(SUMS),
      times(xor(xor(get(5), shifted(get(5), 47)), int64(secret64(128 + lane))), int64(PRIME32_1)),
      lane,
    ),
  ]);
  const merged = [0, 16, 32, 48].map((lane) =>
    call(
      FOLD,
      xor(longAt(int32(SUMS), lane), int64(secret64(11 + lane))),
      xor(longAt(int32(SUMS), lane + 8), int64(secret64(19 + lane))),
    ),
  );
  return {
    params: [I32, I32],
    result: I64,
    locals: [I32, I32, I32, I64, I64],
    body: [
      ...lanes.map((lane, i) => store(int32(SUMS), int64(START[i]), lane)),
      set(2, input),
      set(4, minus32(plus32(input, size), int32(64))),
      // The last stripe always ends with the input, whole stripes stand strictly before its last byte.
      loop(
        below32(at, last),
        ...accumulate(at, up32(stripe)),
        set(2, after(at, 64)),
        set(3, after(stripe, 1)),
        when(sixteenth(stripe), ...scramble, set(3, int32(0))),
      ),
      ...accumulate(last, int32(SECRET.length - 64 - 7)),
      call(FINISH, merged.reduce(plus, times(widen(size), int64(PRIME64_1)))),
    ],
  };
};

const up32 = (stripe) => [...stripe, ...int32(3), 0x74];
const sixteenth = (stripe) => right32(stripe, int32(4));

/** The hash of the bytes at an address. */
const hash = () => {
  const [at, size, sum, other, place] = [0, 1, 2, 3, 4].map(get);
  const end = (bytes) => minus32(plus32(at, size), int32(bytes));
  const add = (data, secret) => set(2, plus(sum, call(SIXTEEN, data, secret)));
  const last = (value) => giveBack(value);
  const mixed = (value, first) => [
    set(2, value),
    set(2, times(xor(sum, shifted(sum, first)), int64(PRIME64_2))),
    set(2, times(xor(sum, shifted(sum, 29)), int64(PRIME64_3))),
    last(xor(sum, shifted(sum, 32))),
  ].flat();
  const swapped = (value) =>
    [[8, 0x00ff00ff00ff00ffn], [16, 0x0000ffff0000ffffn]].reduce(
      (v, [bits, mask]) => or(up(and(v, int64(mask)), bits), and(shifted(v, bits), int64(mask))),
      turned(value, 32),
    );
  return {
    params: [I32, I32],
    result: I64,
    locals: [I64, I64, I32],
    as: 'hash',
    body: [
      when(
        atMost32(int32(17), size),
        when(atMost32(int32(241), size), last(call(LONG, at, size))),
        set(2, times(widen(size), int64(PRIME64_1))),
        when(
          atMost32(size, int32(128)),
          when(
            atMost32(int32(33), size),
            when(
              atMost32(int32(65), size),
              when(
                atMost32(int32(97), size),
                add(after(at, 48), int32(96)),
                add(end(64), int32(112)),
              ),
              add(after(at, 32), int32(64)),
              add(end(48), int32(80)),
            ),
            add(after(at, 16), int32(32)),
            add(end(32), int32(48)),
          ),
          add(at, int32(0)),
          add(end(16), int32(16)),
          last(call(FINISH, sum)),
        ),
        ...[0, 16, 32, 48, 64, 80, 96, 112].map((i) => add(after(at, i), int32(i))),
        set(2, call(FINISH, sum)),
        set(4, int32(128)),
        loop(
          atMost32(place, minus32(size, int32(16))),
          add(plus32(at, place), minus32(place, int32(125))),
          set(4, after(place, 16)),
        ),
        add(end(16), int32(136 - 17)),
        last(call(FINISH, sum)),
      ),
      when(
        atMost32(int32(9), size),
        set(2, xor(longAt(at), int64(secret64(24) ^ secret64(32)))),
        set(3, xor(longAt(end(8)), int64(secret64(40) ^ secret64(48)))),
        last(call(FINISH, plus(plus(plus(widen(size), swapped(sum)), other), call(FOLD, sum, other)))),
      ),
      when(
        atMost32(int32(4), size),
        set(2, xor(plus(wordAt(end(4)), up(wordAt(at), 32)), int64(secret64(8) ^ secret64(16)))),
        set(2, times(xor(sum, xor(turned(sum, 49), turned(sum, 24))), int64(SHORT_MIX))),
        set(2, times(xor(sum, plus(shifted(sum, 35), widen(size))), int64(SHORT_MIX))),
        last(xor(sum, shifted(sum, 28))),
      ),
      when(
        size,
        mixed(
          xor(
            or(
              or(up(byteAt(at), 16), up(byteAt(plus32(at, right32(size, int32(1)))), 24)),
              or(byteAt(end(1)), up(widen(size), 8)),
            ),
            int64(BigInt((secret32(0) ^ secret32(4)) >>> 0)),
          ),
          33,
        ),
      ),
      mixed(int64(secret64(56) ^ secret64(64)), 33),
      int64(0n),
    ],
  };
};

/** The upper 53 bits as a double, which holds them exactly; a 64-bit result would cross into JavaScript as BigInt. */
const draw = () => ({
  params: [I32, I32],
  result: F64,
  as: 'draw',
  body: asFloat(shifted(call(HASH, get(0), get(1)), 11)),
});

/**
 * The instantiated module: `{memory, hash(at, size), draw(at, size)}`, or null where WebAssembly is missing or not
 * allowed, as under a content security policy without `wasm-unsafe-eval`.
 */
export function compiled() {
  try {
    const module = new WebAssembly.Module(
      moduleOf([fold(), sixteen(), finish(), long(), hash(), draw()]),
    );
    const { exports } = new WebAssembly.Instance(module);
    new Uint8Array(exports.memory.buffer).set(SECRET);
    return exports;
  } catch {
    return null;
  }
}
