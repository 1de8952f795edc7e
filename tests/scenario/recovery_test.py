"""What a supervisor finds when it begins: a damaged state file, no shared table, half-made children, helpers of replicas, a
person's wishes. Nothing is lost, nothing runs twice.
"""
import fcntl
import json
import os
import pathlib
import shutil
import signal
import time
import unittest

import harness
import survival
from survival import PARTS, pids, settled, status

F_SETLEASE = 1024


class RecoveryTest(unittest.TestCase):
    def service(self, yaml=None, count=3, files=None):
        service = self.enterContext(harness.Service(yaml or harness.slow_service(count, extra=harness.REPLAY_SAFE), files))
        service.up()
        return service, settled(service, count)

    def scripted(self, script, count, name="slow"):
        """A service of that script."""
        service = self.enterContext(harness.Service(harness.service_yaml(["./server", "{port}"], count, name=name)))
        service.write("server", script)
        (service.folder / "server").chmod(0o755)
        service.up()
        return service, settled(service, count)

    def kill_supervisor(self, service, state, count=3):
        harness.kill9(state["supervisor"]["pid"])
        return settled(service, count, but=[state["supervisor"]["pid"]])

    def assert_one_each(self, service, state):
        self.assertEqual(survival.leaders(service), {name: [pid] for name, pid in pids(state).items()})


class StateFile(RecoveryTest):
    DAMAGE = {
        "cut in the middle": lambda text: text[:len(text) // 2],
        "empty": lambda text: "",
        "garbage": lambda text: "\0\1\2" * 100,
        "a list": lambda text: "[]",
        "of a later version": lambda text: text.replace('"version":1', '"version":99'),
        "of another boot": lambda text: json.dumps({**json.loads(text), "boot_id": "another"}),
        "with wrong types": lambda text: text.replace('"replicas":[', '"replicas":[7,'),
        "missing": None,
    }

    def test_damaged_in_any_way_it_costs_no_replica(self):
        service, first = self.service()
        file = service.state / "state.json"
        with survival.mixed_load(service) as load:
            state = first
            for what, damage in self.DAMAGE.items():
                with self.subTest(what):
                    text = file.read_text()
                    file.unlink() if damage is None else file.write_text(damage(text))
                    state = self.kill_supervisor(service, state)
                    self.assertEqual(pids(state), pids(first))
                    self.assert_one_each(service, state)
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        self.assertEqual(survival.exits(survival.record(service)), {})

    def test_that_cannot_be_written_is_a_problem_to_be_shown_and_no_reason_to_stop(self):
        service, state = self.service()
        shown = lambda: any("state.json" in problem for problem in status(service)["problems"])
        in_the_way = service.state / "state.json.new"
        in_the_way.mkdir()
        for victim in (state["replicas"][0]["pid"], state["supervisor"]["pid"]):
            harness.kill9(victim)
            harness.wait_for(shown, 20, "the problem in the status")
            service.wait_ready(3)
        self.assertEqual(harness.http(service.url)[0], 200)
        in_the_way.rmdir()
        victim = status(service)["replicas"][1]["pid"]
        harness.kill9(victim)
        self.assert_one_each(service, settled(service, 3, but=[victim]))


class TableLost(RecoveryTest):
    def kill_all_but_replicas(self, service, state):
        for part in ("anchor", "supervisor", "gateway", "keeper"):
            harness.kill9(state[part]["pid"])
        harness.wait_for(lambda: not any(harness.alive(state[part]["pid"]) for part in PARTS), 20, "their end")

    def test_up_goes_on_with_the_replicas(self):
        service, before = self.service()
        self.kill_all_but_replicas(service, before)
        service.up()
        state = settled(service, 3)
        self.assertEqual(pids(state), pids(before))
        self.assert_one_each(service, state)
        self.assertEqual(harness.http(service.url)[0], 200)
        # They are watched, and by their own names.
        victim = state["replicas"][1]
        harness.kill9(victim["pid"])
        self.assertNotEqual(service.wait_replaced(victim["name"], victim["pid"])["pid"], victim["pid"])
        self.assertGreater(min(row["incarnation"] for row in survival.record(service)[-3:] if row["kind"] == "spawned"
                               or row["kind"] == "ready" or row["kind"] == "listening"), 3)

    def test_what_died_meanwhile_is_started_anew_and_the_others_go_on(self):
        service, before = self.service()
        self.kill_all_but_replicas(service, before)
        dead = before["replicas"][2]
        survival.kill_and_wait(dead["pid"])
        service.up()
        state = settled(service, 3, but=[dead["pid"]])
        self.assertEqual([pids(state)[f"slow-{i}"] for i in (1, 2)], [pids(before)[f"slow-{i}"] for i in (1, 2)])
        self.assert_one_each(service, state)

    def test_replicas_of_another_configuration_or_without_a_state_file_are_ended_first(self):
        def other_command(service):
            text = (service.folder / "nines.yaml").read_text()
            service.write("nines.yaml", text.replace('"0.02"', '"0.01"'))

        def torn(service):
            (service.state / "state.json").write_text("{")

        service, before = self.service()
        for change in (other_command, torn):
            with self.subTest(change.__name__):
                self.kill_all_but_replicas(service, before)
                change(service)
                service.up()
                state = settled(service, 3, but=pids(before).values())
                self.assert_one_each(service, state)
                before = state


class Wishes(RecoveryTest):
    def test_a_stopped_replica_stays_stopped_until_a_person_starts_it(self):
        service, state = self.service()
        service.nines("stop", "slow-2", status=0)
        service.wait_state("slow-2", "stopped")
        held = lambda: next(r for r in status(service)["replicas"] if r["name"] == "slow-2")
        state = self.kill_supervisor(service, state, 2)
        self.assertEqual((held()["state"], held()["pid"]), ("stopped", None))
        self.assertIn("nines stop", held()["held_by"])
        service.down(status=0)
        service.up()
        settled(service, 2)
        self.assertEqual((held()["state"], held()["pid"]), ("stopped", None))
        self.assertIn("nines stop", held()["held_by"])
        service.nines("start", "slow-2", status=0)
        state = settled(service, 3)
        state = self.kill_supervisor(service, state)
        self.assertIsNone(held()["held_by"])
        service.down(status=0)
        service.up()
        self.assert_one_each(service, settled(service, 3))

    def test_going_down_goes_on_without_the_supervisor_that_was_asked(self):
        service = self.enterContext(harness.Service(harness.odd_service()))
        up = service.up_background()
        state = settled(service, 2)
        request = harness.Request(service.url, "/wait?2")
        harness.wait_for(lambda: any(r["in_flight"] for r in status(service)["replicas"]), 10, "a request in flight")
        survival.ask(service, "/v1/down", "POST", "{}")
        harness.kill9(state["supervisor"]["pid"])
        self.assertEqual(request.answer()[0], 200)
        self.assertEqual(up.wait(timeout=30), 0)
        self.assertEqual(service.stray_processes(), {})

    def test_a_stop_that_a_supervisor_did_not_live_to_see_ends_all_the_same(self):
        service, state = self.service(harness.odd_service("--ignore-sigterm", extra="  stop: {grace: 1s}\n"), 2)
        service.nines("stop", "odd-1", status=0)
        service.wait_state("odd-1", "stopping")
        state = status(service)
        harness.kill9(state["supervisor"]["pid"])
        harness.wait_for(lambda: status(service)["replicas"][0]["state"] == "stopped", 20, "odd-1 stopped")
        self.assertFalse(harness.alive(state["replicas"][0]["pid"]))
        exits = survival.exits(survival.record(service))
        self.assertEqual(exits, {("odd-1", state["replicas"][0]["pid"]): ["killed by SIGKILL (9)"]})

    def test_a_replica_that_drains_is_ended_once_its_requests_are(self):
        """Not after the 30 s that draining may take."""
        service, state = self.service(harness.odd_service(), 2)
        requests = [harness.Request(service.url, "/wait?1") for _ in range(4)]
        harness.wait_for(lambda: all(r["in_flight"] for r in status(service)["replicas"]), 10, "requests in flight")
        service.nines("stop", "odd-1", status=0)
        service.wait_state("odd-1", "draining")
        harness.kill9(state["supervisor"]["pid"])
        self.assertEqual([request.answer()[0] for request in requests], [200] * 4)
        harness.wait_for(lambda: status(service)["replicas"][0]["state"] == "stopped", 15, "odd-1 stopped")
        self.assertEqual(survival.exits(survival.record(service)),
                         {("odd-1", state["replicas"][0]["pid"]): ["killed by SIGTERM (15)"]})

    def test_a_crash_loop_is_not_forgiven_because_the_supervisor_died(self):
        script = f"""#!/bin/sh
case $NINES_TAG in */slow-2/*) [ ! -e crash ] || exit 7;; esac
exec {harness.PYTHON} {harness.SLOW_SERVER} "$1"
"""
        service, state = self.scripted(script, 2)
        (service.folder / "crash").touch()
        harness.kill9(state["replicas"][1]["pid"])
        def in_row():
            saved = json.loads((service.state / "state.json").read_text())
            return next(r["crashes_in_row"] for r in saved["replicas"] if r["name"] == "slow-2")
        harness.wait_for(lambda: in_row() >= 3, 30, "three crashes in a row")
        before, supervisor = in_row(), status(service)["supervisor"]["pid"]
        harness.kill9(supervisor)
        survival.succeeded(service, "supervisor", supervisor)
        harness.wait_for(lambda: in_row() > before, 60, "one crash more")
        (service.folder / "crash").unlink()
        service.nines("start", "slow-2", status=0)
        settled(service, 2)


class RunFolder(RecoveryTest):
    def test_removed_it_is_made_anew_and_the_next_supervisor_goes_on(self):
        service, before = self.service(harness.odd_service(), 2)
        shutil.rmtree((service.state / "run").resolve())
        state = settled(service, 2, deadline=20)
        state = self.kill_supervisor(service, state, 2)
        self.assertEqual(pids(state), pids(before))
        keeper = state["keeper"]["pid"]
        harness.kill9(keeper)
        survival.succeeded(service, "keeper", keeper)
        for replica in state["replicas"]:
            harness.http(f"127.0.0.1:{replica['port']}", "/say?3", "POST", "still here")
            harness.wait_for(lambda r=replica: "still here 2" in pathlib.Path(r["log"]).read_text(), 10, "the log")


class Children(RecoveryTest):
    def test_one_that_was_forked_and_has_not_yet_executed_is_ended(self):
        """A lease on the interpreter holds the child inside execve(2), as a slow disk would."""
        service = self.enterContext(harness.Service(harness.service_yaml(["./server", "{port}"], 1, name="slow")))
        interpreter = service.folder / "interpreter"
        shutil.copy(os.path.realpath("/bin/sh"), interpreter)
        service.write("server", f'#!{interpreter}\nexec {harness.PYTHON} {harness.SLOW_SERVER} "$1"\n')
        (service.folder / "server").chmod(0o755)
        service.up()
        state = settled(service, 1)
        lease = os.open(interpreter, os.O_RDWR)
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        try:
            harness.wait_for(lambda: fcntl.fcntl(lease, F_SETLEASE, fcntl.F_WRLCK) == 0, 10, "a lease")
            replica, supervisor = state["replicas"][0]["pid"], state["supervisor"]["pid"]
            harness.kill9(replica)
            child = lambda: [pid for pid in survival.children(supervisor)
                             if pid not in (state["gateway"]["pid"], state["keeper"]["pid"], replica)]
            half_made = harness.wait_for(child, 10, "a child in the middle")[0]
            self.assertEqual(os.readlink(f"/proc/{half_made}/exe"), os.readlink(f"/proc/{supervisor}/exe"))
            harness.kill9(supervisor)
            harness.wait_for(lambda: not harness.alive(half_made), 20, "the half-made child's end")
        finally:
            os.close(lease)
        state = settled(service, 1, but=[replica, supervisor, half_made])
        self.assert_one_each(service, state)

    def test_helpers_with_a_session_of_their_own_live_and_end_with_their_replica(self):
        script = f"""#!/bin/sh
setsid sleep 1000 &
exec {harness.PYTHON} {harness.SLOW_SERVER} "$1"
"""
        service, state = self.scripted(script, 2)

        def helpers():
            return {pid for pid, command in service.stray_processes().items() if command == "sleep 1000"}
        harness.wait_for(lambda: len(helpers()) == 2, 10, "two helpers")
        before = helpers()
        # Of a child of the supervisor, and then of an adopted one.
        for _ in range(2):
            victim = state["replicas"][0]["pid"]
            harness.kill9(victim)
            state = settled(service, 2, but=[victim])
            harness.wait_for(lambda: len(helpers()) == 2 and len(helpers() & before) == 1, 10, "its helper ended with it")
            before = helpers()
            after = self.kill_supervisor(service, state, 2)
            self.assertEqual(pids(after), pids(state))
            self.assertEqual(helpers(), before)
            state = after
        service.down(status=0)
        self.assertEqual(service.stray_processes(), {})

    def test_inherit_neither_listeners_nor_shared_memory(self):
        service, state = self.service()
        state = self.kill_supervisor(service, state)
        victim = state["replicas"][0]["pid"]
        harness.kill9(victim)
        state = settled(service, 3, but=[victim])
        ours = {os.readlink(f"/proc/{state['anchor']['pid']}/fd/{fd}")
                for fd in os.listdir(f"/proc/{state['anchor']['pid']}/fd")} - {"/dev/null"}
        for replica in state["replicas"]:
            for fd in os.listdir(f"/proc/{replica['pid']}/fd"):
                link = os.readlink(f"/proc/{replica['pid']}/fd/{fd}")
                self.assertNotIn(link, ours)
                self.assertFalse(link.startswith("/memfd:"), link)


class Logs(RecoveryTest):
    WRITER = """#!/usr/bin/python3
import http.server, sys, threading, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass
threading.Thread(target=http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever, daemon=True).start()
for i in range(10**9):
    print(f"line {i}", flush=True)
    if i % 20 == 19: time.sleep(0.0001)
"""

    def test_every_line_is_there_once_whoever_is_killed(self):
        service, first = self.scripted(self.WRITER, 1, name="writer")
        state = first
        log = pathlib.Path(state["replicas"][0]["log"])
        def lines():
            files = [path for n in (4, 3, 2, 1) if (path := log.with_name(f"{log.name}.{n}")).exists()] + [log]
            text = "".join(path.read_text() for path in files)
            return [int(line.split("line ")[1].split()[0]) for line in text.splitlines()[:-1] if "line " in line]
        for i in range(12):
            before = {part: state[part]["pid"] for part in ("keeper", "supervisor")}
            dead = [before["keeper"]] if i % 3 else list(before.values())
            for pid in dead:
                harness.kill9(pid)
            state = settled(service, 1, but=dead)
            seen = lines()[-1]
            harness.wait_for(lambda: lines()[-1] > seen + 20, 20, "more lines")
        self.assertEqual(pids(state), pids(first))
        found = lines()
        wrong = [(a, b) for a, b in zip(found, found[1:]) if b != a + 1]
        survival.say(f"{len(found)} lines, {len(wrong)} breaks {wrong[:3]}")
        self.assertEqual(found[0], 0)
        self.assertEqual(wrong, [])


class Many(RecoveryTest):
    def test_sixty_four_replicas_are_all_adopted(self):
        service, before = self.service(count=64)
        began = time.monotonic()
        state = self.kill_supervisor(service, before, 64)
        survival.say(f"64 adopted, {survival.in_words(survival.restarts_took(survival.record(service)))}")
        self.assertEqual(pids(state), pids(before))
        self.assert_one_each(service, state)
        self.assertLess(time.monotonic() - began, 20)


if __name__ == "__main__":
    survival.main()
