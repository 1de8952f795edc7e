#!/usr/bin/python3
"""What nines measures when something is in its way: a ledger that cannot be written, clients that give up, a service that
was stopped; and each kind of failure, held against what clients had of it."""
import contextlib
import time
import unittest

import harness
import survival
from measured import PROBE, Backend, Client, Locked, front, report, wait_reported


class Unrecorded(unittest.TestCase):
    """What is known is told, and what is not is unknown: neither up nor down."""

    def measured(self, service):
        harness.wait_for(lambda: service.nines("report").returncode == 0, 30, "a first slice in the record")

    def test_a_keeper_killed_while_the_ledger_is_locked_loses_nothing(self):
        with Backend() as backend, harness.Service(front(backend)) as service:
            service.up()
            with Client(service.url) as client:
                self.measured(service)
                before = report(service)[1]["seconds"]["unknown"]  # before it began
                with Locked(service):
                    time.sleep(2)
                    backend.mode = 500
                    began = time.time()
                    time.sleep(4)
                    backend.mode = 200
                    truth = time.time() - began
                    time.sleep(14)  # two slices and the end of an outage wait
                    self.assertTrue(any("cannot be recorded" in problem for problem in service.status()[1]["problems"]))
                    harness.kill9(service.status()[1]["keeper"]["pid"])
                    time.sleep(3)
                harness.wait_for(lambda: not service.status()[1]["problems"], 20, "no problem any more")
            found = wait_reported(service, client.good)
            self.assertEqual((found["requests"]["good"], found["requests"]["bad"]), (client.good, client.bad))
            self.assertLessEqual(abs(found["seconds"]["down"] - truth), PROBE + 1, (truth, found["seconds"]))
            self.assertLessEqual(found["seconds"]["unknown"], before + 2)
            outages = [i for i in found["incidents"] if i["target"] is None]
            self.assertEqual([(i["severity"], bool(i["ended"])) for i in outages], [("down", True)])

    def test_stopped_while_nothing_could_be_recorded(self):
        with Backend() as backend, harness.Service(front(backend)) as service:
            service.up()
            self.measured(service)
            before = report(service)[1]["seconds"]["unknown"]  # before it began
            with Locked(service):
                began = time.time()
                time.sleep(15)
                stopped = time.time()
                service.down(status=0)  # which waits a while for the ledger
            time.sleep(6)
            service.up()
            started = time.time()
            outage = harness.wait_for(lambda: [i for i in report(service)[1]["incidents"] if i["ended"]], 40, "the outage to be over")[0]
            found = report(service)[1]
            self.assertEqual(outage["cause"], "stopped")
            self.assertLessEqual(abs(found["seconds"]["down"] - (started - stopped)), 4, found["seconds"])
            self.assertGreaterEqual(found["seconds"]["unknown"] - before, stopped - began - 11)

    def test_stopped_within_declared_maintenance(self):
        with Backend() as backend, harness.Service(front(backend)) as service:
            service.up()
            self.measured(service)
            service.nines("maintenance", "start", "--for", "10m", "--reason", "new disk", status=0)
            time.sleep(1)
            service.down(status=0)
            stopped = time.time()
            time.sleep(6)
            service.up()
            started = time.time()
            found = harness.wait_for(lambda: (r := report(service)[1]) and r["seconds"]["maintenance"] > started - stopped and r, 40, "what was declared to be in the record")
            self.assertLessEqual(found["seconds"]["down"], 2, found["seconds"])

    def test_clients_that_give_up_leave_doubt_though_the_health_page_is_well(self):
        with Backend() as backend, harness.Service(front(backend)) as service:
            service.up()
            self.measured(service)
            before = report(service)[1]["seconds"]
            backend.mode = "hang"
            began = time.time()
            while time.time() - began < 12:
                with self.assertRaises(OSError):
                    harness.http(service.url, "/x", timeout=2)
            backend.mode = 200
            backend.released.set()
            self.assertEqual(harness.http(service.url, "/x")[0], 200)
            found = harness.wait_for(lambda: (r := report(service)[1]) and r["seconds"]["up"] > before["up"] + 10 and r, 40, "it to be up for a while")
            self.assertLessEqual(abs(found["seconds"]["unknown"] + found["seconds"]["down"] - before["unknown"] - 10), 3, (before, found["seconds"]))


class Kinds(unittest.TestCase):
    def test_every_kind_of_failure_counts_as_what_users_had_of_it(self):
        """Seconds of each kind, with calm between: a hang and a broken answer are as bad as a 500; slow is not."""
        with Backend() as backend, harness.Service(
                front(backend) + "gateway: {timeouts: {first_byte: 1s, first_byte_max: 1s}, retries: {most: 0}}\n") as service:
            service.up()
            clients = [Client(service.url) for _ in range(4)]
            with contextlib.ExitStack() as stack:
                for client in clients:
                    stack.enter_context(client)
                time.sleep(3)
                truth = []
                for mode in ("cut", "hang", "slow"):
                    failed = sum(client.bad for client in clients)
                    backend.mode = mode
                    began = time.time()
                    time.sleep(5)
                    backend.mode = 200
                    backend.released.set()
                    took = time.time() - began
                    time.sleep(13)
                    backend.released.clear()
                    truth.append((mode, took, sum(client.bad for client in clients) - failed))
            self.assertEqual([bad > 0 for _, _, bad in truth], [True, True, False], truth)
            found = wait_reported(service, sum(client.good for client in clients))
            self.assertEqual((found["requests"]["good"], found["requests"]["bad"]),
                             (sum(client.good for client in clients), sum(client.bad for client in clients)))
            outages = [i for i in found["incidents"] if i["target"] is None]
            self.assertEqual([i["severity"] for i in outages], ["down", "down"], outages)
            lengths = [survival.when(i["ended"]) - survival.when(i["first_bad"]) for i in outages]
            # A request that hangs has failed when its time is over, a second after it began.
            for (mode, took, _), length in zip(truth, lengths):
                self.assertLessEqual(abs(length - took), PROBE + 2, (mode, took, length))


if __name__ == "__main__":
    survival.main()
