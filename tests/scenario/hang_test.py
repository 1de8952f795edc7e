"""Replicas that do not die but stop: a process that is frozen, and an engine that hangs behind a healthy /health. And one
that is only busy, which must be left alone."""
import os
import signal
import sys
import time
import unittest

import harness
import scripted

# Health checks that take half a minute to see anything: what is un-routed sooner was not found by them.
SELDOM = "health: {path: /health, interval: 10s, timeout: 1s, rise: 1, fall: 3, startup: 60s}"
FROZEN = 5      # seconds
BOUND = 1.5     # of the slowest request, in bench
CANARY = "  canary: {post: /infer, json: {text: Guten Morgen}, expect: {pointer: /label, equals: de}, stall: 1s, timeout: 1s}\n"


def seldom(yaml):
    """The same service with those health checks."""
    lines = [f"  {SELDOM}" if line.startswith("  health: ") else line for line in yaml.splitlines()]
    return "\n".join(lines) + "\n"


class Frozen(unittest.TestCase):
    def test_a_frozen_replica_costs_no_request_where_replay_is_safe(self):
        with harness.Service(seldom(harness.slow_service(extra=harness.REPLAY_SAFE))) as service:
            service.up()
            service.wait_ready(3)
            with harness.Load(service.url, get=["/x"], post={"/y": "{}"}, connections=24, rate=200,
                              timeout=f"{10 * BOUND}s") as load:
                load.run_for(1.5)
                victim = harness.wait_for(lambda: next((r for r in service.ready() if r["in_flight"]), None), 20,
                                          "a replica with requests in flight")
                os.kill(victim["pid"], signal.SIGSTOP)
                try:
                    frozen_at = time.monotonic()
                    # Before it goes on, it is un-routed and none of its requests waits for it.
                    harness.wait_for(lambda: self.given_up(service, victim), 10 * BOUND, "its requests sent elsewhere")
                    after = time.monotonic() - frozen_at
                    load.run_for(max(FROZEN - after, 0.1))
                finally:
                    os.kill(victim["pid"], signal.SIGCONT)
                before = service.replica(victim["name"])["requests"]
                harness.wait_for(lambda: service.replica(victim["name"])["requests"] > before + 10, 30,
                                 "it takes traffic again")
            print(f"worst request {load.result['latency_ms']['max']:.0f} ms, given up after {after:.2f} s", file=sys.stderr)
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            self.assertLess(load.result["latency_ms"]["max"], 10 * BOUND * 1000)
            self.assertEqual([replica["restarts"] for replica in service.replicas()], [0, 0, 0])

    def given_up(self, service, victim):
        replica = service.replica(victim["name"])
        return replica["state"] != "ready" and replica["in_flight"] == 0


class Jammed(unittest.TestCase):
    def start(self, count):
        service = self.enterContext(scripted.service(count, CANARY + harness.REPLAY_SAFE))
        service.up()
        return service, service.wait_ready(count)

    def test_an_engine_that_hangs_behind_a_healthy_path_is_unrouted(self):
        service, replicas = self.start(3)
        with harness.Load(service.url, post={"/infer": '{"text": "hello"}'}, connections=6, rate=60, timeout="30s") as load:
            load.run_for(0.5)
            victim = replicas[0]
            scripted.open_gate(victim, "jam")
            service.wait_state(victim["name"], "unready", deadline=20)
            scripted.open_gate(victim, "unjam")
            service.wait_state(victim["name"], "ready", deadline=20)
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))

    def test_an_engine_that_is_busy_with_one_long_request_is_left_alone(self):
        service, (replica, *_) = self.start(1)
        with scripted.Client(service.url) as client:
            client.ask("/prefill", ["wait", "done"], ["send", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"])
            scripted.wait_note(replica, "/prefill")
            # Two canaries have passed: a silence long enough to be asked about, and again.
            harness.wait_for(lambda: len(scripted.notes_of(replica, "/infer")) >= 2, 20, "two canaries")
            self.assertEqual(service.replica(replica["name"])["state"], "ready")
            self.assertIsNone(scripted.note_of(replica, "/prefill")["left"])
            scripted.open_gate(replica, "done")
            self.assertEqual(client.head()[0], 200)
        self.assertEqual([event["text"] for event in service.events() if event["kind"] == "unready"], [])
        self.assertEqual(service.replica(replica["name"])["restarts"], 0)


if __name__ == "__main__":
    harness.main()
