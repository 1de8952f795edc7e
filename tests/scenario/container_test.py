"""`nines up` as the first process of a container: whatever loses its parent is its to reap, and the kernel treats it as
no other. Needs the right to make a PID namespace: as root.
"""
import contextlib
import os
import pathlib
import signal
import subprocess
import time
import unittest

import harness
import survival

UNDER = ("unshare", "--pid", "--fork", "--mount-proc")
# GET /orphans leaves twenty processes without a parent, half of them in sessions of their own: ten that end at once and
# ten that stay. The answer: their pids.
SERVER = '''
import http.server, os, socketserver, sys, time

def leave_orphans():
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        for i in range(20):
            if os.fork() == 0:
                if i % 2: os.setsid()
                os.write(tell, b"%d " % os.getpid())
                if i % 4 >= 2: time.sleep(600)
                os._exit(0)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(tell)
    pids = b""
    while pids.count(b" ") < 20: pids += os.read(told, 4096)
    os.close(told)
    return pids

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = leave_orphans() if self.path == "/orphans" else b"ok"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *_): pass

class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
'''


def may_make_one():
    try:
        return subprocess.run([*UNDER, "true"], capture_output=True, timeout=30).returncode == 0
    except OSError:
        return False


class Container:
    """The service, as the first process of a PID namespace. Its status has the pids as they are in there."""

    def __init__(self, service):
        self.service = service
        self.outer = service.start("up", under=UNDER)
        self.first = harness.wait_for(lambda: next(iter(survival.children(self.outer.pid)), None), 10, "the first process")

    def inside(self):
        """{pid inside: pid outside} of all that are in there, zombies too."""
        namespace, found = os.stat(f"/proc/{self.first}/ns/pid").st_ino, {}
        for entry in os.listdir("/proc"):
            try:
                if not entry.isdigit() or os.stat(f"/proc/{entry}/ns/pid").st_ino != namespace:
                    continue
                numbers = next(line for line in pathlib.Path(f"/proc/{entry}/status").read_text().splitlines()
                               if line.startswith("NSpid:")).split()
                found[int(numbers[-1])] = int(entry)
            except (OSError, StopIteration):
                continue
        return found

    def zombies(self):
        """A zombie has no namespace to look at any more: they are the children of those inside."""
        return [(parent, pid) for parent in self.inside().values()
                for pid, state in survival.children(parent).items() if state == "Z"]

    def kill(self, inside):
        os.kill(self.inside()[inside], signal.SIGKILL)

    def stop(self, timeout=30):
        os.kill(self.first, signal.SIGTERM)
        return self.outer.wait(timeout=timeout)


@unittest.skipUnless(may_make_one(), "no right to make a PID namespace here")
class FirstProcess(unittest.TestCase):
    def container(self, count=2):
        yaml = harness.service_yaml([harness.PYTHON, "server.py", "{port}"], count, extra=harness.REPLAY_SAFE)
        service = self.enterContext(harness.Service(yaml, {"server.py": SERVER}))
        container = Container(service)
        state = survival.settled(service, count)
        self.assertEqual(state["anchor"]["pid"], 1)
        return container, state

    def assert_down(self, container):
        """In order: whatever was left would have been killed with it."""
        self.assertEqual(container.stop(), 0)
        _, asked, rest = (container.service.folder / "up.log").read_text().rpartition("is stopping: SIGTERM")
        self.assertTrue(asked, rest)
        self.assertIn("is down", rest.splitlines()[-1])
        self.assertNotIn("SIGKILL", rest)

    def test_orphans_of_replicas_are_reaped(self):
        container, _ = self.container()
        orphans = set()
        for _ in range(5):
            orphans |= set(map(int, harness.http(container.service.url, "/orphans")[2].split()))
        self.assertEqual(len(orphans), 100)
        # Those that have ended leave nothing, the others live on.
        harness.wait_for(lambda: len(orphans & set(container.inside())) == 50, 20, "fifty of them gone")
        harness.wait_for(lambda: not container.zombies(), 20, "no zombies")
        for replica in survival.status(container.service)["replicas"]:
            container.kill(replica["pid"])
        survival.settled(container.service, 2, but=orphans)
        # Those in the groups of the killed replicas are ended by nines, perhaps only now; the others are ours to end.
        for inside, outside in container.inside().items():
            if inside in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(outside, signal.SIGKILL)
        harness.wait_for(lambda: not orphans & set(container.inside()) and not container.zombies(), 20, "all of them gone")
        self.assert_down(container)

    def test_sigterm_ends_it_in_order_also_with_orphans(self):
        container, _ = self.container()
        harness.http(container.service.url, "/orphans")
        began = time.monotonic()
        self.assert_down(container)
        self.assertLess(time.monotonic() - began, 20)

    def test_sigterm_before_it_listens_is_not_lost(self):
        yaml = harness.service_yaml([harness.PYTHON, "server.py", "{port}"], 1)
        service = self.enterContext(harness.Service(yaml, {"server.py": SERVER}))
        (service.folder / "nines.yaml").unlink()
        os.mkfifo(service.folder / "nines.yaml")  # so that it stays at its very beginning for as long as we want
        container = Container(service)

        def holds_it():
            blocked = next(line for line in pathlib.Path(f"/proc/{container.first}/status").read_text().splitlines()
                           if line.startswith("SigBlk:")).split()[1]
            return int(blocked, 16) & 1 << signal.SIGTERM - 1
        harness.wait_for(holds_it, 10, "SIGTERM to be blocked")
        os.kill(container.first, signal.SIGTERM)
        (service.folder / "nines.yaml").write_text(yaml)
        self.assertEqual(container.outer.wait(timeout=30), 0)

    def test_killed_parts_come_back_under_load(self):
        container, before = self.container(3)
        service = container.service
        with survival.mixed_load(service, rate=200) as load:
            state = before
            for part in ("supervisor", "keeper", "supervisor"):
                container.kill(state[part]["pid"])
                survival.succeeded(service, part, state[part]["pid"])
                state = survival.settled(service, 3)
            victim = state["replicas"][0]["pid"]
            container.kill(victim)
            state = survival.settled(service, 3, but=[victim])
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        self.assertEqual([r["pid"] for r in state["replicas"]][1:], [r["pid"] for r in before["replicas"]][1:])
        harness.wait_for(lambda: not container.zombies(), 20, "no zombies")
        self.assert_down(container)


if __name__ == "__main__":
    survival.main()
