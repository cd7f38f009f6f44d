import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Decider } from '../src/index.js';
import { Table, WHOLE, equalShares, proportional } from '../src/tables.js';
import { bundleOf } from './support/service.js';

test('equal shares give what remains to the first marked', () => {
  assert.deepEqual([...equalShares(10, [true, false, true, true])], [4, 0, 3, 3]);
});

test('tables of awkward shares sum to 2^53 exactly', () => {
  for (const shares of [[1, 1, 1], [0.1, 0.2, 0.3, 0.4], [1e-300, 1e9, 5e-324], [7, 0, 0]]) {
    const weights = proportional(shares, shares.map(() => true));
    assert.equal([...weights].reduce((sum, weight) => sum + BigInt(weight), 0n), 2n ** 53n);
  }
});

test('the guide finds the first action whose cumulative weight exceeds the draw', () => {
  const table = new Table(Float64Array.of(0, 1, WHOLE / 2 - 1, 0, 0, WHOLE / 2 - 3, 2, 1, 0));
  const edges = [0, 1, 2, WHOLE / 2 - 1, WHOLE / 2, WHOLE - 4, WHOLE - 3, WHOLE - 2, WHOLE - 1];
  const plain = (draw) => table.cumulative.findIndex((sum) => sum > draw);
  assert.deepEqual(edges.map((draw) => table.find(draw)), edges.map(plain));
});

test('the same mask in another order is the same table, and is sorted by code point when logged', () => {
  const decider = new Decider(bundleOf('h', { a: 1, '😀': 1 }, { actions: ['\uffef', '😀', 'a'] }));
  const one = decider.decide('u1', 'd1', { available: ['😀', 'a', '\uffef'] });
  assert.deepEqual(one, decider.decide('u1', 'd1', { available: new Set(['\uffef', '😀', 'a']) }));
  assert.deepEqual(one.available, ['a', '\uffef', '😀']);
});

test('a decider refuses what is no bundle, a header, and a bundle of a kind it does not know', () => {
  assert.throws(() => new Decider({}), { code: 'input.invalid' });
  assert.throws(() => new Decider(bundleOf('h', {}, { parameters: null })), { code: 'input.invalid' });
  assert.throws(() => new Decider(bundleOf('h', {}, { kind: 'x' })), { code: 'input.unknown_policy' });
  assert.throws(() => new Decider(bundleOf('h', { z: 1 })), { code: 'definition.incoherent' });
});
