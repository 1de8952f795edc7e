"""The demo holds what it claims, on the real AI server: what `./dev demo` runs when nobody is at a terminal."""
import os
import subprocess
import unittest

import harness


CLAIMS = (
    "0 of [0-9,]+ requests failed",
    "1 replica killed, 1 restart",
    "keeper, supervisor and both at once were replaced",
    "the replicas ran on meanwhile",
    "5 kills of all sorts, 5 such ends in the ledger",
    "the backup was taken while clients wrote, and read back",
    "the database was destroyed",
    "after the restore its integrity_check says ok",
    "the service answers again: 12 of 12 sentences, and 12 new rows",
)


class Demo(unittest.TestCase):
    def test_it_kills_backs_up_destroys_and_restores_and_every_claim_holds(self):
        demo = os.path.join(os.environ["NINES_BIN"], "nines-demo")
        run = subprocess.run([demo, "--quick"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=120)
        self.assertEqual(run.returncode, 0, run.stdout)
        self.assertNotIn("✗", run.stdout)
        for claim in CLAIMS:
            self.assertRegex(run.stdout, "✓ " + claim)
        self.assertIn("nothing is left running", run.stdout)

    def test_wrong_usage_is_said_so(self):
        demo = os.path.join(os.environ["NINES_BIN"], "nines-demo")
        run = subprocess.run([demo, "--port", "none"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        self.assertEqual(run.returncode, 2, run.stdout + run.stderr)


if __name__ == "__main__":
    harness.main()
