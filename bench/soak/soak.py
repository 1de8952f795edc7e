"""tests/scenario/chaos.py for as long as one likes, after what is promised about time, asserted as promised. Exit status 0:
all of it held.
"""
import argparse
import os
import pathlib
import random
import subprocess
import sys
import time

SCENARIOS = pathlib.Path(__file__).resolve().parent.parent.parent / "tests" / "scenario"
sys.path.insert(0, str(SCENARIOS))
import chaos  # noqa: E402
import harness  # noqa: E402
import survival  # noqa: E402

TIMED = ("Supervisor.test_killed_again_and_again_with_replicas_dying_in_between_it_costs_no_request",
         "Gateway.test_killed_it_costs_only_what_is_in_flight_and_refuses_no_connection")


def waited_for_a_core():
    """Microseconds in which some process of this machine did, since it runs."""
    try:
        return int(pathlib.Path("/proc/pressure/cpu").read_text().split("total=")[1].split()[0])
    except (OSError, IndexError):
        return None


class Machine:
    """How much of a time this machine had more to do than it could: late then may be its fault."""

    def __init__(self):
        self._began, self._waited = time.monotonic(), waited_for_a_core()

    def in_words(self):
        if self._waited is None:
            return "nobody knows how busy the machine was"
        share = (waited_for_a_core() - self._waited) / 1e4 / (time.monotonic() - self._began)
        return f"something waited for a core {share:.0f} % of the time"


def keeps_its_times():
    """The tests that measure, with the bounds as they are promised."""
    machine = Machine()
    done = subprocess.run([harness.PYTHON, SCENARIOS / "survival_test.py", *TIMED], check=False,
                          env={**os.environ, "NINES_TEST_BOUNDS": "1"})
    print(f"soak: {machine.in_words()}", flush=True)
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(prog="./dev soak", description="Kills one of nines' processes every 200 ms, under load.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--short", action="store_const", const=60, dest="seconds", help="one minute")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    wrong = [] if keeps_its_times() else [f"not within the times that are promised: {', '.join(TIMED)}"]
    machine = Machine()
    wrong += chaos.play(arguments.seed, arguments.seconds)
    print(f"\nsoak: {machine.in_words()}")
    for what in wrong:
        print(f"soak: {what}")
    print(f"soak: {'FAILED' if wrong else 'all of it held'}: {arguments.seconds:.0f} s, seed {arguments.seed}")
    sys.stdout.flush()
    os._exit(1 if wrong else 0)


if __name__ == "__main__":
    survival.reap_for(main)
