"""Replicas that listen on Unix sockets, `{socket}` in their command, survive what replicas with ports do."""
import json
import os
import pathlib
import unittest

import harness
import survival
from survival import settled, pids


def slow_service(count=3, **others):
    return harness.service_yaml([harness.PYTHON, harness.SLOW_SERVER, "{socket}"], count, name="slow", **others)


class Sockets(unittest.TestCase):
    def service(self, yaml, **options):
        service = self.enterContext(harness.Service(yaml, **options))
        return service

    def files(self, service):
        """The replicas' sockets in the run folder."""
        run, = service.run_folders()
        return sorted(str(path) for path in run.glob("*-*.sock"))

    def assert_none_failed(self, load):
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        self.assertGreater(load.result["ok"], 20)

    def test_the_bundled_server_is_kept_up_over_a_socket(self):
        command = [harness.BIN / "language-id", "--socket", "{socket}", "--db", "data/h.db"]
        service = self.service(harness.service_yaml(command, 1, name="language-id"))
        service.up()
        replica, = service.wait_ready(1)
        self.assertIsNone(replica["port"])
        self.assertEqual([replica["socket"]], self.files(service))
        status, _, body = harness.http(service.url, "/classify", "POST", json.dumps({"text": "Guten Morgen"}).encode())
        self.assertEqual((status, json.loads(body)["label"]), (200, "de"))
        for command in ("status", "ps"):
            self.assertIn(pathlib.Path(replica["socket"]).name, service.nines(command, status=0).stdout)
        harness.kill9(replica["pid"])
        after = service.wait_replaced(replica["name"], replica["pid"])
        self.assertNotEqual(after["socket"], replica["socket"])
        self.assertEqual([after["socket"]], self.files(service))  # what the dead one left is gone
        self.assertEqual(harness.http(service.url, "/health")[0], 200)
        service.down(status=0)
        self.assertEqual(service.run_folders(), [])

    def test_killing_replicas_supervisor_and_gateway_is_survived(self):
        service = self.service(slow_service(extra=harness.REPLAY_SAFE))
        service.up()
        state = settled(service, 3)
        with harness.Load(service.url, get=["/x"], post={"/y": "{}"}, connections=12, rate=100) as load:
            for name in pids(state):
                victim = service.replica(name)["pid"]
                harness.kill9(victim)
                service.wait_replaced(name, victim)
            before = settled(service, 3)
            harness.kill9(before["supervisor"]["pid"])
            survival.succeeded(service, "supervisor", before["supervisor"]["pid"])
            after = settled(service, 3)
            load.run_for(0.5)
        self.assert_none_failed(load)
        for name in pids(before):  # adopted, with their sockets
            old, new = ({r["name"]: (r["pid"], r["socket"]) for r in s["replicas"]}[name] for s in (before, after))
            self.assertEqual(old, new)
        # A replica that the new supervisor has adopted dies, and its socket goes with it.
        victim = after["replicas"][0]
        harness.kill9(victim["pid"])
        service.wait_replaced(victim["name"], victim["pid"])
        self.assertEqual(len(self.files(service)), 3)
        harness.kill9(after["gateway"]["pid"])
        survival.succeeded(service, "gateway", after["gateway"]["pid"])
        state = settled(service, 3)
        for _ in range(10):
            self.assertEqual(harness.http(service.url, "/x")[0], 200)
        # Supervisor and replica at once: the next one finds the exit, and what it left.
        victim = state["replicas"][1]
        harness.kill9(state["supervisor"]["pid"])
        harness.kill9(victim["pid"])
        service.wait_replaced(victim["name"], victim["pid"])
        settled(service, 3)
        self.assertEqual(len(self.files(service)), 3)

    def test_a_socket_that_somebody_removes_is_replaced(self):
        service = self.service(slow_service(count=2, extra=harness.REPLAY_SAFE))
        service.up()
        for victim in service.wait_ready(2):
            os.unlink(victim["socket"])
            after = service.wait_replaced(victim["name"], victim["pid"])
            self.assertTrue(os.path.exists(after["socket"]))
            self.assertEqual(after["restarts"], 0)  # no crash

    def test_nines_run_over_sockets(self):
        service = self.service(f"listen: 127.0.0.1:{harness.free_port()}\n", options=["--state", ".nines"])
        run = service.start("run", "--replicas", 2, "--listen", service.url.removeprefix("http://"), "--health", "/health",
                            "--", harness.PYTHON, harness.SLOW_SERVER, "{socket}")
        first = service.wait_ready(2)[0]
        self.assertEqual(harness.http(service.url, "/x")[2], b"ok")
        harness.kill9(first["pid"])
        service.wait_replaced(first["name"], first["pid"])
        self.assertEqual(harness.http(service.url, "/x")[2], b"ok")
        run.terminate()
        self.assertEqual(run.wait(timeout=60), 0)
        self.assertEqual(service.run_folders(), [])

    def test_who_never_listens_on_its_socket_is_never_ready(self):
        port = harness.free_port()
        command = ["sh", "-c", f"exec {harness.PYTHON} {harness.SLOW_SERVER} {port} # {{socket}}"]
        service = self.service(harness.service_yaml(command, 1, startup="2s"))
        self.assertEqual(service.nines("up", "--detach").returncode, 1)


if __name__ == "__main__":
    survival.main()
