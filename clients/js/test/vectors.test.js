import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import { compared } from './support/comparing.js';

const read = async (name) => JSON.parse(await readFile(new URL(`../../../vectors/${name}`, import.meta.url), 'utf8'));

test('every answer of the golden vectors is repeated, with both hashes', async () => {
  const { compared: count, hashes, faults } = compared(await read('decisions.json'), await read('draws.json'));
  assert.deepEqual(faults.slice(0, 10), []);
  assert.deepEqual(hashes, ['wasm', 'plain']);
  assert.ok(count > 20_000, `${count} answers compared`);
});
