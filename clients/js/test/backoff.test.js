import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Backoff } from '../src/edge/backoff.js';

test('pauses double up to the longest, half of each at random', () => {
  const draws = [0, 1, 0, 1, 0];
  const backoff = new Backoff({ leastMs: 100, mostMs: 300, random: () => draws.shift() });
  assert.deepEqual([1, 2, 3, 4].map(() => backoff.failed()), [50, 200, 150, 300]);
  backoff.succeeded();
  assert.equal(backoff.failed(), 50);
});

test('a pause is what the service asked for, and up to half of it more', () => {
  const draws = [0, 1];
  const backoff = new Backoff({ random: () => draws.shift() });
  assert.deepEqual([backoff.failed(30_000), backoff.failed(1000)], [30_000, 1500]);
});
