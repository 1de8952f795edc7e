"""Replicas that are killed under load. The load client never retries: what it counts is what a user would have seen.

NINES_TEST_SECONDS is how long one load runs (12).
"""
import datetime
import http.client
import json
import os
import unittest

import harness

SECONDS = float(os.environ.get("NINES_TEST_SECONDS", "12"))
# The gateway learns of a death by reading, so a request that begins in this time may still be given to the dead. It is
# milliseconds; the rest is for machines that are busy.
UNROUTED_WITHIN = 0.25


def mixed_load(service):
    return harness.Load(service.url, get=["/x"], post={"/y": "{}"}, connections=24, count_header="x-served-by")


def began(failure):
    at = datetime.datetime.fromisoformat(failure["at"].replace("Z", "+00:00")).timestamp()
    return at - failure["lasted_ms"] / 1000


class ThreeReplicas(unittest.TestCase):
    def replaced(self, service, victim, event):
        """Waits until the replica has a new process and is ready, and checks its history. Returns it."""
        replica = service.wait_replaced(victim["name"], victim["pid"])
        self.assertEqual(replica["restarts"], 1)
        history = [e for e in service.events(event) if e["replica"] == victim["name"]]
        exits = [(e["text"], e["pid"]) for e in history if e["kind"] == "exited"]
        self.assertEqual(exits, [("killed by SIGKILL (9)", victim["pid"])])
        self.assertEqual([e["pid"] for e in history if e["kind"] == "unrouted"], [victim["pid"]])
        self.assertEqual([r["restarts"] for r in service.replicas() if r["name"] != victim["name"]], [0, 0])
        return replica

    def test_a_replica_killed_with_requests_in_flight_costs_no_request_where_replay_is_safe(self):
        with harness.Service(harness.slow_service(extra=harness.REPLAY_SAFE)) as service:
            service.up()
            before = [replica["pid"] for replica in service.wait_ready(3)]
            event = service.last_event()
            with mixed_load(service) as load:
                load.run_for(SECONDS / 2)
                victim, _ = harness.kill_with_requests_in_flight(service)
                replica = self.replaced(service, victim, event)
                harness.wait_for(lambda: service.replica(victim["name"])["requests"] > replica["requests"] + 10, 30,
                                 "the new process takes traffic")
                load.run_for(SECONDS / 2)
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            self.assertEqual(set(load.result["values"]), {str(pid) for pid in [*before, replica["pid"]]})
            self.assertGreater(service.status()[1]["gateway"]["replayed"], 0)

    def test_only_the_unsafe_requests_in_flight_on_it_fail_where_replay_is_not_declared_safe(self):
        with harness.Service(harness.slow_service()) as service:
            service.up()
            service.wait_ready(3)
            event = service.last_event()
            with mixed_load(service) as load:
                load.run_for(SECONDS / 4)
                victim, killed_at = harness.kill_with_requests_in_flight(service)
                self.replaced(service, victim, event)
                load.run_for(SECONDS / 4)
            result = load.result
            what = f"{victim['in_flight']} were in flight\n{harness.describe(result)}"
            self.assertGreater(result["ok"], 100, what)
            self.assertEqual(len(result["failures"]), result["failed"])
            for failure in result["failures"]:
                self.assertEqual((failure["method"], failure["kind"], failure["status"]), ("POST", "status", 502), what)
                self.assertIn(f"replica {victim['name']} failed while it had POST /y", failure["body"])
                self.assertTrue(failure["request_id"], what)
                self.assertLess(began(failure), killed_at + UNROUTED_WITHIN, what)
            # A connection carries one request at a time: two failures on one would mean that a later one failed too.
            self.assertEqual(len({failure["connection"] for failure in result["failures"]}), result["failed"], what)

    def test_the_502_says_which_replica_was_lost_and_what_would_have_helped(self):
        with harness.Service(harness.slow_service(delay=20)) as service:
            service.up()
            request = harness.Request(service.url, "/predict", "POST", '{"text": "hello"}')
            victim, _ = harness.kill_with_requests_in_flight(service, at_least=1)
            status, headers, body = request.answer()
            error = json.loads(body)["error"]
            self.assertEqual((status, error["code"]), (502, "replica_lost"), body)
            for word in (victim["name"], "POST /predict", "`replay: safe`"):
                self.assertIn(word, error["message"])
            self.assertTrue(headers["X-Request-Id"])

    def test_an_idempotency_key_makes_a_post_safe_to_send_again(self):
        with harness.Service(harness.slow_service(delay=1)) as service:
            service.up()
            request = harness.Request(service.url, "/predict", "POST", "again", headers={"Idempotency-Key": "7"})
            harness.kill_with_requests_in_flight(service, at_least=1)
            status, _, body = request.answer()
            self.assertEqual((status, body), (200, b"again"))

    def test_all_of_them_killed_one_after_another_twice_around_cost_no_request(self):
        with harness.Service(harness.slow_service(extra=harness.REPLAY_SAFE)) as service:
            service.up()
            names = [replica["name"] for replica in service.wait_ready(3)]
            with mixed_load(service) as load:
                for name in names * 2:
                    load.run_for(1.5)
                    victim = service.replica(name)
                    harness.kill9(victim["pid"])
                    service.wait_replaced(name, victim["pid"])
                load.run_for(1)
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            self.assertEqual([replica["restarts"] for replica in service.replicas()], [2, 2, 2])
            # Three processes at the start, and six since.
            self.assertEqual(len(load.result["values"]), 9, load.result["values"])

    def test_an_answer_that_breaks_off_is_seen_to_break(self):
        with harness.Service(harness.odd_service(extra=harness.REPLAY_SAFE)) as service:
            service.up()
            connection = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=30)
            self.addCleanup(connection.close)
            connection.request("GET", "/stream?10000")
            response = connection.getresponse()
            self.assertEqual(response.readline(), b"line 0\n")
            harness.kill_with_requests_in_flight(service, at_least=1)
            with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
                response.read()


class OneReplica(unittest.TestCase):
    # Takes a second to be there again, so that there is something to wait for.
    YAML = staticmethod(lambda **others: harness.odd_service("--start-after", "1", count=1, **others))

    def under_load(self, service, **what):
        """Kills the only replica with requests in flight on it. What 8 users saw, who send 80 requests a second."""
        service.up()
        before = service.replicas()[0]["pid"]
        with harness.Load(service.url, connections=8, rate=80, timeout="30s", count_header="x-served-by",
                          **what) as load:
            load.run_for(0.5)
            victim, killed_at = harness.kill_with_requests_in_flight(service, at_least=2)
            after = service.wait_replaced(victim["name"], before)["pid"]
            load.run_for(1)
        result = load.result
        self.assertEqual(set(result["values"]), {str(before), str(after)}, harness.describe(result))
        # It was away, and that was seen only as waiting.
        self.assertGreater(result["longest_gap_ms"], 500, harness.describe(result))
        return result, victim, killed_at

    def test_requests_wait_for_the_successor_of_the_only_replica(self):
        with harness.Service(self.YAML(extra=harness.REPLAY_SAFE)) as service:
            result, _, _ = self.under_load(service, get=["/wait?0.05"], post={"/wait?0.05": "x"})
            self.assertEqual(result["failed"], 0, harness.describe(result))

    def test_unsafe_requests_lost_with_the_only_replica_get_one_clear_502_each(self):
        with harness.Service(self.YAML()) as service:
            result, victim, killed_at = self.under_load(service, post={"/wait?0.05": "x"})
            self.assertGreater(result["failed"], 0, "nothing was in flight after all")
            for failure in result["failures"]:
                self.assertEqual((failure["kind"], failure["status"]), ("status", 502), harness.describe(result))
                self.assertIn(victim["name"], failure["body"])
                self.assertLess(began(failure), killed_at + UNROUTED_WITHIN, harness.describe(result))

    def test_a_request_that_nobody_can_take_is_refused_clearly_and_served_once_somebody_can(self):
        with harness.Service(harness.odd_service(count=1)) as service:
            service.up()
            service.nines("stop", "odd-1", status=0)
            service.wait_state("odd-1", "stopped")
            status, headers, body = harness.http(service.url, "/pid", timeout=60)
            self.assertEqual((status, json.loads(body)["error"]["code"]), (503, "no_replica"), body)
            self.assertTrue(headers["Retry-After"])
            request = harness.Request(service.url, "/pid")
            service.nines("start", "odd-1", status=0)
            self.assertEqual(request.answer()[0], 200)


if __name__ == "__main__":
    harness.main()
