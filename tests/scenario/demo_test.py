"""The demo holds what it claims, on the real AI server: what `./dev demo` runs when nobody is at a terminal."""
import os
import subprocess
import unittest

import harness


class Demo(unittest.TestCase):
    def test_it_kills_a_replica_under_load_and_every_claim_holds(self):
        demo = os.path.join(os.environ["NINES_BIN"], "nines-demo")
        run = subprocess.run([demo, "--quick"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=120)
        self.assertEqual(run.returncode, 0, run.stdout)
        self.assertIn("0 of ", run.stdout)
        self.assertNotIn("✗", run.stdout)
        self.assertIn("nothing is left running", run.stdout)

    def test_wrong_usage_is_said_so(self):
        demo = os.path.join(os.environ["NINES_BIN"], "nines-demo")
        run = subprocess.run([demo, "--port", "none"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        self.assertEqual(run.returncode, 2, run.stdout + run.stderr)


if __name__ == "__main__":
    harness.main()
