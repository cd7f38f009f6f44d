import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fastHash, plainHash } from '../src/hashing/xxh3.js';

test('texts far longer than any id are hashed the same', () => {
  for (const text of ['x'.repeat(30_000), 'é'.repeat(70_000), 'y'.repeat(100_001)]) {
    assert.equal(fastHash.hash64(text), plainHash.hash64(text));
    for (const hash of [fastHash, plainHash]) {
      const wanted = Number(hash.hash64(`salt${text}`) >> 11n);
      assert.equal(hash.drawer('salt')(text), wanted);
      assert.equal(hash.drawer(text)(''), Number(hash.hash64(text) >> 11n));
    }
  }
});

test('drawers that take turns do not disturb each other', () => {
  const [one, two] = [fastHash.drawer('one'), fastHash.drawer('two, longer')];
  const wanted = [one('a'), two('a')];
  assert.deepEqual([one('a'), two('a')], wanted);
  assert.notEqual(wanted[0], wanted[1]);
});

test('where WebAssembly is missing, the hash is the plain one', async () => {
  const { WebAssembly } = globalThis;
  try {
    delete globalThis.WebAssembly;
    const { compiled } = await import('../src/hashing/xxh3_wasm.js');
    assert.equal(compiled(), null);
  } finally {
    globalThis.WebAssembly = WebAssembly;
  }
});
