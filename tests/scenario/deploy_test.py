#!/usr/bin/python3
"""Deploys as users do them: under load and under open streams, of good releases and of bad ones, with the supervisor
killed at every step, and the service ended in the middle."""
import json
import threading
import time
import unittest

import harness
import survival

BAKE = "1s"
WRONG = ["python3", "-c", "raise SystemExit('the model is corrupt')", "{port}"]


def yaml(command, port, count=3, answer=42, extra=""):
    """The canary asks for a variable of the server's environment, so that one with another value answers it wrongly."""
    canary = ('  canary: {get: "/env?ANSWER", expect: {pointer: "", equals: 42}}\n' if harness.ODD_SERVER in command else "")
    return harness.service_yaml(command, count=count, port=port, startup="20s", extra=canary + f"""\
  env: {{ANSWER: "{answer}"}}
  stop: {{drain: 20s, grace: 5s}}
  deploy: {{bake: {BAKE}}}
{extra}""") + harness.REPLAY_SAFE


def slow(delay=0.01):
    return [harness.PYTHON, harness.SLOW_SERVER, "{port}", "--delay", delay]


def odd(*options):
    return [harness.PYTHON, harness.ODD_SERVER, "{port}", *options]


class Deploys(unittest.TestCase):
    def service(self, command, **options):
        self.port = harness.free_port()
        return harness.Service(yaml(command, self.port, **options))

    def write(self, service, command, **options):
        service.write("nines.yaml", yaml(command, self.port, **options))

    def releases(self, service):
        return json.loads(service.nines("deploy", "--history", "--json", status=0).stdout)

    def assert_serves_alone(self, service, release, count=3):
        """All replicas are ready and of this release, nothing else is left of a deploy."""
        replicas = service.replicas()
        self.assertEqual([(r["state"], r["release"]) for r in replicas], [("ready", release)] * count, replicas)
        self.assertEqual(self.releases(service)["active"], release)
        self.assertIsNone(self.releases(service)["deploy"])
        self.assertEqual(len(service.stray_processes()), count + 4, service.stray_processes())

    def test_new_and_back_under_load(self):
        """The server dies at once of SIGTERM, whatever it was doing."""
        with self.service(slow()) as service:
            service.up()
            with harness.Load(service.url, get=["/x"], post={"/y": "{}"}, connections=24) as load:
                self.write(service, slow(0.008))
                done = service.nines("deploy", status=0)
                self.assertIn("release 2 is the one now", done.stdout)
                self.assert_serves_alone(service, 2)
                service.nines("rollback", status=0)
                self.assert_serves_alone(service, 3)
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            self.assertGreater(load.result["requests"], 1000)
            history = self.releases(service)["releases"]
            self.assertEqual([(r["release"], r["what"], r["outcome"]) for r in history],
                             [(1, "", "done"), (2, "command", "rolled_back"), (3, "back to release 1", "done")])
            self.assertEqual(history[2]["command"], history[0]["command"])
            self.assertIn("nines deploy", history[1]["by"])

    def test_fifty_streams_are_not_cut(self):
        with self.service(odd()) as service:
            service.up()
            answers = []

            def read():
                status, _, body = harness.http(service.url, "/stream?300", timeout=60)
                answers.append((status, body.count(b"\n"), body.endswith(b"line 299\n")))
            readers = [threading.Thread(target=read) for _ in range(50)]
            for reader in readers:
                reader.start()
            self.write(service, odd(), extra="  umask: \"027\"\n")
            service.nines("deploy", status=0)
            for reader in readers:
                reader.join()
            self.assertEqual(answers, [(200, 300, True)] * 50)
            self.assert_serves_alone(service, 2)

    def test_a_bad_release_never_takes_over(self):
        bad = {
            "does not start": (WRONG, {}, "does not stay up"),
            "answers wrongly": (odd(), {"answer": 41}, "answers its canary wrongly"),
            "another": (["true", "{port}"], {}, "does not stay up"),
        }
        with self.service(odd()) as service:
            service.up()
            before = [r["pid"] for r in service.replicas()]
            for why, (command, options, said) in bad.items():
                with self.subTest(why), harness.Load(service.url, get=["/pid"], connections=24, rate=200) as load:
                    self.write(service, command, **options)
                    began = time.monotonic()
                    done = service.nines("deploy", status=1)
                    self.assertLess(time.monotonic() - began, 30)
                    self.assertIn(said, done.stderr)
                    self.assert_serves_alone(service, 1)
                    load.stop()
                    self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            self.assertEqual([r["pid"] for r in service.replicas()], before, "the old ones were not touched")

    def test_one_ten_times_slower_is_rolled_back(self):
        with self.service(slow()) as service:
            service.up()
            with harness.Load(service.url, get=["/x"], connections=24) as load:
                self.write(service, slow(0.1))
                began = time.monotonic()
                done = service.nines("deploy", status=1)
                self.assertLess(time.monotonic() - began, 30)
                self.assertIn("latency is", done.stderr)
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            self.assert_serves_alone(service, 1)

    def test_one_that_never_gets_ready_waits_for_its_deadline_or_a_person(self):
        with self.service(odd(), count=1) as service:
            service.up()
            self.write(service, odd("--never-ready"), count=1)
            service.nines("deploy", "--detach", status=0)
            harness.wait_for(lambda: len(service.replicas()) == 2, 20, "a spare beside the replica")
            self.assertEqual(service.replicas()[1]["name"], "service-spare-1")
            refused = service.nines("deploy", status=1)
            self.assertIn("under way", refused.stderr)
            service.nines("rollback", status=0)
            self.assert_serves_alone(service, 1, count=1)
            last = self.releases(service)["releases"][-1]
            self.assertEqual((last["outcome"], "nines rollback" in last["why"]), ("rolled_back", True), last)

    def test_what_cannot_be_deployed_is_said(self):
        with self.service(odd(), count=1) as service:
            self.assertEqual(service.nines("deploy").returncode, 3)
            service.up()
            self.assertIn("nothing to deploy", service.nines("deploy", status=1).stderr)
            self.write(service, ["no-such-server", "{port}"], count=1)
            self.assertIn("no-such-server", service.nines("deploy", status=2).stderr)
            service.write("nines.yaml", "replicas: {comand: x}")
            self.assertIn("nines.yaml:1:", service.nines("deploy", status=2).stderr)
            self.assertIn("there is no release before", service.nines("rollback", status=2).stderr)
            self.assertIn("release 9 is not known", service.nines("rollback", "9", status=2).stderr)
            self.write(service, odd(), count=1)
            service.nines("stop", "service-1", status=0)
            service.wait_state("service-1", "stopped")
            self.assertIn("every replica is stopped", service.nines("deploy", "--again", status=1).stderr)

    def test_without_a_file(self):
        port = harness.free_port()
        with harness.Service("", options=["--state", "state"]) as service:
            (service.folder / "nines.yaml").unlink()
            service.state = service.folder / "state"
            service.tag = harness.tag_of(service.state)
            service.start("run", "--listen", f"127.0.0.1:{port}", "--health", "/health", "--", *map(str, odd()))
            service.wait_ready(1)
            self.assertIn("nines deploy -- COMMAND", service.nines("deploy", status=2).stderr)
            done = service.nines("deploy", "--", *map(str, odd("--start-after", 0)), status=0)
            self.assertIn("release 2 is the one now", done.stdout)
            self.assertEqual([r["release"] for r in service.replicas()], [2])

    def test_ended_in_the_middle_it_begins_anew_or_is_over(self):
        with self.service(odd()) as service:
            service.up()
            self.write(service, odd(), extra="  umask: \"027\"\n")
            service.nines("deploy", "--detach", status=0)
            service.down(status=0)
            service.up()
            harness.wait_for(lambda: self.releases(service)["deploy"] is None, 60, "the deploy to end")
            self.assert_serves_alone(service, 2)
            self.write(service, odd("--never-ready"))
            service.nines("deploy", "--detach", status=0)
            service.down(status=0)
            self.write(service, odd())  # a person thought better of it
            service.up()
            service.wait_ready(3)
            self.assert_serves_alone(service, 4)
            outcomes = [(r["release"], r["outcome"]) for r in self.releases(service)["releases"]]
            self.assertEqual(outcomes, [(1, "done"), (2, "done"), (3, "rolled_back"), (4, "done")])

    def test_a_kill_of_the_supervisor_at_every_step(self):
        """Each step is an event of a deploy that nobody disturbs; at each the supervisor is killed once."""
        with self.service(slow(), count=2) as service:
            service.up()
            after = service.last_event()
            service.nines("deploy", "--again", status=0)
            # The first of each kind for each replica: what a busy machine adds now and then is no step.
            steps = list(dict.fromkeys((e["kind"], e["replica"]) for e in self.events(service, after)
                                       if e["kind"] not in ("unrouted", "unready", "adopted")))
            self.assertIn(("deploy_done", None), steps)
            self.assertGreater(len(steps), 15, steps)
            with harness.Load(service.url, get=["/x"], connections=8, rate=100) as load:
                for number, (kind, replica) in enumerate(steps):
                    with self.subTest(step=number, kind=kind, replica=replica):
                        self.kill_at(service, (kind, replica))
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))

    def kill_at(self, service, step):
        """Deploys, and kills the supervisor once that has happened."""
        before = self.releases(service)["active"]
        after = service.last_event()
        service.nines("deploy", "--again", "--detach", status=0)
        harness.wait_for(lambda: any((e["kind"], e["replica"]) == step for e in self.events(service, after)), 60, f"{step}")
        harness.kill9(survival.status(service)["supervisor"]["pid"])
        harness.wait_for(lambda: self.ended(service), 60, "the deploy to end")
        service.wait_ready(2)
        serving = self.releases(service)["active"]
        self.assertIn(serving, (before, self.releases(service)["releases"][-1]["release"]))
        self.assert_serves_alone(service, serving, count=2)

    def ended(self, service):
        done = service.nines("deploy", "--history", "--json")
        return done.returncode == 0 and json.loads(done.stdout)["deploy"] is None

    def events(self, service, after):
        """All of them, not only the last that status shows."""
        return survival.ask(service, f"/v1/events?after={after}&limit=1000")["events"]


if __name__ == "__main__":
    harness.main()
