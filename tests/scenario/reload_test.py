#!/usr/bin/python3
"""`nines reload` as users do it: under load and under open streams, with the supervisor killed in the middle, and with
configurations that cannot be had in place."""
import contextlib
import json
import os
import socket
import threading
import time
import unittest

import harness
import survival
from survival import pids, settled


def yaml(port, count=3, delay=0.01, name="slow", more="", replicas=""):
    return harness.slow_service(count, delay, name=name, port=port, extra=replicas) + harness.REPLAY_SAFE + more


def gateway(**keys):
    return "gateway: {" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}\n"


class Reload(unittest.TestCase):
    def service(self, **options):
        self.port = harness.free_port()
        service = self.enterContext(harness.Service(yaml(self.port, **options)))
        service.up()
        return service

    def write(self, service, **options):
        service.write("nines.yaml", yaml(options.pop("port", self.port), **options))

    def reload(self, service, status=0, **options):
        self.write(service, **options)
        return service.nines("reload", status=status)

    def test_gateway_keys_and_count_change_under_load(self):
        service = self.service()
        before = settled(service, 3)
        with survival.mixed_load(service) as load:
            load.run_for(0.3)
            done = self.reload(service, count=5, more=gateway(queue=7))
            self.assertIn("gateway.queue: 100 -> 7", done.stdout)
            self.assertIn("replicas.count: 3 -> 5", done.stdout)
            more = settled(service, 5)
            load.run_for(0.3)
            self.reload(service, count=2, more=gateway(queue=7))
            fewer = settled(service, 2)
            load.run_for(0.3)
            for number in range(3):
                self.reload(service, count=2, more=gateway(queue=8 + number))
            same = settled(service, 2)
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        self.assertGreater(load.result["requests"], 300)
        # Replicas that stay are not touched, those that are too many are gone, and so is every former part.
        names = ["slow-1", "slow-2", "slow-3"]
        self.assertEqual([pids(more)[name] for name in names], [pids(before)[name] for name in names])
        self.assertEqual(pids(fewer), {name: pids(before)[name] for name in names[:2]})
        self.assertEqual(pids(same), pids(fewer))
        self.assertEqual(same["anchor"]["pid"], before["anchor"]["pid"])
        survival.one_gateway(service)
        self.assertEqual(len(service.stray_processes()), 2 + 4, service.stray_processes())
        # Nobody was told that one of them stopped for good.
        self.reload(service, count=3)
        settled(service, 3)
        rows = survival.record(service)
        self.assertEqual(survival.gaps(rows), [])
        self.assertEqual(sum(row["kind"] == "reload_wished" for row in rows), 6)

    def test_a_slot_that_becomes_another_replicas_counts_from_zero(self):
        service = self.service(count=2)
        for _ in range(20):
            self.assertEqual(harness.http(service.url, "/x")[0], 200)
        self.reload(service, count=1)
        self.reload(service, count=2)
        state = settled(service, 2)
        self.assertEqual(state["replicas"][1]["requests"], 0, state["replicas"])

    def test_addresses_come_and_go(self):
        service = self.service()
        first, other, third = self.port, harness.free_port(), harness.free_port()
        path = service.folder / "nines.yaml"
        listen = f"listen: 127.0.0.1:{first}\n"
        with survival.mixed_load(service) as load:
            load.run_for(0.2)
            path.write_text(path.read_text().replace(listen, f"listen: [127.0.0.1:{other}, 127.0.0.1:{first}, 127.0.0.1:{third}]\n"))
            service.nines("reload", status=0)
            for port in (first, other, third):
                self.assertEqual(harness.http(f"http://127.0.0.1:{port}", "/x")[0], 200)
            load.run_for(0.2)
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        with survival.mixed_load(service) as load:
            # The supervisor dies, and the anchor hands its successor the same.
            state = settled(service, 3)
            harness.kill9(state["supervisor"]["pid"])
            state = settled(service, 3, but=[state["supervisor"]["pid"]])
            harness.kill9(state["gateway"]["pid"])
            settled(service, 3, but=[state["gateway"]["pid"]])
        # What was in the killed gateway's hands.
        self.assertLessEqual(load.result["failed"], 24, harness.describe(load.result))
        with survival.mixed_load(service) as load:
            load.run_for(0.2)
            path.write_text(path.read_text().replace(f"[127.0.0.1:{other}, 127.0.0.1:{first}, 127.0.0.1:{third}]", f"127.0.0.1:{first}"))
            service.nines("reload", status=0)
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        survival.one_gateway(service)
        for port in (other, third):
            with self.assertRaises(OSError):
                harness.http(f"http://127.0.0.1:{port}", "/x")
        # Nobody holds what is gone: it can be had again, and given away.
        path.write_text(path.read_text().replace(listen, f"listen: [127.0.0.1:{first}, 127.0.0.1:{other}]\n"))
        service.nines("reload", status=0)
        self.assertEqual(harness.http(f"http://127.0.0.1:{other}", "/x")[0], 200)

    def test_fifty_streams_are_not_cut(self):
        port = harness.free_port()
        text = harness.odd_service(port=port, count=3)
        service = self.enterContext(harness.Service(text))
        service.up()
        answers = []

        def read():
            status, _, body = harness.http(service.url, "/stream?200", timeout=60)
            answers.append((status, body.count(b"\n"), body.endswith(b"line 199\n")))
        readers = [threading.Thread(target=read) for _ in range(50)]
        for reader in readers:
            reader.start()
        harness.wait_for(lambda: sum(r["in_flight"] for r in service.replicas()) >= 50, 20, "fifty streams")
        # Two of the three replicas that serve them go.
        service.write("nines.yaml", text.replace("count: 3", "count: 1"))
        service.nines("reload", status=0)
        for reader in readers:
            reader.join(60)
        self.assertEqual(answers, [(200, 200, True)] * 50)

    def test_all_or_nothing(self):
        service = self.service(count=2)
        state = settled(service, 2)
        taken = harness.free_port()

        def refused(why, exit_status=1, **options):
            done = self.reload(service, status=exit_status, **options)
            self.assertIn(why, done.stderr)
            self.assertEqual(survival.status(service)["configuration"], state["configuration"])
        refused("`nines deploy` brings it", delay=0.5, more=gateway(queue=7))
        refused("(env.KEY)", replicas='  env: {KEY: "very-secret"}\n')
        self.assertNotIn("very-secret", service.nines("reload", status=1).stderr + service.logs() + json.dumps(service.events()))
        refused("does not rename", name="other")
        refused("gateway.queue", exit_status=2, more=gateway(queue="many"))
        path = service.folder / "nines.yaml"
        self.write(service, count=2)
        good = path.read_text()
        path.write_text(good.replace(f"listen: 127.0.0.1:{self.port}", f"listen: 0.0.0.0:{self.port}"))
        done = service.nines("reload", status=1)
        self.assertIn(f"cannot be opened while 127.0.0.1:{self.port} is", done.stderr)
        with socket.create_server(("127.0.0.1", taken)):
            path.write_text(good.replace(f"127.0.0.1:{self.port}", f"127.0.0.1:{taken}"))
            done = service.nines("reload", status=1)
            self.assertIn("is in use by another program", done.stderr)
        service.nines("stop", "slow-1", status=0)
        service.wait_state("slow-1", "stopped")
        path.write_text(good.replace("count: 2", "count: 1"))
        self.assertIn("nobody would serve", service.nines("reload", status=1).stderr)
        service.nines("start", "slow-1", status=0)
        service.wait_ready(2)
        # Asking changes nothing, says what would, and hides what may be a secret.
        path.write_text(good + gateway(queue=7))
        asked = json.loads(service.nines("reload", "--dry-run", "--json", status=0).stdout)
        self.assertEqual(asked["changes"], [{"key": "gateway.queue", "before": "100", "after": "7"}])
        now = survival.status(service)
        self.assertEqual([now[part]["pid"] for part in survival.PARTS], [state[part]["pid"] for part in survival.PARTS])

    def test_a_person_s_stop_outlives_it_and_the_file_may_be_edited_half(self):
        service = self.service()
        service.nines("stop", "slow-2", status=0)
        self.reload(service, count=4, more=gateway(queue=7))
        state = settled(service, 3)
        self.assertEqual({r["name"]: r["state"] for r in state["replicas"]},
                         {"slow-1": "ready", "slow-2": "stopped", "slow-3": "ready", "slow-4": "ready"})
        # A successor goes by what is active, not by the file.
        service.write("nines.yaml", "replicas: {co")
        harness.kill9(state["supervisor"]["pid"])
        after = settled(service, 3, but=[state["supervisor"]["pid"]])
        self.assertEqual(after["configuration"], state["configuration"])
        self.assertEqual(pids(after), pids(state))

    def test_the_supervisor_is_killed_while_it_stops_who_is_too_many(self):
        port = harness.free_port()
        text = harness.odd_service(port=port, count=3)
        service = self.enterContext(harness.Service(text))
        service.up()
        before = settled(service, 3)
        service.nines("drain", "odd-1", status=0)
        request = harness.Request(service.url, "/stream?150", timeout=60)
        harness.wait_for(lambda: sum(r["in_flight"] for r in service.replicas()) == 1, 20, "a stream")
        service.nines("undrain", "odd-1", status=0)
        text = text.replace("count: 3", "count: 1")
        service.write("nines.yaml", text)
        survival.ask(service, "/v1/reload", "POST", json.dumps({"config": text, "by": "test"}))
        # It waits for the stream, and is killed.
        self.assertTrue(survival.status(service)["reloading"])
        harness.kill9(before["supervisor"]["pid"])
        state = settled(service, 3, but=[before["supervisor"]["pid"]])
        self.assertEqual(state["configuration"], before["configuration"])
        service.nines("reload", status=0)
        settled(service, 1)
        self.assertEqual(request.answer()[0], 200)

    def test_killed_again_and_again(self):
        service = self.service()
        taken = 0
        with survival.mixed_load(service) as load:
            state = settled(service, 3)
            for number in range(10):
                self.write(service, more=gateway(queue=10 + number))
                text = (service.folder / "nines.yaml").read_text()
                wished = survival.ask(service, "/v1/reload", "POST", json.dumps({"config": text, "by": "test"}))
                # It may be leaving, or its successor may be there already: both are killed.
                for pid in {state["supervisor"]["pid"], survival.status(service)["supervisor"]["pid"]}:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, 9)
                before, state = state, settled(service, 3, but=[state["supervisor"]["pid"]])
                self.assertIn(state["configuration"], (before["configuration"], wished["configuration"]))
                taken += state["configuration"] == wished["configuration"]
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        self.assertGreater(taken, 0)
        service.nines("reload", status=0)
        self.assertEqual(survival.status(service)["configuration"], wished["configuration"])
        survival.one_gateway(service)

    def test_the_anchor_is_killed_in_the_middle(self):
        """The message dies with it, unless it was taken before: either way the service is whole and a supervisor there.
        But for the moment between one supervisor and the next: then both are gone, and another `nines up` goes on."""
        def outcome(service):
            """The status once the supervisor knows, or "orphaned"."""
            if not any("internal-" + part in line for part in ("anchor", "supervisor") for line in service.stray_processes().values()):
                return "orphaned"
            now = survival.ask(service, "/v1/status")
            return now if now["degraded"] and not now["reloading"] else None

        for pause in (0, 0.002, 0.004, 0.005, 0.006, 0.008, 0.01):
            with self.subTest(pause), harness.Service(yaml(harness.free_port(), count=2)) as service:
                service.up()
                state = settled(service, 2)
                text = (service.folder / "nines.yaml").read_text().replace("count: 2", "count: 1") + gateway(queue=7)
                survival.ask(service, "/v1/reload", "POST", json.dumps({"config": text, "by": "test"}))
                time.sleep(pause)
                harness.kill9(state["anchor"]["pid"])
                self.assertEqual(harness.http(service.url, "/x")[0], 200)
                now = harness.wait_for(lambda: outcome(service), 10, "a supervisor that knows, or none")
                if now == "orphaned":
                    service.up()
                    settled(service, 2)  # the file was never changed
                    continue
                taken = now["configuration"] != state["configuration"]
                harness.wait_for(lambda: len(service.ready()) == (1 if taken else 2), 10, "whole, old or new")
                self.assertEqual(len(service.replicas()), 1 if taken else 2)
                # And it can be had again.
                service.nines("upgrade", status=0)
                service.write("nines.yaml", text)
                service.nines("reload", status=0)
                settled(service, 1)

    def test_wishes_outlive_a_reload_that_is_broken_off(self):
        port = harness.free_port()
        text = harness.odd_service(port=port, count=4)
        service = self.enterContext(harness.Service(text))
        service.up()
        service.nines("stop", "odd-4", status=0)
        service.nines("weight", "odd-3", "20", status=0)
        service.nines("drain", "odd-1", status=0)
        streams = [harness.Request(service.url, "/stream?150", timeout=60) for _ in range(8)]
        harness.wait_for(lambda: sum(r["in_flight"] for r in service.replicas()) == 8, 20, "eight streams")
        service.nines("undrain", "odd-1", status=0)
        state = survival.status(service)
        survival.ask(service, "/v1/reload", "POST", json.dumps({"config": text.replace("count: 4", "count: 1"), "by": "test"}))
        self.assertIn("taken away by a reload", service.nines("start", "odd-3", status=1).stderr)
        service.nines("weight", "odd-1", "90", status=0)
        harness.kill9(state["supervisor"]["pid"])
        settled(service, 3, but=[state["supervisor"]["pid"]])
        replicas = {r["name"]: (r["state"], r["weight"]) for r in service.replicas()}
        self.assertEqual(replicas, {"odd-1": ("ready", 90), "odd-2": ("ready", 100), "odd-3": ("ready", 20), "odd-4": ("stopped", 100)})
        self.assertEqual({stream.answer()[0] for stream in streams}, {200})

    def test_a_long_request_outlives_reloads_and_is_waited_for(self):
        """Also where a replica drains for less time than it takes."""
        port = harness.free_port()
        text = harness.odd_service(port=port, count=2, extra="  stop: {drain: 1s, grace: 1s}\n")
        service = self.enterContext(harness.Service(text))
        service.up()
        service.nines("drain", "odd-2", status=0)
        request = harness.Request(service.url, "/stream?450", timeout=60)
        harness.wait_for(lambda: service.replica("odd-1")["in_flight"] == 1, 20, "a stream")
        for number in range(4):
            service.write("nines.yaml", text + gateway(queue=10 + number))
            service.nines("reload", status=0)
            self.assertGreaterEqual(service.replica("odd-1")["in_flight"], 1)  # a probe may be under way, too
        status, _, body = request.answer()
        self.assertEqual((status, body.count(b"\n")), (200, 450))
        harness.wait_for(lambda: service.replica("odd-1")["in_flight"] == 0, 10, "nothing in flight")

    def test_a_slot_that_was_a_spare_s_counts_from_zero(self):
        service = self.service(count=2, replicas="  deploy: {bake: 500ms}\n")
        with survival.mixed_load(service):
            self.write(service, count=2, delay=0.008, replicas="  deploy: {bake: 500ms}\n")
            service.nines("deploy", status=0)
        self.reload(service, count=3, delay=0.008, replicas="  deploy: {bake: 500ms}\n")
        state = settled(service, 3)
        self.assertEqual(state["replicas"][2]["requests"], 0, state["replicas"])


class Endpoints(unittest.TestCase):
    def test_endpoints_come_and_go(self):
        backend = self.enterContext(harness.Service(harness.slow_service(3)))
        backend.up()
        ports = [replica["port"] for replica in backend.replicas()]
        port = harness.free_port()

        def front(*which):
            return (f"service: front\nlisten: 127.0.0.1:{port}\nreplicas:\n  endpoints: ["
                    + ", ".join(f'"127.0.0.1:{ports[i]}"' for i in which) + "]\n  health: {path: /health, interval: 500ms}\n"
                    + harness.REPLAY_SAFE)
        service = self.enterContext(harness.Service(front(0, 1)))
        service.up()
        with survival.mixed_load(service) as load:
            for which in ((0, 1, 2), (1, 2), (2,), (2, 0), (0, 1, 2)):
                service.write("nines.yaml", front(*which))
                service.nines("reload", status=0)
                state = settled(service, len(which), elsewhere=True)
                self.assertEqual({r["address"] for r in state["replicas"]}, {f"127.0.0.1:{ports[i]}" for i in which})
                load.run_for(0.2)
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        service.write("nines.yaml", front(0).replace(str(ports[0]), str(harness.free_port())))
        self.assertIn("nobody would serve", service.nines("reload", status=1).stderr)


if __name__ == "__main__":
    survival.main()
