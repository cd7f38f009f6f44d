"""A learner as a process of its own, throttled so that kills fall inside its work. Run by test_kills."""

import signal
import sys
import time
from contextlib import suppress

from foldline.app.foldline import wall_clock
from foldline.engine.defining import read_catalogue
from foldline.engine.learner import Learner, Pace
from foldline.errors import LogError
from foldline.log.open import open_log
from foldline.loops.catalogue import Catalogue
from tests.engine.running_fold import RunningFold


def main(url: str, holder: str, max_records: int, pause_s: float, lease_s: float, outputs: str) -> None:
    """Step until SIGTERM, then close cleanly. With `outputs` the fold is one that has some: `with` or `first`."""
    running = True

    def stop(_number: int, _frame: object) -> None:
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    with open_log(url) as log:
        catalogue = Catalogue()
        while not catalogue.names():
            with suppress(LogError):
                read_catalogue(log, catalogue)
        pace = Pace(max_records=max_records, root_every_ms=0, lease_s=lease_s)
        learner = Learner(log, catalogue.one("news"), holder, pace)
        if outputs:
            learner.fold_of, learner.leads = (lambda _: RunningFold()), False
            learner.outputs_first = outputs == "first"
        print("ready", flush=True)
        while running:
            try:
                learner.step(now=wall_clock())
            except LogError as error:
                # As the host does: a cluster that is away for a moment comes back.
                print(error, file=sys.stderr, flush=True)
            time.sleep(pause_s)
        learner.close(now=wall_clock())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]), sys.argv[6])
