import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { Edge, EdgeError, memoryStorage } from '../src/index.js';
import { FakeService, bundleOf, failure } from './support/service.js';

let service;
let opened;

beforeEach(async () => {
  service = await FakeService.start();
  opened = [];
});

afterEach(async () => {
  // Clients first: what they still have goes to a service that is up.
  service.down = false;
  await Promise.all(opened.map((edge) => edge.close()));
  await service.stop();
});

/** A client that does nothing by itself but follow: its pauses are longer than a test. */
async function open(options = {}) {
  const patient = { lingerMs: 1e8, backoff: { leastMs: 1e8, mostMs: 1e8 } };
  const edge = await Edge.open({ url: service.url, loop: 'news', key: 'fl_x_y', ...patient, ...options });
  opened.push(edge);
  return edge;
}

/** A client that has its first bundle. */
async function ready(options) {
  service.publish(bundleOf('h1'));
  const edge = await open(options);
  assert.equal(await edge.ready(), true);
  return edge;
}

/** A promise, and the function that settles it. */
function signal() {
  let resolve;
  const came = new Promise((r) => (resolve = r));
  return { came, resolve };
}

test('before any bundle the fallback is chosen and logged as such', async () => {
  const edge = await open({ fallback: 'b', clock: () => 1790000000000 });
  const choice = edge.decide('u1', { decision: 'd1' });
  assert.deepEqual([choice.id, choice.action, choice.propensity], [null, 'b', 1]);
  assert.equal(edge.decide('u1', { available: ['c', 'a'] }).action, 'c');
  edge.reward(choice, 1, { rewardId: 'r1' });
  assert.equal(await edge.flush(), 0);
  const about = { decision: 'd1', unit: 'u1' };
  const occurred = 1790000000000;
  assert.deepEqual(service.events[0], {
    type: 'decision', ...about, action: 'b', propensity: 1, bundle: 'fallback', definition: 0, occurred,
  });
  assert.deepEqual(service.events[2], { type: 'reward', ...about, value: 1, reward_id: 'r1', occurred });
  assert.deepEqual([...service.keys], ['Bearer fl_x_y']);
});

test('without fallback, deciding before any bundle is an error', async () => {
  const edge = await open();
  assert.throws(() => edge.decide('u1'), { name: 'EdgeError', code: 'fold.no_bundle' });
  assert.equal(edge.status.pending, 0);
});

test('a published bundle is in use as soon as the service answers the long poll', async () => {
  const second = signal();
  const edge = await ready({ onBundle: ({ hash }) => hash === 'h2' && second.resolve() });
  assert.equal(edge.decide('u1').action, 'a');
  service.publish(bundleOf('h2', { b: 1 }));
  await second.came;
  const choice = edge.decide('u1', { context: { device: 'phone' }, available: ['c', 'b'] });
  assert.deepEqual([choice.action, choice.bundle, choice.definition], ['b', 'h2', 3]);
  await edge.flush();
  assert.deepEqual(service.events[1].available, ['b', 'c']);
  assert.deepEqual(service.events[1].context, { device: 'phone' });
});

test('while the network is gone it decides and keeps, and delivers once it is back', async () => {
  const edge = await ready();
  service.goDown();
  const choices = ['u1', 'u2', 'u3'].map((unit) => edge.decide(unit));
  choices.forEach((choice) => edge.reward(choice, 1));
  assert.equal(await edge.flush(), 6);
  assert.equal(edge.status.error.code, 'edge.network');
  assert.equal((await edge.refresh()).hash, 'h1');
  service.down = false;
  service.publish(bundleOf('h2'));
  assert.equal((await edge.refresh()).hash, 'h2');
  assert.equal(await edge.flush(), 0);
  assert.deepEqual(
    service.events.map(({ type, decision }) => [type, decision]),
    ['decision', 'reward'].flatMap((type) => choices.map(({ local }) => [type, local])),
  );
});

test('after a lost answer the events are sent again and count once', async () => {
  const edge = await ready();
  edge.decide('u1');
  edge.decide('u2');
  service.lose = 2;
  assert.equal(await edge.flush(), 2);
  edge.decide('u3');
  assert.equal(await edge.flush(), 3);
  edge.decide('u4');
  assert.equal(await edge.flush(), 0);
  assert.deepEqual(service.events.map(({ unit }) => unit), ['u1', 'u2', 'u3', 'u4']);
  const { accepted, repeated } = edge.status;
  assert.deepEqual([accepted, repeated], [1, 3]);
});

test('a client opened again goes on with bundle, events and numbers of the last', async () => {
  const storage = memoryStorage();
  const first = await ready({ storage });
  first.decide('u1');
  await first.flush();
  service.goDown();
  first.decide('u2');
  assert.equal(await first.close(), 1);
  const second = await open({ storage });
  assert.equal(second.bundle.hash, 'h1');
  second.decide('u3');
  service.down = false;
  assert.equal(await second.flush(), 0);
  assert.deepEqual(service.events.map(({ unit }) => unit), ['u1', 'u2', 'u3']);
  assert.deepEqual([...service.expected.values()], [3]);
  assert.equal(storage.keys().length, 2);
});

test('what a client that died before it heard back has stored is not counted twice', async () => {
  const storage = memoryStorage();
  const first = await ready({ storage });
  first.decide('u1');
  service.lose = 1;
  assert.equal(await first.flush(), 1);
  // A copy of the storage is what a killed program leaves; nobody holds its locks.
  const left = memoryStorage();
  storage.keys().forEach((key) => left.set(key, storage.get(key)));
  const second = await open({ storage: left });
  second.decide('u2');
  assert.equal(await second.flush(), 0);
  assert.deepEqual(service.events.map(({ unit }) => unit), ['u1', 'u2']);
  assert.equal(second.status.repeated, 1);
});

test('clients of one storage write to outboxes of their own', async () => {
  const storage = memoryStorage();
  const [first, second] = [await ready({ storage }), await open({ storage })];
  first.decide('u1');
  second.decide('u2');
  assert.deepEqual([await first.flush(), await second.flush()], [0, 0]);
  assert.deepEqual([...service.expected.values()], [1, 1]);
});

test('without locks a client begins an outbox and delivers those that are left, even of the living', async () => {
  const { lock: _, ...storage } = memoryStorage();
  const first = await ready({ storage });
  first.decide('u1');
  const second = await open({ storage });
  second.decide('u2');
  assert.equal(await second.flush(), 0);
  first.decide('u3');
  assert.equal(await first.flush(), 0);
  assert.deepEqual(service.events.map(({ unit }) => unit), ['u1', 'u2', 'u3']);
  assert.equal(first.status.repeated, 1);
});

test('an event the service refuses is reported and not sent again', async () => {
  const errors = [];
  service.refuse = ({ unit }) => (unit === 'bad' ? { code: 'input.invalid', message: 'bad unit' } : null);
  const edge = await ready({ onError: (error) => errors.push(error) });
  ['u1', 'bad', 'u2'].forEach((unit) => edge.decide(unit));
  assert.equal(await edge.flush(), 0);
  assert.deepEqual(service.events.map(({ unit }) => unit), ['u1', 'u2']);
  assert.equal(edge.status.refused, 1);
  assert.deepEqual([errors.at(-1).code, errors.at(-1).event.unit], ['input.invalid', 'bad']);
});

test('a request the service cannot read is cut up until the event at fault is found', async () => {
  service.instead = (request, body) => (body.includes('"bad"') ? failure(400, 'http.bad_json') : null);
  const edge = await ready();
  ['u1', 'u2', 'bad', 'u3', 'u4'].forEach((unit) => edge.decide(unit));
  assert.equal(await edge.flush(), 0);
  assert.deepEqual(service.events.map(({ unit }) => unit), ['u1', 'u2', 'u3', 'u4']);
  assert.equal(edge.status.refused, 1);
});

test('many events go in several requests, smaller ones where the service says too large', async () => {
  const sizes = [];
  service.instead = (request, body) => {
    if (request.method === 'GET') return null;
    sizes.push(JSON.parse(body).events.length);
    return sizes.at(-1) > 200 ? failure(413, 'http.too_large') : null;
  };
  const edge = await ready();
  for (let i = 0; i < 1100; i++) edge.decide(`u${i}`);
  assert.equal(await edge.flush(), 0);
  assert.deepEqual(service.events.map(({ unit }) => unit), Array.from({ length: 1100 }, (_, i) => `u${i}`));
  assert.ok(Math.max(...sizes) <= 500);
});

test('where the service expects another number, the events go by a new outbox', async () => {
  const storage = memoryStorage();
  const edge = await ready({ storage });
  edge.decide('u1');
  await edge.flush();
  const [outbox] = service.expected.keys();
  service.expected.set(outbox, 50);
  edge.decide('u2');
  assert.equal(await edge.flush(), 0);
  assert.deepEqual(service.events.map(({ unit }) => unit), ['u1', 'u2']);
  assert.equal(service.expected.size, 2);
  assert.equal(storage.keys().filter((key) => key.includes(outbox)).length, 0);
});

test('what finds no room in the storage is kept in memory and delivered', async () => {
  const storage = memoryStorage();
  let room = true;
  const full = (key, text) => {
    if (!room && storage.get(key) === null) throw new Error('quota exceeded');
    storage.set(key, text);
  };
  const edge = await ready({ storage: { ...storage, set: full } });
  edge.decide('u1');
  room = false;
  edge.decide('u2');
  assert.equal(edge.status.error.code, 'outbox.storage');
  room = true;
  edge.decide('u3');
  assert.equal(storage.keys().filter((key) => /\/\d+$/.test(key)).length, 1);
  assert.equal(await edge.flush(), 0);
  assert.deepEqual(service.events.map(({ unit }) => unit), ['u1', 'u2', 'u3']);
});

test('beyond the limit events are counted as dropped, and deciding goes on', async () => {
  const edge = await ready({ limit: 2 });
  for (let i = 0; i < 5; i++) edge.decide(`u${i}`);
  assert.deepEqual([edge.status.pending, edge.status.dropped], [2, 3]);
  assert.equal(edge.status.error.code, 'outbox.full');
});

test('a bundle that cannot be used leaves the one before in use', async () => {
  const failed = signal();
  const edge = await ready({ onError: failed.resolve });
  service.publish(bundleOf('h2', {}, { kind: 'newer' }));
  assert.equal((await failed.came).code, 'input.unknown_policy');
  assert.equal(edge.decide('u1').bundle, 'h1');
  service.publish(bundleOf('h3'));
  assert.equal((await edge.refresh()).hash, 'h3');
});

test('an answer that is not the service\'s is a failure, and nothing is taken as delivered', async () => {
  const edge = await ready();
  edge.decide('u1');
  service.instead = () => ({ status: 200, text: '<html>log in</html>' });
  assert.equal(await edge.flush(), 1);
  service.instead = () => ({ status: 200, text: '{}' });
  assert.equal(await edge.flush(), 1);
  service.instead = () => null;
  assert.equal(await edge.flush(), 0);
});

test('events are sent by themselves, with what follows within the linger, and again after a failure', async () => {
  const again = signal();
  const edge = await ready({ lingerMs: 0, backoff: { leastMs: 1, mostMs: 1 } });
  const sent = () => service.requests.filter((line) => line.startsWith('POST')).length;
  service.lose = 1;
  service.instead = () => void (sent() === 2 && again.resolve());
  edge.decide('u1');
  edge.decide('u2');
  await again.came;
  assert.equal(await edge.flush(), 0);
  assert.deepEqual(service.events.map(({ unit }) => unit), ['u1', 'u2']);
});

test('whatever fails, every event arrives, once and in order', async () => {
  const storage = memoryStorage();
  let state = 7;
  const chance = (share) => (state = (state * 16807) % 2147483647) / 2147483647 < share;
  let edge = await ready({ storage });
  const units = [];
  for (let i = 0; i < 300; i++) {
    units.push(`u${i}`);
    edge.decide(units.at(-1));
    if (chance(0.1)) service.goDown();
    else service.down = false;
    if (chance(0.2)) service.lose = 1;
    if (chance(0.3)) await edge.flush();
    if (chance(0.1)) {
      await edge.close();
      edge = await open({ storage });
    }
  }
  service.down = false;
  service.lose = 0;
  assert.equal(await edge.flush(), 0);
  assert.deepEqual(service.events.map(({ unit }) => unit), units);
  assert.equal(service.expected.size, 1);
});

test('outcomes carry decision and reward; activations name the decision', async () => {
  const edge = await ready();
  const choice = edge.decide('u1', { decision: 'd1', log: false });
  edge.outcome(choice, true);
  edge.activate(choice);
  edge.reward({ unit: 'u1' }, 0.5, { name: 'time' });
  await edge.flush();
  const [outcome, activation, reward] = service.events;
  assert.deepEqual([outcome.type, outcome.decision, outcome.reward, outcome.propensity], ['outcome', 'd1', 1, 1]);
  assert.deepEqual([activation.type, activation.decision], ['activation', 'd1']);
  assert.deepEqual([reward.decision, reward.name, reward.value], [undefined, 'time', 0.5]);
});

test('bad input is refused where it enters', async () => {
  const edge = await ready();
  const choice = edge.decide('u1');
  for (const [act, field] of [
    [() => edge.decide(''), 'unit'],
    [() => edge.decide('a\nb'), 'unit'],
    [() => edge.decide('u1', { decision: 'x'.repeat(401) }), 'decision'],
    [() => edge.decide('u1', { decision: '\ud800' }), 'decision'],
    [() => edge.decide('u1', { available: [] }), 'available'],
    [() => edge.decide('u1', { available: ['z'] }), 'available'],
    [() => edge.reward(choice, NaN), 'value'],
    [() => edge.reward({}, 1), 'unit'],
  ]) {
    assert.throws(act, (error) => error instanceof EdgeError && error.field === field);
  }
  await assert.rejects(Edge.open({ loop: 'news' }), { field: 'url' });
  assert.equal(edge.status.pending, 1);
});

test('a closed client has ended its requests and takes nothing more', async () => {
  const edge = await ready();
  assert.equal(await edge.close(), 0);
  assert.throws(() => edge.decide('u1'), { code: 'edge.closed' });
  const unready = await open();
  await unready.close();
});
