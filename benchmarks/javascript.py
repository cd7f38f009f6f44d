"""What does a choice cost in JavaScript, where the client decides in the app itself?

Question: what does `Decider.choose` cost (hash of salt and id, table, propensity), and `decide` and `Edge.decide`?
Workload: 20,000 decision ids of 36 characters, as parsed from JSON, 20 actions, no mask; in Node.
Peer: a binary search of the same table by Math.random, which no audit can repeat; the floor is a loop over Date.now.
Ratio: nanoseconds a call, median of alternating rounds; the bar is 100 ns for `choose`.
Command: `python benchmarks/javascript.py`

`choose_plain` is what runs where WebAssembly is refused. `decide` adds the unit's partition, checks of its input and
the record; `edge_decide` the event in an outbox in memory.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

BAR_NS = 100.0
ACTIONS = 20
CLIENT = Path(__file__).resolve().parent.parent / "clients" / "js" / "src"

SCRIPT = """
const { Decider, Edge } = await import(`${SRC}/index.js`);
const { fastHash, plainHash } = await import(`${SRC}/hashing/xxh3.js`);
const actions = Array.from({ length: ACTIONS }, (_, i) => `a${i}`);
const bundle = {
  type: 'bundle', loop: 'news', hash: 'h', time: 0, cut: [0, 0, 0, 0], definition: 1, stream_time: 0, generation: 0,
  salt: 'salt', kind: 'random', actions, parameters: { n: ACTIONS },
};
const hex = (i) => i.toString(16).padStart(32, '0');
// Through JSON: a string just joined is a tree of its parts, and reading it would be measured too.
const parsed = (make) => JSON.parse(JSON.stringify(Array.from({ length: 20_000 }, (_, i) => make(i))));
const [ids, locals, units] = [(i) => `0.0.${hex(i)}`, hex, (i) => `user-${i}`].map(parsed);

const chooser = (hash) => {
  const { choose, propensities } = new Decider(bundle, { hash });
  return () => {
    let sum = 0;
    for (const id of ids) sum += propensities[choose(id)];
    return sum;
  };
};
const table = Float64Array.from(actions, (_, i) => (i + 1) / ACTIONS);
const search = (draw) => {
  let [low, high] = [0, table.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (table[middle] > draw) high = middle;
    else low = middle + 1;
  }
  return low;
};
const decider = new Decider(bundle);
const [plain] = process.argv.slice(2);
const each = (act) => () => {
  let sum = 0;
  for (let i = 0; i < ids.length; i++) sum += act(i);
  return sum;
};
const away = () => new Promise(() => {});
const candidates = plain ? { choose_plain: chooser(plainHash) } : {
  date_now: each(() => Date.now()),
  search_random: each(() => search(Math.random())),
  choose: chooser(fastHash),
  decide: each((i) => decider.decide(units[i], locals[i]).propensity),
};
const times = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]));
const timed = (name, run, calls) => {
  const start = process.hrtime.bigint();
  globalThis.sink = run();
  (times[name] ??= []).push(Number(process.hrtime.bigint() - start) / calls);
};
for (let round = 0; round < 61; round++) {
  for (const [name, run] of Object.entries(candidates)) timed(name, run, ids.length);
}
for (let round = 0; round < (plain ? 0 : 7); round++) {
  // Its outbox fills, so each round has a client of its own. The bundle is put in its storage.
  const storage = new Map([['foldline/news/bundle', JSON.stringify(bundle)]]);
  const kept = {
    get: (key) => storage.get(key) ?? null, set: (key, text) => storage.set(key, text),
    delete: (key) => storage.delete(key), keys: () => [...storage.keys()], lock: async () => () => {},
  };
  const edge = await Edge.open({
    url: 'http://localhost', loop: 'news', fetch: away, limit: 1e6, lingerMs: 1e8, storage: kept,
  });
  timed('edge_decide', each((i) => edge.decide(units[i]).propensity), ids.length);
}
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
const medians = Object.entries(times).map(([name, list]) => [`${name}_ns`, Number(median(list).toFixed(1))]);
console.log(JSON.stringify({ node: process.version, ...Object.fromEntries(medians) }));
process.exit(0);
"""


def measure() -> dict[str, float | str]:
    """Medians in nanoseconds, as Node prints them, with the ratio to the peer and the bar.

    The plain hash has a process of its own: no app runs both, and one engine's optimiser would fit neither.
    """
    node = shutil.which("node")
    if node is None:
        sys.exit("needs Node 20 or newer; Debian 13 has it as package nodejs")
    head = f"const SRC = {json.dumps(CLIENT.as_uri())};\nconst ACTIONS = {ACTIONS};\n"
    medians: dict[str, float | str] = {}
    for arguments in ([], ["plain"]):
        command = [node, "--input-type=module", "-", *arguments]
        ran = subprocess.run(command, input=head + SCRIPT, capture_output=True, text=True, check=True)
        medians |= json.loads(ran.stdout)
    ratio = float(medians["choose_ns"]) / float(medians["search_random_ns"])
    return {**medians, "ratio": round(ratio, 2), "bar_ns": BAR_NS}


if __name__ == "__main__":
    print(json.dumps(measure()))
