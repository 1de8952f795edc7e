"""tests/scenario/chaos.py for as long as one likes. Exit status 0: all of it held."""
import argparse
import os
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "tests" / "scenario"))
import chaos  # noqa: E402
import survival  # noqa: E402


def main():
    parser = argparse.ArgumentParser(prog="./dev soak", description="Kills one of nines' processes every 200 ms, under load.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--short", action="store_const", const=60, dest="seconds", help="one minute")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    wrong = chaos.play(arguments.seed, arguments.seconds)
    print()
    for what in wrong:
        print(f"soak: {what}")
    print(f"soak: {'FAILED' if wrong else 'all of it held'}: {arguments.seconds:.0f} s, seed {arguments.seed}")
    sys.stdout.flush()
    os._exit(1 if wrong else 0)


if __name__ == "__main__":
    survival.reap_for(main)
