"""An app that decides and reports, and says so after each call has returned. Killed by the test.

Run as: app.py URL LOOP OUTBOX
"""

import sys

import foldline as fl


def main() -> None:
    """Decide and reward for ever."""
    url, loop, outbox = sys.argv[1:]
    with fl.Edge(url, loop=loop, outbox=outbox) as edge:
        while True:
            choice = edge.decide("u1")
            print("decision", choice.id, choice.action, choice.propensity, choice.bundle, flush=True)
            edge.reward(choice, 1, id=f"r-{choice.id}")
            print("reward", f"r-{choice.id}", flush=True)


if __name__ == "__main__":
    main()
