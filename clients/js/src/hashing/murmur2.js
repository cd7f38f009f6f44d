/** Murmur2 as the Java Kafka client computes it (Utils.murmur2 and toPositive): which partition a unit is on. */

import { bufferOver, write } from './utf8.js';

const FACTOR = 0x5bd1e995;
let buffer = bufferOver(new ArrayBuffer(4096));

/** The hash of `size` bytes, as an int32. */
export function murmur2(bytes, size) {
  const whole = size & ~3;
  let h = 0x9747b28c ^ size;
  for (let i = 0; i < whole; i += 4) {
    let k = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    k = Math.imul(k, FACTOR);
    h = Math.imul(h, FACTOR) ^ Math.imul(k ^ (k >>> 24), FACTOR);
  }
  if (size > whole) {
    for (let i = whole; i < size; i++) h ^= bytes[i] << (8 * (i - whole));
    h = Math.imul(h, FACTOR);
  }
  h = Math.imul(h ^ (h >>> 13), FACTOR);
  return h ^ (h >>> 15);
}

/** The partition of a unit. */
export function partitionOf(unit, partitions) {
  if (3 * unit.length > buffer.bytes.length) buffer = bufferOver(new ArrayBuffer(4 * unit.length));
  return (murmur2(buffer.bytes, write(unit, buffer, 0)) & 0x7fffffff) % partitions;
}
