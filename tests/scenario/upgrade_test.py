"""`nines upgrade`: another program takes over under load, and neither a request, nor a count, nor a replica is lost.

NINES_NEXT is nines with another layout of the shared table (tests/CMakeLists.txt).
"""
import os
import pathlib
import shutil
import subprocess
import unittest

import harness
import survival
from survival import pids, settled, status

NEXT = pathlib.Path(os.environ.get("NINES_NEXT", harness.BIN.parent / "tests" / "nines-next")).resolve()
NINES = harness.BIN / "nines"


def program_of(pid):
    return os.path.realpath(f"/proc/{pid}/exe")


class Upgrade(unittest.TestCase):
    def setUp(self):
        self.service = self.enterContext(harness.Service(harness.slow_service(extra=harness.REPLAY_SAFE)))
        self.service.up()
        self.state = settled(self.service, 3)

    def copy_of(self, program, name):
        return shutil.copy(program, self.service.folder / name)

    def upgrade(self, program, status=0):
        """`PROGRAM upgrade`, as a user runs the new one."""
        done = subprocess.run([program, "upgrade"], cwd=self.service.folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def taken_over(self, program, before):
        """All of nines is this program; the replicas are what they were."""
        state = settled(self.service, 3, but=[before["supervisor"]["pid"]])
        # What the old gateway counts while it finishes is carried over by the supervisor that replaced it.
        survival.one_gateway(self.service)
        self.assertEqual((pids(state), state["problems"], state["degraded"]), (pids(before), [], False))
        self.assertEqual({part: program_of(state[part]["pid"]) for part in survival.PARTS},
                         dict.fromkeys(survival.PARTS, os.path.realpath(program)))
        return state

    def assert_nothing_was_lost(self, load, counted):
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        harness.wait_for(lambda: status(self.service)["gateway"]["requests"] - counted == load.result["requests"], 10,
                         f"{load.result['requests']} requests counted, beside {counted} from before")
        state = status(self.service)
        by_replicas = sum(replica["requests"] for replica in state["replicas"])
        gateway = state["gateway"]
        self.assertEqual(by_replicas, gateway["requests"] + gateway["replayed"])
        self.assertEqual(survival.leaders(self.service), {name: [pid] for name, pid in pids(state).items()})
        rows = survival.record(self.service)
        self.assertEqual((survival.gaps(rows), survival.exits(rows)), ([], {}))
        return rows

    def test_another_layout_of_the_shared_table_takes_over_and_gives_back(self):
        counted = survival.counted_so_far(self.service)
        with survival.mixed_load(self.service) as load:
            state = self.state
            for program in (NEXT, NINES, NEXT):
                load.run_for(0.3)
                self.upgrade(program)
                state = self.taken_over(program, state)
                self.assertEqual(state["anchor"]["pid"], self.state["anchor"]["pid"])
            # What runs now survives as what ran before.
            harness.kill9(state["supervisor"]["pid"])
            state = settled(self.service, 3, but=[state["supervisor"]["pid"]])
            self.assertEqual(pids(state), pids(self.state))
        self.assert_nothing_was_lost(load, counted)
        # How a replica that was adopted twice ends is known all the same.
        victim = state["replicas"][0]
        harness.kill9(victim["pid"])
        settled(self.service, 3, but=[victim["pid"]])
        self.assertEqual(survival.exits(survival.record(self.service)),
                         {(victim["name"], victim["pid"]): ["killed by SIGKILL (9)"]})

    def test_the_same_program_at_another_place_takes_over_and_the_old_file_may_go(self):
        counted = survival.counted_so_far(self.service)
        with survival.mixed_load(self.service) as load:
            first = self.copy_of(NINES, "first")
            self.upgrade(first)
            state = self.taken_over(first, self.state)
            second = self.copy_of(NINES, "second")
            os.remove(first)
            self.upgrade(second)
            state = self.taken_over(second, state)
            # As a package manager replaces a program: another file under the same name.
            self.copy_of(NINES, "third")
            os.replace(self.service.folder / "third", second)
            self.upgrade(second)
            state = self.taken_over(second, state)
        self.assert_nothing_was_lost(load, counted)

    def test_what_cannot_be_executed_is_refused_or_given_up_and_changes_nothing(self):
        script = self.service.folder / "script"
        script.write_text("no program at all\n")
        with survival.mixed_load(self.service) as load:
            script.chmod(0o644)
            refused = survival.ask(self.service, "/v1/upgrade", "POST", f'{{"program": "{script}"}}')
            self.assertEqual(refused["error"]["code"], "no_program")
            self.assertEqual(status(self.service)["supervisor"]["pid"], self.state["supervisor"]["pid"])
            script.chmod(0o755)
            survival.ask(self.service, "/v1/upgrade", "POST", f'{{"program": "{script}"}}')
            state = settled(self.service, 3, but=[self.state["supervisor"]["pid"]])
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        self.assertEqual(pids(state), pids(self.state))
        self.assertEqual({part: state[part]["pid"] for part in ("anchor", "gateway", "keeper")},
                         {part: self.state[part]["pid"] for part in ("anchor", "gateway", "keeper")})
        # Nor does it stay so: the next upgrade works.
        self.upgrade(NEXT)
        self.taken_over(NEXT, state)

    def test_without_an_anchor_another_program_takes_its_place(self):
        counted = survival.counted_so_far(self.service)
        with survival.mixed_load(self.service) as load:
            state = self.state
            for program in (NEXT, NINES):
                survival.kill_and_wait(state["anchor"]["pid"])
                harness.wait_for(lambda: status(self.service)["degraded"], 10, "the status to say degraded")
                self.upgrade(program)
                state = self.taken_over(program, state)
        self.assert_nothing_was_lost(load, counted)

    def test_with_replicas_dying_in_the_middle_none_is_lost_or_doubled(self):
        state, wanted = self.state, {}
        with survival.mixed_load(self.service) as load:
            for i, program in enumerate((NEXT, NINES, NEXT, NINES)):
                victim = state["replicas"][i % 3]
                before = state["supervisor"]["pid"]
                upgrade = subprocess.Popen([program, "upgrade"], cwd=self.service.folder, stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL)
                harness.kill9(victim["pid"])
                wanted[victim["name"], victim["pid"]] = ["killed by SIGKILL (9)"]
                self.assertEqual(upgrade.wait(timeout=60), 0)
                state = settled(self.service, 3, but=[before, victim["pid"]])
                # One that leaves knows only the replicas of its own time: a request that meets the death of one after
                # another of these has nowhere to go.
                survival.one_gateway(self.service)
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        self.assertEqual(survival.exits(survival.record(self.service)), wanted)
        self.assertEqual(survival.leaders(self.service), {name: [pid] for name, pid in pids(state).items()})


if __name__ == "__main__":
    survival.main()
