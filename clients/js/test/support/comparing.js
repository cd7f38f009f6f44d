/**
 * Compares every answer of vectors/decisions.json and vectors/draws.json; runs in Node and in a page alike.
 */

import { Decider } from '../../src/decider.js';
import { draw, partitionOf } from '../../src/hashing/draw.js';
import { fastHash, plainHash } from '../../src/hashing/xxh3.js';

const WHOLE = 2 ** 53;
const PARTITIONS = [1, 2, 6, 7, 64];
const HASHES = fastHash === plainHash ? [plainHash] : [fastHash, plainHash];

/** Says how many answers were compared, with which hashes, and what differs. */
export function compared({ hashes, partitions, ids, bundles }, { vectors: draws }) {
  const result = { compared: 0, hashes: HASHES.map(({ name }) => name), faults: [] };
  const same = (what, got, wanted) => {
    result.compared++;
    if (!Object.is(got, wanted)) result.faults.push(`${what}: got ${got}, expected ${wanted}`);
  };
  for (const [text, wanted] of hashes) {
    for (const hash of HASHES) {
      same(`${hash.name} hash of ${text}`, hash.hash64(text).toString(16).padStart(16, '0'), wanted);
    }
  }
  for (const [unit, wanted] of partitions) {
    PARTITIONS.forEach((count, i) => same(`partition of ${unit}`, partitionOf(unit, count), wanted[i]));
  }
  for (const { salt, purpose, id, draw: wanted } of draws) same(`draw of ${id}`, draw(salt, purpose, id), wanted);
  for (const each of bundles) for (const hash of HASHES) compareBundle(each, ids, hash, same);
  return result;
}

function compareBundle({ name, bundle, partitions, tables }, ids, hash, same) {
  const decider = new Decider(bundle, { hash });
  const { actions, generation } = bundle;
  for (const { available, weights, choices } of tables) {
    const what = `${hash.name} ${name} among ${available ?? 'all'}`;
    const found = decider.weightsAmong(available);
    const listed = available ?? actions;
    actions.forEach((action, i) => {
      const place = listed.indexOf(action);
      same(`${what}: weight of ${action}`, found[i], place < 0 ? 0 : weights[place]);
    });
    ids.forEach(([unit, local], k) => {
      const id = `${generation}.${partitions[k]}.${local}`;
      const decision = decider.decide(unit, local, { available });
      same(`${what}: id`, decision.id, id);
      same(`${what}: action of ${id}`, decision.action, actions[choices[k]]);
      same(`${what}: propensity of ${id}`, decision.propensity, found[choices[k]] / WHOLE);
      if (!available) same(`${what}: choice of ${id}`, decider.choose(id), choices[k]);
    });
  }
}
