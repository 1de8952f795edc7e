#!/usr/bin/python3
"""What nines says of the service's availability, held against what really happened: a server that fails at moments which
only this test knows."""
import json
import os
import signal
import time
import unittest

import harness
import survival
from measured import PROBE, Backend, Client, front, report, wait_reported


class Truth(unittest.TestCase):
    def test_outages_are_as_long_as_they_were_and_every_request_is_counted(self):
        with Backend() as backend, harness.Service(front(backend)) as service:
            service.up()
            with Client(service.url) as client:
                time.sleep(3)
                backend.mode = 500
                began = time.time()
                time.sleep(5)
                # The keeper is killed in the middle, and its successor goes on.
                harness.kill9(service.status()[1]["keeper"]["pid"])
                time.sleep(2)
                backend.mode = 200
                truth = time.time() - began
                failed = client.bad
                time.sleep(12)
                backend.mode = "share"
                time.sleep(4)
                backend.mode = 200
                time.sleep(12)
            found = wait_reported(service, client.good)
            self.assertEqual((found["requests"]["good"], found["requests"]["bad"]), (client.good, client.bad))
            self.assertEqual(found["requests"]["aborted"], 0)
            self.assertLessEqual(abs(found["seconds"]["down"] - truth), PROBE + 1, (truth, found["seconds"]))
            self.assertTrue(2 <= found["seconds"]["degraded"] <= 8, found["seconds"])
            outages = [i for i in found["incidents"] if i["target"] is None]
            self.assertEqual([i["severity"] for i in outages], ["down", "degraded"], outages)
            self.assertEqual([i["cause"] for i in outages], ["upstream", "upstream"])
            self.assertEqual(outages[0]["failed_requests"], failed)
            self.assertLessEqual(abs(survival.when(outages[0]["first_bad"]) - began), PROBE + 1)
            self.assertLessEqual(abs(survival.when(outages[0]["ended"]) - began - truth), PROBE + 1)
            self.assertEqual(found["repairs"]["failures"], 1)
            # A month has the budget for this: 7 s of 43 min. An hour has not.
            self.assertEqual(found["objective"]["verdict"], "met_as_far_as_known")
            code, hour = report(service, "--from", "1h")
            self.assertEqual((code, hour["objective"]["verdict"]), (1, "missed"))
            self.assertIn("is whole", service.nines("check-ledger", status=0).stdout)
            for form, sign in (("text", "by requests"), ("md", "|---|"), ("csv", "what,value,note"), ("html", "<!doctype html>")):
                self.assertIn(sign, service.nines("report", "--format", form).stdout)

    def test_without_traffic_the_probes_tell(self):
        with Backend() as backend, harness.Service(front(backend)) as service:
            service.up()
            time.sleep(3)
            backend.health = 503
            began = time.time()
            time.sleep(6)
            backend.health = 200
            truth = time.time() - began
            time.sleep(13)
            code, found = report(service, "--from", "1h")
            self.assertEqual((found["requests"]["good"], found["requests"]["bad"]), (0, 0))
            # The gateway asks, too, and lets it in again after two good answers.
            self.assertLessEqual(abs(found["seconds"]["down"] - truth), 3 * PROBE + 1, (truth, found["seconds"]))
            self.assertEqual(len([i for i in found["incidents"] if i["target"] is None]), 1)
            self.assertEqual(code, 1)  # 99.9 % of some twenty seconds
            self.assertEqual(found["objective"]["verdict"], "missed")
            # What people say of it stands in the record, beside what was measured.
            outage = str(next(i["id"] for i in found["incidents"] if i["target"] is None))
            service.nines("incident", "ack", outage, status=0)
            service.nines("incident", "note", outage, "a health page that lied", status=0)
            service.nines("incident", "correct", outage, "--as", "up", "--reason", "nobody was turned away", status=0)

            def corrected():
                now = report(service, "--from", "1h")[1]
                return now if now["corrections"] else None
            now = harness.wait_for(corrected, 10, "the correction to be in the record")
            self.assertEqual(now["seconds"]["down"], found["seconds"]["down"])
            self.assertEqual(now["objective"]["verdict"], "missed")
            self.assertGreater(now["availability_corrected"], now["availability"])
            self.assertEqual(now["corrections"][0]["measured_s"]["down"], found["seconds"]["down"])
            incident = json.loads(service.nines("incident", "show", outage, "--json", status=0).stdout)
            self.assertIn("a health page that lied; ", incident["notes"][0]["text"])
            self.assertTrue(incident["acknowledged"]["text"])
            self.assertIn("nobody was turned away", service.nines("explain", "--from", "1h", status=0).stdout)
            self.assertIn("is whole", service.nines("check-ledger", status=0).stdout)


    def test_without_traffic_a_golden_request_tells_what_a_health_page_does_not(self):
        with Backend() as backend, harness.Service(
                front(backend) + "  canary: {get: /golden, every: 2s, timeout: 1s, before_ready: false}\n") as service:
            service.up()
            time.sleep(4)
            backend.mode = 500  # and the health page is well
            began = time.time()
            down = harness.wait_for(lambda: [e for e in service.status()[1]["events"] if e["kind"] == "service_down"], 20, "it to be told")
            self.assertIn("the canary at the public address", down[0]["text"])
            backend.mode = 200
            harness.wait_for(lambda: [e for e in service.status()[1]["events"] if e["kind"] == "service_up"], 30, "the end of it")
            self.assertLess(time.time() - began, 30)

    def test_declared_maintenance_is_left_out_and_still_told(self):
        with Backend() as backend, harness.Service(front(backend)) as service:
            service.up()
            with Client(service.url) as client:
                time.sleep(2)
                self.assertIn("is over already", service.nines("maintenance", "plan", "--from", "1h", status=2).stderr)
                self.assertIn("no maintenance goes on", service.nines("maintenance", "stop", status=1).stderr)
                service.nines("maintenance", "start", "--for", "10m", "--reason", "new disk", status=0)
                began = time.time()
                time.sleep(1.5)
                backend.mode = 500
                time.sleep(4)
                # The next keeper knows of it, too.
                harness.kill9(service.status()[1]["keeper"]["pid"])
                time.sleep(2)
                backend.mode = 200
                time.sleep(2)
                service.nines("maintenance", "stop", status=0)
                truth = time.time() - began
                time.sleep(11)
            found = wait_reported(service, client.good)
            self.assertEqual(found["seconds"]["down"], 0, found["seconds"])
            self.assertEqual(found["incidents"], [])
            self.assertLessEqual(abs(found["seconds"]["maintenance"] - truth), 2, (truth, found["seconds"]))
            self.assertEqual(found["availability"], 1)
            self.assertLess(found["availability_raw"], 1)
            self.assertEqual(found["requests"]["bad"], client.bad)
            self.assertIn("declared: new disk", service.nines("explain", status=0).stdout)
            listed = json.loads(service.nines("maintenance", "list", "--json", status=0).stdout)
            self.assertEqual(len(listed), 1)
            self.assertLessEqual(abs(survival.when(listed[0]["to"]) - began - truth), 2)


class Causes(unittest.TestCase):
    def test_a_crash_that_no_user_saw_is_no_downtime(self):
        service = self.enterContext(harness.Service(harness.slow_service(3, extra=harness.REPLAY_SAFE)))
        service.up()
        survival.settled(service, 3)
        with survival.mixed_load(service, rate=100) as load:
            load.run_for(1)
            harness.kill9(service.replica("slow-2")["pid"])
            load.run_for(11)
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        found = wait_reported(service, load.result["requests"])
        self.assertEqual((found["seconds"]["down"], found["requests"]["bad"]), (0, 0))
        self.assertEqual([(i["target"], i["severity"], i["cause"], i["evidence"]) for i in found["incidents"]],
                         [("slow-2", "unnoticed", "exit", "slow-2 exited: killed by SIGKILL (9)")])

    def test_while_nothing_ran_it_was_down(self):
        service = self.enterContext(harness.Service(harness.slow_service(1)))
        service.up()
        self.assertRegex(service.nines("report", status=1).stderr, "nothing was measured|there is no ledger")

        def ended(number):
            """The report, once that many outages are over."""
            def there():
                done = service.nines("report", "--json")
                found = json.loads(done.stdout) if done.stdout else None
                over = [i for i in found["incidents"] if i["severity"] == "down" and i["ended"]] if found else []
                return found if len(over) == number else None
            return harness.wait_for(there, 40, f"{number} outages to be over")
        time.sleep(2)
        service.down(status=0)
        stopped = time.time()
        time.sleep(8)
        service.up()
        started = time.time()
        found = ended(1)
        outage = next(i for i in found["incidents"] if i["severity"] == "down")
        self.assertEqual(outage["cause"], "stopped")
        self.assertIn("nines down", outage["evidence"])
        self.assertLessEqual(abs(found["seconds"]["down"] - (started - stopped)), 4, found["seconds"])
        # All of nines at once. What was in the slice that it died in is unknown.
        state = service.status()[1]
        for part in ("anchor", "supervisor", "gateway", "keeper"):
            os.kill(state[part]["pid"], signal.SIGKILL)
        time.sleep(22)
        service.up()
        found = ended(2)
        outage = [i for i in found["incidents"] if i["severity"] == "down"][-1]
        self.assertEqual(outage["cause"], "host", found["incidents"])
        self.assertIn("all of nines was killed", outage["evidence"])
        self.assertEqual(found["repairs"]["failures"], 2)
        self.assertGreater(found["seconds"]["down"], started - stopped + 6)
        self.assertIn("is whole", service.nines("check-ledger", status=0).stdout)


if __name__ == "__main__":
    survival.main()
