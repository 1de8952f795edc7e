"""`nines calc`: it needs no file, no service and no folder, and its answers can be read by programs."""
import json
import os
import subprocess
import tempfile
import unittest

import harness

DONE, WRONG = 0, 2


class Calc(unittest.TestCase):
    def calc(self, *arguments, status=DONE):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([harness.BIN / "nines", "calc", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)
            self.assertEqual(os.listdir(folder), [])
        self.assertEqual(done.returncode, status, f"{done.stdout}{done.stderr}")
        self.assertEqual(done.stderr if status == DONE else done.stdout, "")
        return done.stdout if status == DONE else done.stderr

    def test_text_for_people_and_json_for_programs(self):
        self.assertIn("99.1666 %", self.calc("--mtbf", "240h", "--mttr", "2h"))
        answer = json.loads(self.calc("--mtbf", "240h", "--mttr", "2h", "--json"))
        self.assertAlmostEqual(answer["availability"], 238 / 240, places=12)
        self.assertAlmostEqual(answer["nines"], 2.0792, places=4)
        self.assertEqual(answer["downtime"]["year"], 73 * 3600)

    def test_the_popular_short_form_is_explained(self):
        text = self.calc("--failures", "3", "--period", "720h", "--downtime", "180h")
        self.assertIn("75 %", text)
        self.assertIn("80 %", text)
        self.assertIn("5 percentage points too high", text)

    def test_what_makes_no_sense_is_one_message_with_status_2(self):
        said = self.calc("--mtbf", "2h", "--mttr", "3h", status=WRONG)
        self.assertEqual(said.count("\n"), 1)
        self.assertTrue(said.startswith("nines: --mttr: "), said)


if __name__ == "__main__":
    harness.main()
