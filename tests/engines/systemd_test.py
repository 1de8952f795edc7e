# needs: systemd
"""The unit of `nines export systemd`, read by systemd itself: nothing to complain about, nothing understood otherwise than it
was meant, and no more exposed than was measured. (systemd is not the first process here: what it is told is tested in
tests/scenario/systemd_test.py.)
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenario"))
import harness  # noqa: E402

# In tenths, as systemd-analyze counts: 10.0 is everything open. Debian 12's systemd 252 says 4.4 and 3.3. What is left is what
# a server on the network with GPUs and compilers needs; see the end of the unit.
EXPOSED_AS_ROOT, EXPOSED_AS_USER = 45, 34
SYSTEMD = "/lib/systemd/systemd"
NOBODY = 65534
PLAIN = "my-api"
ODD = 'my $HOME 100%n "a" \\b; #\' é'
YAML = """service: my-api
listen: 0.0.0.0:{port}
replicas:
  count: 2
  command: [sleep, "{{port}}"]
data: {{sqlite: "../the data/app.db"}}
backups:
  - {{to: "../back ups/"}}
"""


class Unit(unittest.TestCase):
    def setUp(self):
        self.top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="nines-unit-"))).resolve()
        os.chmod(self.top, 0o755)

    def export(self, *options, folder=PLAIN, port=8000, program=None, state=()):
        where = self.top / folder
        where.mkdir(exist_ok=True)
        (where / "nines.yaml").write_text(YAML.format(port=port))
        done = subprocess.run([program or harness.BIN / "nines", *state, "export", "systemd", *options], cwd=where,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        units = self.top / "units"
        units.mkdir(exist_ok=True)
        (units / "my-api.service").write_text(done.stdout)
        return units / "my-api.service"

    def analyze(self, *arguments):
        done = subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "LC_ALL": "C.UTF-8"})
        return done.returncode, done.stdout + done.stderr

    def as_read(self, unit):
        """{key: [value, ...]} of the unit as systemd has it in memory."""
        drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        done = subprocess.run([*drop, SYSTEMD, "--test", "--system", f"--unit={unit.name}"], capture_output=True, text=True,
                              timeout=120, cwd="/", env={"SYSTEMD_UNIT_PATH": f"{unit.parent}:", "LC_ALL": "C.UTF-8"})
        _, found, rest = done.stdout.partition(f"-> Unit {unit.name}:\n")
        self.assertTrue(found, done.stdout[-2000:] + done.stderr)
        values = {}
        for line in rest.partition("\t-> Unit ")[0].splitlines():
            key, _, value = line.strip().partition(": ")
            values.setdefault(key, []).append(value)
        return values

    def test_it_is_clean(self):
        for options in ([], ["--user", "daemon"]):
            for port in (8000, 80):
                with self.subTest(options=options, port=port):
                    self.assertEqual(self.analyze("verify", self.export(*options, port=port)), (0, ""))

    def test_the_check_sees_what_is_wrong(self):
        unit = self.export()
        for right, wrong in (("/nines -c", "/no-nines -c"), ("ProtectSystem=strict", "ProtectSystem=very"),
                             ("KillMode=process", "KillModus=process")):
            with self.subTest(wrong=wrong):
                text = unit.read_text()
                self.assertIn(right, text)
                broken = unit.with_name("broken.service")
                broken.write_text(text.replace(right, wrong))
                self.assertNotEqual(self.analyze("verify", broken), (0, ""))

    def test_it_is_no_more_exposed_than_was_measured(self):
        for options, threshold in (([], EXPOSED_AS_ROOT), (["--user", "daemon"], EXPOSED_AS_USER)):
            with self.subTest(options=options):
                unit = self.export(*options)
                status, text = self.analyze("security", "--offline=true", f"--threshold={threshold}", unit)
                self.assertEqual(status, 0, text)
                self.assertNotEqual(self.analyze("security", "--offline=true", "--threshold=20", unit)[0], 0)

    def test_odd_names_are_understood_as_they_are(self):
        program = self.top / "pro gram $HOME 100%n"
        program.mkdir()
        shutil.copy(harness.BIN / "nines", program / "nines")
        state = self.top / ("state " + ODD)
        unit = self.export("--user", "daemon", folder=ODD, port=80, program=program / "nines", state=["--state", state])
        self.assertEqual(self.analyze("verify", unit), (0, ""))
        read = self.as_read(unit)
        folder = self.top / ODD
        self.assertEqual(read["Unit Load State"], ["loaded"])
        self.assertEqual(read["WorkingDirectory"], [str(folder)])
        self.assertIn(f"{folder} (origin-file)", read["RequiresMountsFor"])
        writable = read["ReadWritePaths"][0]
        for path in (folder, state, f"-{self.top}/the data", f"-{self.top}/back ups", "-/tmp"):
            self.assertIn(str(path), writable)
        # It shows commands in a notation of its own; $$ is what becomes $ when they are executed.
        def shown(text):
            return '"' + "".join("\\" + c if c in '"\\$`' else c for c in str(text)) + '"'
        def argument(path):
            return shown(str(path).replace("$", "$$"))
        self.assertEqual(read["Command Line"], [
            f"{shown(program / 'nines')} -c {argument(folder / 'nines.yaml')} --state {argument(state)} {command}"
            for command in ("up", "reload")])

    def test_it_is_what_keeps_a_service_up(self):
        read = self.as_read(self.export("--user", "daemon", port=80))
        wanted = {"Type": "notify", "NotifyAccess": "all", "Restart": "always", "KillMode": "process", "OOMPolicy": "continue",
                  "WatchdogSec": "30s", "TimeoutStartSec": "10min 30s", "TimeoutStopSec": "1min 10s", "User": "daemon",
                  "AmbientCapabilities": "cap_net_bind_service", "CapabilityBoundingSet": "cap_net_bind_service",
                  "RuntimeDirectoryPreserve": "restart", "ProtectSystem": "strict", "PrivateTmp": "no", "PrivateDevices": "no",
                  "MemoryDenyWriteExecute": "no"}
        self.assertEqual({key: read[key][0] for key in wanted}, wanted)
        self.assertEqual(read["Environment"], [f"XDG_RUNTIME_DIR=/run/{read['RuntimeDirectory'][0]}"])

    def test_json_has_the_same(self):
        unit = self.export()
        done = subprocess.run([harness.BIN / "nines", "export", "systemd", "--json"], cwd=self.top / PLAIN, capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(json.loads(done.stdout), {"name": "my-api.service", "unit": unit.read_text()})


if __name__ == "__main__":
    harness.main()
