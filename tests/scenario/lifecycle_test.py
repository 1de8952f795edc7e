"""From `nines up` to `nines down`, with everything that may happen to a service in between."""
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import unittest

import harness
import survival

NOT_RUNNING = 3


def refuses(url):
    host, _, port = url.removeprefix("http://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def request_in_flight(service, seconds, method="GET"):
    """A request to odd_server.py that takes so long and is in flight now."""
    request = harness.Request(service.url, f"/wait?{seconds}", method)
    harness.wait_for(lambda: any(replica["in_flight"] for replica in service.replicas()), 10, "a request in flight")
    return request


class ServiceTest(unittest.TestCase):
    def assert_nothing_is_left(self, service, status):
        """Nothing of the service that had this status exists any more."""
        pids = [status[part]["pid"] for part in ("anchor", "supervisor", "gateway", "keeper")]
        pids += [replica["pid"] for replica in status["replicas"]]
        self.assertEqual([pid for pid in pids if harness.alive(pid)], [])
        self.assertEqual(service.stray_processes(), {})
        self.assertEqual(service.run_folders(), [])
        self.assertFalse((service.state / "run").is_symlink())
        self.assertTrue(refuses(service.url))
        for replica in status["replicas"]:
            self.assertTrue(refuses(f"127.0.0.1:{replica['port']}"))
        with open(service.state / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def assert_status(self, done, status, *words):
        self.assertEqual(done.returncode, status, f"{done.stdout}{done.stderr}")
        for word in words:
            self.assertIn(word, done.stdout + done.stderr)


class Down(ServiceTest):
    def test_down_leaves_no_process_no_socket_and_no_lock(self):
        with harness.Service(harness.slow_service()) as service:
            service.up()
            service.wait_ready(3)
            _, status = service.status()
            # The searches below must be able to find all of it.
            self.assertEqual(service.run_folders(), [(service.state / "run").resolve()])
            tagged = {*(status[part]["pid"] for part in ("anchor", "supervisor", "gateway", "keeper")),
                      *(r["pid"] for r in status["replicas"])}
            self.assertEqual(set(harness.stray_processes(service.tag)), tagged)
            service.down(status=0)
            self.assert_nothing_is_left(service, status)
            self.assert_status(service.down(), NOT_RUNNING)

    def test_down_ends_a_service_whose_run_folder_was_removed(self):
        """A logout removes /run/user/UID, with the control socket of a service that goes on in the background."""
        with harness.Service(harness.slow_service()) as service:
            service.up()
            service.wait_ready(3)
            _, status = service.status()
            shutil.rmtree((service.state / "run").resolve())
            service.down(status=0)
            self.assert_nothing_is_left(service, status)

    def test_sigint_and_sigterm_of_a_foreground_up_do_what_down_does(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number.name), harness.Service(harness.slow_service()) as service:
                up = service.up_background()
                service.wait_ready(3)
                _, status = service.status()
                self.assertEqual(status["anchor"]["pid"], up.pid)
                up.send_signal(number)
                self.assertEqual(up.wait(timeout=60), 0)
                self.assert_nothing_is_left(service, status)

    def test_a_request_in_flight_is_answered_before_the_service_is_down(self):
        with harness.Service(harness.odd_service()) as service:
            service.up()
            request = request_in_flight(service, 1)
            service.down(status=0)
            status, _, body = request.answer()
            self.assertEqual((status, body), (200, b"waited"))
            self.assertEqual(service.stray_processes(), {})

    def test_while_it_goes_down_its_clients_are_told_and_new_ones_are_refused_at_once(self):
        with harness.Service(harness.odd_service()) as service:
            up = service.up_background()
            service.wait_ready(2)
            request = request_in_flight(service, 3)
            up.terminate()
            harness.wait_for(lambda: refuses(service.url), 2, "new connections refused")
            self.assertTrue(request.is_alive(), "it was to be in flight all the time")
            status, headers, _ = request.answer()
            # So that the client does not send its next request on this connection.
            self.assertEqual((status, headers["Connection"]), (200, "close"))
            self.assertEqual(up.wait(timeout=30), 0)

    def test_a_second_sigterm_waits_for_nobody(self):
        with harness.Service(harness.odd_service("--ignore-sigterm")) as service:
            up = service.up_background()
            service.wait_ready(2)
            up.terminate()
            harness.wait_for(lambda: service.status()[1]["state"] == "stopping", 10, "the service stopping")
            began = time.monotonic()
            up.terminate()
            self.assertEqual(up.wait(timeout=60), 0)
            self.assertLess(time.monotonic() - began, 8, "the grace of a stop is 10 s")
            self.assertEqual(service.stray_processes(), {})


class Up(ServiceTest):
    def test_a_second_up_on_the_same_state_is_refused_and_names_the_pid(self):
        with harness.Service(harness.slow_service()) as service:
            service.up()
            before = service.wait_ready(3)
            pid = service.status()[1]["anchor"]["pid"]
            service.write("other.yaml", harness.slow_service())
            for arguments in (["up"], ["up", "--detach"], ["up", "-c", "other.yaml"]):
                with self.subTest(arguments=arguments):
                    self.assert_status(service.nines(*arguments), 1, "already running", str(pid))
            self.assertEqual([r["pid"] for r in service.ready()], [r["pid"] for r in before])
            self.assertEqual(harness.http(service.url)[0], 200)

    def test_up_detach_returns_once_enough_replicas_are_ready_and_the_listener_answers(self):
        with harness.Service(harness.odd_service("--start-after", "0.5", count=3)) as service:
            began = time.monotonic()
            done = service.up()
            self.assertEqual(harness.http(service.url, "/pid")[0], 200)
            self.assertGreaterEqual(time.monotonic() - began, 0.5)
            self.assertGreaterEqual(len(service.ready()), 2)
            self.assertIn(service.url, done.stdout)
            self.assertEqual(done.stderr, "")

    def test_up_detach_that_is_ended_before_the_service_is_up_does_not_say_that_it_is(self):
        def interrupt(service, up):
            up.send_signal(signal.SIGINT)

        def down(service, up):
            service.down(status=0)

        for end in (interrupt, down):
            with self.subTest(end=end.__name__), harness.Service(harness.odd_service("--never-ready")) as service:
                up = subprocess.Popen([harness.BIN / "nines", "up", "--detach"], cwd=service.folder, text=True,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                harness.wait_for(lambda: len(service.replicas()) == 2, 10, "the service starting")
                end(service, up)
                out, errors = up.communicate(timeout=30)
                self.assertEqual(service.stray_processes(), {})
                self.assertEqual(up.returncode, 1, f"{out}{errors}")

    def test_status_json_has_the_fields_of_the_contract(self):
        with harness.Service(harness.slow_service()) as service:
            service.up()
            service.wait_ready(3)
            for path in ("/a", "/b"):
                harness.http(service.url, path)
            code, status = service.status()
            self.assertEqual(code, 0)
            self.assertEqual((status["service"], status["objective"]), ("slow", 0.999))
            supervisor, gateway = status["supervisor"]["pid"], status["gateway"]["pid"]
            self.assertTrue(harness.alive(supervisor) and harness.alive(gateway))
            # The start asks for the health page through the gateway.
            self.assertGreaterEqual(status["gateway"]["requests"], 2)
            self.assertEqual(status["gateway"]["errors"], 0)
            self.assertEqual([r["name"] for r in status["replicas"]], ["slow-1", "slow-2", "slow-3"])
            for replica in status["replicas"]:
                self.assertEqual((replica["state"], replica["restarts"]), ("ready", 0))
                self.assertTrue(20000 <= replica["port"] <= 29999, replica)
                self.assertEqual(harness.http(f"127.0.0.1:{replica['port']}")[1]["X-Served-By"], str(replica["pid"]))

    def test_commands_say_with_status_3_that_nothing_runs(self):
        with harness.Service(harness.slow_service()) as service:
            for arguments in (["status"], ["status", "--json"], ["down"], ["ps"], ["ps", "--json"], ["logs"],
                              ["stop", "slow-1"], ["start", "slow-1"], ["restart", "slow-1"]):
                with self.subTest(arguments=arguments):
                    done = service.nines(*arguments)
                    self.assert_status(done, NOT_RUNNING)
                    self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
                    self.assertTrue(done.stderr.startswith("nines: "), done.stderr)
                    self.assertEqual(done.stdout, "")


class Commands(ServiceTest):
    def test_ps_lists_every_process(self):
        with harness.Service(harness.slow_service()) as service:
            service.up()
            service.wait_ready(3)
            _, status = service.status()
            shown = service.nines("ps", status=0).stdout
            for part in (*status["replicas"], status["supervisor"], status["gateway"], status["keeper"]):
                self.assertIn(str(part["pid"]), shown)
            listed = json.loads(service.nines("ps", "--json", status=0).stdout)
            self.assertEqual([r["pid"] for r in listed["replicas"]], [r["pid"] for r in status["replicas"]])

    def test_logs_shows_what_a_replica_wrote_and_follows_what_it_writes(self):
        with harness.Service(harness.odd_service(count=1)) as service:
            service.up()
            harness.http(service.url, "/say?100", "POST", "early")
            harness.wait_for(lambda: "early 99" in service.nines("logs", "odd-1").stdout, 10, "the last line")
            self.assertEqual(service.nines("logs", "odd-1", "--lines", "3", status=0).stdout.splitlines(),
                             ["early 97", "early 98", "early 99"])

            with open(service.folder / "followed", "wb") as output:
                follower = subprocess.Popen([harness.BIN / "nines", "logs", "-f", "odd-1", "--lines", "1"],
                                            cwd=service.folder, stdin=subprocess.DEVNULL, stdout=output)
            self.addCleanup(follower.wait)
            self.addCleanup(follower.kill)

            def followed():
                return (service.folder / "followed").read_text().splitlines()

            harness.wait_for(followed, 10, "the follower's first line")
            for word in ("one", "two"):
                harness.http(service.url, "/say?200", "POST", word)
                harness.wait_for(lambda: f"{word} 199" in followed(), 10, f"{word} to be followed")
                victim = service.replicas()[0]["pid"]
                harness.kill9(victim)
                successor = service.wait_replaced("odd-1", victim)
            harness.wait_for(lambda: f"pid {successor['pid']} listens" in followed(), 10, "the successor's line")
            follower.send_signal(signal.SIGINT)
            self.assertEqual(follower.wait(timeout=30), 0)
            lines = [line for line in followed() if not line.startswith("pid ")]
            self.assertEqual(lines, ["early 99", *(f"{word} {i}" for word in ("one", "two") for i in range(200))])

    def test_a_replica_is_restarted_stopped_and_started_without_a_failed_request(self):
        with harness.Service(harness.slow_service(extra=harness.REPLAY_SAFE)) as service:
            service.up()
            first = service.wait_ready(3)[0]["pid"]
            with harness.Load(service.url, get=["/x"], post={"/y": "{}"}, connections=8, rate=200) as load:
                load.run_for(0.3)
                service.nines("restart", "slow-1", status=0)
                service.wait_replaced("slow-1", first, deadline=15)
                service.nines("stop", "slow-2", status=0)
                stopped = service.wait_state("slow-2", "stopped", deadline=15)
                self.assertIsNone(stopped["pid"])
                served = {r["name"]: r["requests"] for r in service.replicas()}
                harness.wait_for(lambda: all(r["requests"] > served[r["name"]] for r in service.ready()), 10,
                                 "the others to serve")
                self.assertEqual(service.replica("slow-2")["requests"], served["slow-2"])
                service.nines("start", "slow-2", status=0)
                service.wait_state("slow-2", "ready")
                harness.wait_for(lambda: service.replica("slow-2")["requests"] > served["slow-2"], 10, "it to serve")
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            # What a person asked for is no crash.
            self.assertEqual([r["restarts"] for r in service.replicas()], [0, 0, 0])
            self.assertEqual(service.status()[1]["gateway"]["replayed"], 0)

    def test_a_replica_is_drained_weighed_and_undrained_without_a_failed_request(self):
        with harness.Service(harness.slow_service(count=3, extra=harness.REPLAY_SAFE)) as service:
            service.up()
            service.wait_ready(3)

            def idle(name):
                harness.wait_for(lambda: service.replica(name)["in_flight"] == 0, 10, f"{name} without a request")

            def served_meanwhile(load):
                before = {replica["name"]: replica["requests"] for replica in service.replicas()}
                load.run_for(0.5)
                return {replica["name"]: replica["requests"] - before[replica["name"]] for replica in service.replicas()}
            with harness.Load(service.url, get=["/x"], post={"/y": "{}"}, connections=8, rate=200) as load:
                load.run_for(0.3)
                said = service.nines("drain", "slow-1", status=0).stdout
                self.assertIn("slow-1 gets no new requests", said)
                idle("slow-1")
                self.assertEqual(served_meanwhile(load)["slow-1"], 0)
                drained = service.replica("slow-1")
                self.assertEqual((drained["state"], drained["weight"]), ("ready", 0))
                self.assertIn("nines drain", drained["drained_by"])
                self.assertIn("drained by nines drain", service.nines("status", status=0).stdout)
                # It outlives the replica and the supervisor.
                harness.kill9(drained["pid"])
                service.wait_replaced("slow-1", drained["pid"])
                supervisor = service.status()[1]["supervisor"]["pid"]
                harness.kill9(supervisor)
                survival.succeeded(service, "supervisor", supervisor)
                self.assertEqual(served_meanwhile(load)["slow-1"], 0)
                service.nines("weight", "slow-2", "0", status=0)
                idle("slow-2")
                self.assertEqual([served > 0 for served in served_meanwhile(load).values()], [False, False, True])
                service.nines("undrain", "slow-1", status=0)
                service.nines("weight", "slow-2", "100", status=0)
                harness.wait_for(lambda: all(served_meanwhile(load).values()), 10, "all of them to serve")
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))

    def test_a_drained_replica_stays_so_over_a_new_start_and_finishes_what_it_has(self):
        with harness.Service(harness.odd_service(count=1)) as service:
            service.up()
            request = request_in_flight(service, 1, "POST")
            self.assertIn("1 to finish", service.nines("drain", "odd-1", status=0).stdout)
            self.assertEqual(request.answer()[0], 200)
            self.assertEqual(harness.http(service.url, "/x", timeout=20)[0], 503)
            service.down(status=0)
            service.up()  # nobody is to get requests, so there is nobody to wait for
            self.assertIn("nines undrain odd-1", (service.state / "logs" / "nines.log").read_text())
            service.wait_ready(1)
            self.assertEqual(service.replicas()[0]["weight"], 0)
            service.nines("undrain", "odd-1", status=0)
            harness.wait_for(lambda: harness.http(service.url, "/wait?0")[0] == 200, 10, "an answer")

    def test_wishes_whose_file_is_damaged_or_gone_are_read_from_the_running_service_and_written_again(self):
        with harness.Service(harness.slow_service(count=2)) as service:
            service.up()
            service.wait_ready(2)
            service.nines("drain", "slow-1", status=0)
            file = service.state / "wishes.json"
            for damage in (lambda: file.write_text('{"slow-1": 1}'), file.unlink):
                damage()
                supervisor = service.status()[1]["supervisor"]["pid"]
                harness.kill9(supervisor)
                survival.succeeded(service, "supervisor", supervisor)
                self.assertEqual([replica["weight"] for replica in service.replicas()], [0, 100])
                self.assertEqual(json.loads(file.read_text()), {"slow-1": {"drained_by": "a person"}})
            self.assertEqual((service.state / "wishes.json.damaged").read_text(), '{"slow-1": 1}')

    def test_a_request_in_flight_on_a_replica_that_is_restarted_is_answered_by_it(self):
        with harness.Service(harness.odd_service(count=1)) as service:
            service.up()
            pid = service.replicas()[0]["pid"]
            request = request_in_flight(service, 1, "POST")
            service.nines("restart", "odd-1", status=0)
            # As long as the request takes, not as long as draining may (30 s).
            service.wait_replaced("odd-1", pid, deadline=15)
            status, headers, _ = request.answer()
            self.assertEqual((status, headers["X-Served-By"]), (200, str(pid)))

    def test_a_replica_that_was_restarted_many_times_is_still_watched(self):
        with harness.Service(harness.slow_service(count=1)) as service:
            service.up()
            for _ in range(12):
                pid = service.replicas()[0]["pid"]
                service.nines("restart", "slow-1", status=0)
                service.wait_replaced("slow-1", pid, deadline=15)
            killed = service.replicas()[0]["pid"]
            harness.kill9(killed)
            self.assertEqual(service.wait_replaced("slow-1", killed, deadline=15)["restarts"], 1)


class PartsThatDie(ServiceTest):
    def test_a_killed_gateway_is_replaced_and_the_replicas_do_not_notice(self):
        with harness.Service(harness.slow_service()) as service:
            service.up()
            before = [r["pid"] for r in service.wait_ready(3)]
            for _ in range(3):
                gateway = service.status()[1]["gateway"]["pid"]
                harness.kill9(gateway)
                began = time.monotonic()
                # On a connection of its own: what was in flight in the gateway is lost with it.
                self.assertEqual(harness.http(service.url, timeout=30)[0], 200)
                self.assertLess(time.monotonic() - began, 2, "new connections wait less than 200 ms")
                harness.wait_for(lambda: service.status()[1]["gateway"]["pid"] not in (None, gateway), 10,
                                 "a new gateway")
            self.assertEqual([r["pid"] for r in service.wait_ready(3)], before)
            self.assertEqual([r["restarts"] for r in service.replicas()], [0, 0, 0])

    def test_killing_the_supervisor_or_the_keeper_costs_no_request(self):
        with harness.Service(harness.slow_service()) as service:
            service.up()
            service.wait_ready(3)
            with harness.Load(service.url, get=["/x"], post={"/y": "{}"}, connections=8) as load:
                for part in ("keeper", "supervisor"):
                    load.run_for(0.3)
                    harness.kill9(service.status()[1][part]["pid"])
                load.run_for(0.5)
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))

    def test_killing_the_gateway_costs_the_requests_in_flight_and_no_others(self):
        with harness.Service(harness.slow_service()) as service:
            service.up()
            service.wait_ready(3)
            with harness.Load(service.url, get=["/x"], post={"/y": "{}"}, connections=8) as load:
                load.run_for(0.3)
                harness.kill9(service.status()[1]["gateway"]["pid"])
                load.run_for(0.5)
            what = harness.describe(load.result)
            connections = {failure["connection"] for failure in load.result["failures"]}
            self.assertEqual(len(connections), load.result["failed"], what)
            self.assertLessEqual(set(load.result["by_kind"]), {"reset", "closed", "truncated", "closed_idle"}, what)

    def test_what_replicas_write_while_the_keeper_is_dead_is_not_lost(self):
        with harness.Service(harness.odd_service(count=2)) as service:
            service.up()
            service.wait_ready(2)
            _, status = service.status()
            supervisor, keeper = status["supervisor"]["pid"], status["keeper"]["pid"]
            harness.http(service.url, "/say?10", "POST", "before")
            harness.wait_for(lambda: "before 9" in service.logs(), 10, "the log")
            # Halted, so that the keeper stays dead for as long as we want. Traffic needs neither.
            os.kill(supervisor, signal.SIGSTOP)
            try:
                harness.kill9(keeper)
                harness.wait_for(lambda: not harness.alive(keeper), 10, "the keeper to die")
                for replica in status["replicas"]:
                    harness.http(f"127.0.0.1:{replica['port']}", "/say?500", "POST", replica["name"])
                self.assertEqual(harness.http(service.url, "/pid")[0], 200)
                self.assertNotIn("odd-1 0", service.logs(lines=1000))
            finally:
                os.kill(supervisor, signal.SIGCONT)
            for replica in status["replicas"]:
                wanted = [f"{replica['name']} {i}" for i in range(500)]
                log = pathlib.Path(replica["log"])
                harness.wait_for(lambda: log.read_text().splitlines()[-500:] == wanted, 10, f"every line in {log}")
            self.assertNotIn(service.status()[1]["keeper"]["pid"], (None, keeper))
            self.assertEqual([r["pid"] for r in service.ready()], [r["pid"] for r in status["replicas"]])

    def test_up_after_anchor_and_supervisor_were_killed_goes_on_with_the_replicas(self):
        with harness.Service(harness.slow_service()) as service:
            service.up()
            service.wait_ready(3)
            _, status = service.status()
            for part in ("anchor", "supervisor"):
                harness.kill9(status[part]["pid"])
                harness.wait_for(lambda p=part: not harness.alive(status[p]["pid"]), 10, f"the {part} to die")
            self.assertEqual(harness.http(service.url)[0], 200, "the gateway and the replicas run on")
            self.assertEqual(service.status()[0], NOT_RUNNING)
            service.up()
            service.wait_ready(3)
            _, fresh = service.status()
            self.assertEqual([r["pid"] for r in fresh["replicas"]], [r["pid"] for r in status["replicas"]])
            parts = ("supervisor", "gateway", "keeper")
            tagged = {*(fresh[part]["pid"] for part in ("anchor", *parts)), *(r["pid"] for r in fresh["replicas"])}
            self.assertEqual(set(harness.stray_processes(service.tag)), tagged)
            self.assertEqual([part for part in parts if harness.alive(status[part]["pid"])], [])
            self.assertEqual(harness.http(service.url)[0], 200)
            service.down(status=0)
            self.assert_nothing_is_left(service, fresh)


class Environment(ServiceTest):
    SECRETS = {"FROM_VARIABLE": "kept-in-a-variable", "FROM_FILE": "kept-in-a-file"}
    ENV = "  env: {PLAIN: hello, FROM_VARIABLE: env:NINES_TEST_SECRET, FROM_FILE: file:secrets/key}\n"

    def setUp(self):
        os.environ["NINES_TEST_SECRET"] = self.SECRETS["FROM_VARIABLE"]
        self.addCleanup(os.environ.pop, "NINES_TEST_SECRET", None)

    def test_secrets_reach_the_replica_and_are_shown_nowhere(self):
        with harness.Service(harness.odd_service(count=1, extra=self.ENV),
                             {"secrets/key": self.SECRETS["FROM_FILE"] + "\n"}) as service:
            shown = service.nines("check").stdout + service.nines("check", "--json").stdout
            shown += service.up().stdout
            for name, value in {"PLAIN": "hello", **self.SECRETS}.items():
                status, _, body = harness.http(service.url, f"/env?{name}")
                self.assertEqual((name, status, body.decode()), (name, 200, value))
            for arguments in (["status"], ["status", "--json"], ["ps"], ["ps", "--json"], ["logs"]):
                shown += service.nines(*arguments, status=0).stdout
            replica = service.replicas()[0]["pid"]
            harness.kill9(replica)
            service.wait_replaced("odd-1", replica)
            for path in (*service.state.glob("**/*.log"), *service.state.glob("*.json")):
                shown += path.read_text()
            for pid in [service.status()[1]["supervisor"]["pid"], *service.stray_processes()]:
                shown += pathlib.Path(f"/proc/{pid}/cmdline").read_text()
            for value in self.SECRETS.values():
                self.assertNotIn(value, shown)

    def test_a_secret_that_is_missing_is_one_clear_error(self):
        with harness.Service(harness.odd_service(extra=self.ENV)) as service:
            for arguments in (["up"], ["up", "--detach"]):
                with self.subTest(arguments=arguments):
                    done = service.nines(*arguments)
                    self.assert_status(done, 2)
                    self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
                    for word in ("nines: ", "replicas.env.FROM_FILE", "secrets/key"):
                        self.assertIn(word, done.stderr)
                    self.assertEqual(service.stray_processes(), {})
            service.write("secrets/key", "x")
            del os.environ["NINES_TEST_SECRET"]
            done = service.nines("up", "--detach")
            self.assert_status(done, 2, "replicas.env.FROM_VARIABLE", "NINES_TEST_SECRET")


if __name__ == "__main__":
    harness.main()
