"""Hurt a cluster and its learners while events flow, then count everything.

    python -m tools.chaos [--events 500000] [--seconds 240] [--seed 1] [--json]

Three brokers that keep everything three times and acknowledge what two have, three learner processes, eight senders.
Learners are killed (SIGKILL), stopped (SIGSTOP) and cut off from the network (by a proxy that lets nothing through),
brokers killed and started again, a partition's leader moved: one thing after another, in an order that the seed draws,
again and again until all is sent. In the end every event acknowledged must stand where the log said and be counted
once, and every state must be the bytes of one process that folds the same log alone. Exit status 1 where a check finds
anything.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tools.chaos.storm import Outcome, Plan, storm
from tools.kafka.jars import MissingTool


def main() -> None:
    """Run one storm and say what came of it."""
    plan = Plan()
    parser = argparse.ArgumentParser(
        prog="python -m tools.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--events", type=int, default=plan.events)
    parser.add_argument("--seconds", type=float, default=plan.seconds, help="over which they are sent")
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--folder", type=Path, help="where brokers and learners write; kept afterwards")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    plan = Plan(events=given.events, seconds=given.seconds, seed=given.seed)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="foldline-chaos-") as folder:
        try:
            outcome = storm(
                plan,
                given.folder or Path(folder),
                lambda what: print(f"{time.monotonic() - began:6.1f} s  {what}", file=sys.stderr),
            )
        except MissingTool as error:
            sys.exit(str(error))
    print(json.dumps(outcome.as_json())) if given.json else _print(outcome)
    sys.exit(0 if outcome.is_clean else 1)


def _print(outcome: Outcome) -> None:
    print(
        f"{outcome.acknowledged:,} events in {outcome.batches:,} batches acknowledged over {outcome.sent_s:.0f} s, "
        f"{outcome.tries:,} appends tried; learners done {outcome.recovered_s:.1f} s later\n"
    )
    print(f"{'done':<24}{'times':>8}")
    for what, times in sorted(outcome.done.items()):
        print(f"{what:<24}{times:>8}")
    print(f"\n{'check':<24}{'of':>8}  found")
    for verdict in outcome.verdicts:
        found = f"{len(verdict.found)}, the first: {verdict.found[0]}" if verdict.found else "none"
        print(f"{verdict.check:<24}{verdict.looked_at:>8}  {found}")


if __name__ == "__main__":
    main()
