"""Twenty seconds of kills, one every 200 ms. NINES_TEST_SEED replays one, NINES_TEST_SECONDS makes it longer; `./dev soak`
runs it for ten minutes.
"""
import os
import random
import unittest

import chaos
import survival

SECONDS = float(os.environ.get("NINES_TEST_SECONDS", "20"))
SEED = int(os.environ.get("NINES_TEST_SEED", random.randrange(1 << 32)))


class Chaos(unittest.TestCase):
    def test_whatever_is_killed_nothing_is_lost_doubled_or_left(self):
        self.assertEqual(chaos.play(SEED, SECONDS), [], f"seed {SEED}")


if __name__ == "__main__":
    survival.main()
