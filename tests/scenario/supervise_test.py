#!/usr/bin/python3
"""How replicas are started, limited and started again: policies, environment, user, limits, memory, needs, liveness."""
import contextlib
import os
import pathlib
import signal
import socket
import time
import unittest

import harness

ROOT = os.geteuid() == 0


def has_memory_controller():
    """Of control groups, where we may write: as in CI and on servers, and not in every container."""
    with contextlib.suppress(OSError):
        groups = pathlib.Path("/proc/self/cgroup").read_text()
        for line in groups.splitlines():
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                return os.access(f"/sys/fs/cgroup/memory{path}", os.W_OK)
        for folder in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
            path = pathlib.Path(f"{folder}{groups.rpartition('0::')[2].strip()}")
            if (path / "cgroup.controllers").exists():
                return "memory" in (path / "cgroup.controllers").read_text() and os.access(path, os.W_OK)
    return False


def of_process(pid, field):
    """A line of /proc/PID/status."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return line.partition(":")[2].split()
    return None


def limit_of(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith(name):
            return line[len(name):].split()[:2]
    return None


class Policies(unittest.TestCase):
    def service(self, policy, count=2, **others):
        return harness.Service(harness.odd_service(count=count, extra=f"  restart: {policy}\n", **others))

    def exit(self, service, status):
        """The replica that answers ends with that status; its name, and its pid before."""
        before = {r["pid"]: r["name"] for r in service.ready()}
        pid = int(harness.http(service.url, "/pid")[2])
        with contextlib.suppress(Exception):
            harness.http(f"http://{next(r for r in service.replicas() if r['pid'] == pid)['address']}", f"/exit?{status}")
        return before[pid], pid

    def test_never(self):
        with self.service("never") as service:
            service.up()
            service.wait_ready(2)
            name, pid = self.exit(service, 3)
            self.assertIsNone(service.wait_state(name, "stopped")["pid"])
            time.sleep(0.5)
            self.assertEqual(service.replica(name)["state"], "stopped")
            service.nines("start", name, status=0)
            service.wait_replaced(name, pid)

    def test_on_failure(self):
        with self.service("on-failure") as service:
            service.up()
            service.wait_ready(2)
            name, pid = self.exit(service, 3)
            service.wait_replaced(name, pid)
            name, pid = self.exit(service, 0)
            service.wait_state(name, "stopped")
            # Another supervisor knows that it has finished; another start of the service is another try.
            harness.kill9(service.status()[1]["supervisor"]["pid"])
            harness.wait_for(lambda: service.status()[0] == 0, 20, "the next supervisor")
            time.sleep(0.3)
            self.assertEqual(service.replica(name)["state"], "stopped")
            service.down(status=0)
            service.up()
            service.wait_ready(2)

    def test_a_stop_persists_unless_the_policy_is_always(self):
        for policy, state in (("unless-stopped", "stopped"), ("always", "ready")):
            with self.subTest(policy), self.service(policy) as service:
                service.up()
                service.wait_ready(2)
                name, pid = self.exit(service, 0)
                service.wait_replaced(name, pid)
                service.nines("stop", name, status=0)
                service.wait_state(name, "stopped")
                service.down(status=0)
                service.up()
                service.wait_state(name, state)

    def test_a_crash_loop_is_said_and_tried_on(self):
        with self.service("unless-stopped") as service:
            service.up()
            service.wait_ready(2)
            for _ in range(5):
                pid = service.replica("odd-2")["pid"]
                harness.kill9(pid)
                service.wait_replaced("odd-2", pid)
            state = service.status()[1]
            self.assertTrue(state["degraded"])
            self.assertIn("odd-2 ends again and again, 5 times in a row, last: killed by SIGKILL (9); it is tried on",
                          "\n".join(state["problems"]))
            events = [event for event in service.events() if event["kind"] == "crash_loop"]
            self.assertEqual([(event["replica"], event["a"]) for event in events], [("odd-2", 5)])
            # Whoever restarts it by hand has seen to it.
            service.nines("restart", "odd-2", status=0)
            harness.wait_for(lambda: not service.status()[1]["degraded"], 10, "a service that is not degraded any more")

    def test_a_start_that_nobody_tries_again_is_over(self):
        for policy in ("never", "on-failure"):
            with self.subTest(policy):
                yaml = harness.service_yaml(["sh", "-c", "exit 0; {port}"], count=2, extra=f"  restart: {policy}\n")
                with harness.Service(yaml) as service:
                    self.assertIn("ends right after it is started", service.nines("up", status=1).stderr)


class Start(unittest.TestCase):
    def test_environment_directory_and_limits(self):
        extra = """  env: {B: from-env}
  env_file: [a.env, b.env]
  directory: work
  umask: "027"
  limits: {files: 512, core: 0B}
"""
        files = {"a.env": "# of the first\nA=1\nexport B='from the file'\n\n", "b.env": 'A=2\nC="with = and blanks "\n', "work/x": ""}
        with harness.Service(harness.odd_service(count=1, extra=extra), files) as service:
            service.up()
            [replica] = service.wait_ready(1)
            for name, value in (("A", "2"), ("B", "from-env"), ("C", "with = and blanks ")):
                self.assertEqual(harness.http(service.url, f"/env?{name}")[2].decode(), value)
            self.assertEqual(os.readlink(f"/proc/{replica['pid']}/cwd"), str(service.folder / "work"))
            self.assertEqual(of_process(replica["pid"], "Umask"), ["0027"])
            self.assertEqual(limit_of(replica["pid"], "Max open files"), ["512", "512"])
            self.assertEqual(limit_of(replica["pid"], "Max core file size"), ["0", "0"])

    def test_what_is_missing_is_said(self):
        cases = {"  env_file: none.env\n": "none.env", "  user: nobody-of-this-name\n": "nobody-of-this-name",
                 "  directory: nowhere\n": "nowhere"}
        for extra, said in cases.items():
            with self.subTest(extra), harness.Service(harness.odd_service(count=1, extra=extra)) as service:
                done = service.nines("up")
                self.assertEqual((done.returncode, said in done.stderr), (2, True), done.stderr)
        with harness.Service(harness.odd_service(count=1, extra="  env_file: bad.env\n"), {"bad.env": "A=1\nno value\n"}) as service:
            self.assertIn("bad.env:2: there is no =", service.nines("up", status=2).stderr)

    @unittest.skipUnless(ROOT, "only root may start processes of other users")
    def test_another_user(self):
        with harness.Service(harness.odd_service(count=1, extra="  user: nobody\n")) as service:
            os.chmod(service.folder, 0o755)
            service.up()
            [replica] = service.wait_ready(1)
            self.assertEqual(set(of_process(replica["pid"], "Uid")), {"65534"})
            self.assertEqual(of_process(replica["pid"], "CapEff"), ["0000000000000000"])
            self.assertEqual(harness.http(service.url, "/env?USER")[2], b"nobody")
            self.assertNotIn("0", of_process(replica["pid"], "Groups") or [])

    def test_nothing_is_started_before_what_it_needs(self):
        port = harness.free_port()
        with harness.Service(harness.odd_service(count=2, extra=f"  needs: [127.0.0.1:{port}]\n")) as service:
            service.up_background()
            harness.wait_for(lambda: service.status()[0] == 0, 20, "a supervisor")
            problems = harness.wait_for(lambda: service.status()[1]["problems"], 20, "what it waits for")
            self.assertIn(f"waits for 127.0.0.1:{port}", problems[0])
            self.assertEqual([(r["state"], r["pid"]) for r in service.replicas()], [("waiting", None)] * 2)
            harness.kill9(service.status()[1]["supervisor"]["pid"])  # the next one waits on
            with socket.create_server(("127.0.0.1", port)):
                service.wait_ready(2)
                self.assertEqual(service.status()[1]["problems"], [])
            # It was there once: its replicas are not kept waiting for it.
            victim = service.replicas()[0]
            harness.kill9(victim["pid"])
            service.wait_replaced(victim["name"], victim["pid"])


class Memory(unittest.TestCase):
    def eat(self, replica, megabytes):
        with contextlib.suppress(Exception):
            harness.http(f"http://{replica['address']}", f"/eat?{megabytes}", timeout=20)

    def exits(self, service):
        return [e for e in service.status()[1]["events"] if e["kind"] == "exited"]

    @unittest.skipUnless(has_memory_controller(), "no memory controller that we may use")
    def test_out_of_memory_is_the_cause(self):
        with harness.Service(harness.odd_service(count=2, extra="  limits: {memory: 64MiB, cpu_weight: 50}\n")) as service:
            service.up()
            victim = service.wait_ready(2)[0]
            groups = pathlib.Path(f"/proc/{victim['pid']}/cgroup").read_text()
            self.assertIn(f".{victim['name']}.", groups)
            self.eat(victim, 200)
            service.wait_replaced(victim["name"], victim["pid"])
            [exit] = self.exits(service)
            self.assertEqual(exit["b"], 2)
            self.assertIn("out of memory: more than its limit of 64MiB", exit["text"])
            # A kill is none, whatever happened before.
            harness.kill9(service.replicas()[1]["pid"])
            harness.wait_for(lambda: len(self.exits(service)) == 2, 20, "another exit")
            self.assertEqual(self.exits(service)[1]["b"], 1)
            service.wait_ready(2)
            service.down(status=0)
            left = [str(path) for path in pathlib.Path("/sys/fs/cgroup").glob("**/*") if path.name.startswith(f"nines-{service.tag}")]
            self.assertEqual(left, [])

    @unittest.skipUnless(has_memory_controller(), "no memory controller that we may use")
    def test_a_worker_that_runs_out_of_memory_is_recorded(self):
        with harness.Service(harness.odd_service("--workers", 2, count=1, extra="  limits: {memory: 96MiB}\n")) as service:
            service.up()
            [replica] = service.wait_ready(1)
            after = service.last_event()
            self.eat(replica, 300)

            def told():
                events = service.events(after)
                return [e for e in events if e["kind"] == "out_of_memory" or (e["kind"] == "exited" and e["b"] == 2)]
            harness.wait_for(told, 20, "the worker's death")


class Liveness(unittest.TestCase):
    """The gateway finds within seconds that a stopped process does not answer; what follows is tested here."""
    EXTRA = "  health: {path: /health, interval: 200ms, timeout: 300ms, rise: 1, fall: 2, startup: 60s, restart_after: %s}\n"

    def service(self, after, count=3):
        yaml = harness.odd_service(count=count, extra="  stop: {drain: 5s, grace: 1s}\n")
        health = next(line for line in yaml.splitlines() if line.startswith("  health:"))
        return harness.Service(yaml.replace(health + "\n", self.EXTRA % after))

    def test_one_that_hangs_is_started_again(self):
        with self.service("1s") as service:
            service.up()
            victim = service.wait_ready(3)[1]
            after = service.last_event()
            os.kill(victim["pid"], signal.SIGSTOP)
            service.wait_replaced(victim["name"], victim["pid"], deadline=20)
            events = [e for e in service.events(after) if e["replica"] == victim["name"]]
            kinds = [e["kind"] for e in events]
            self.assertLess(kinds.index("unready"), kinds.index("given_up"))
            exit = next(e for e in events if e["kind"] == "exited")
            self.assertEqual((exit["b"], "did not answer" in exit["text"]), (3, True), exit)

    def test_never_all_at_once(self):
        with self.service("1s") as service:
            service.up()
            before = {r["name"]: r["pid"] for r in service.wait_ready(3)}
            for pid in before.values():
                os.kill(pid, signal.SIGSTOP)
            seen = []

            def all_new():
                replicas = service.replicas()
                seen.append(sum(r["state"] in ("stopping", "waiting", "starting") for r in replicas))
                return all(r["state"] == "ready" and r["pid"] != before[r["name"]] for r in replicas)
            harness.wait_for(all_new, 60, "all of them new")
            self.assertLessEqual(max(seen), 1)

    def test_never_where_it_is_said_so(self):
        with self.service("never", count=2) as service:
            service.up()
            victim = service.wait_ready(2)[0]
            os.kill(victim["pid"], signal.SIGSTOP)
            service.wait_state(victim["name"], "unready")
            time.sleep(2)
            self.assertEqual(service.replica(victim["name"])["pid"], victim["pid"])
            os.kill(victim["pid"], signal.SIGCONT)
            service.wait_ready(2)


if __name__ == "__main__":
    harness.main()
