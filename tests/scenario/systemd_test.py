"""`nines up` as the main process of a unit of Type=notify: a test plays systemd, on a socket of its own."""
import os
import pathlib
import signal
import socket
import struct
import threading
import time
import unittest

import harness
import survival

WATCHDOG_S = 2
# As systemd does it: the variable names the very process that is started.
AS_MAIN = ("/bin/sh", "-c", 'export WATCHDOG_PID=$$; exec "$@"', "sh")
OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Systemd(threading.Thread):
    """Listens, and keeps what it is told as (moment, pid of the sender, {key: value}). At each READY=1 it makes a
    request, as whoever waits for the unit would."""

    def __init__(self, service, abstract=False):
        super().__init__(daemon=True)
        self.service, self.told, self.answers = service, [], []
        self.address = f"@{service.tag}-{id(self)}" if abstract else str(service.folder / f"notify-{id(self)}")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(self.address.replace("@", "\0") if abstract else self.address)
        self.start()

    def run(self):
        while True:
            data, extra, *_ = self._socket.recvmsg(4096, socket.CMSG_SPACE(12))
            pid, _, _ = struct.unpack("iii", extra[0][2])
            fields = dict(line.split("=", 1) for line in data.decode().splitlines())
            if "READY" in fields:
                self.answers.append(self._ask())
            self.told.append((time.monotonic(), pid, fields))

    def _ask(self):
        try:
            return harness.http(self.service.url, "/health")[0]
        except OSError as error:
            return error

    def up(self):
        return self.service.start("up", under=AS_MAIN, env={
            "NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": str(WATCHDOG_S * 1_000_000), "WATCHDOG_PID": "1"})

    def with_key(self, key, after=0.0):
        return [told for told in list(self.told) if key in told[2] and told[0] > after]

    def wait_for(self, key, after=0.0, deadline=30):
        return harness.wait_for(lambda: self.with_key(key, after), deadline, f"{key}=")[0]

    def pings(self, by, after=0.0):
        """Moments of the watchdog's pings; all are by that process."""
        found = self.with_key("WATCHDOG", after)
        assert {pid for _, pid, _ in found} <= {by}, found
        return [moment for moment, _, _ in found]


def environment(pid):
    lines = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(line.decode(errors="replace").split("=", 1) for line in lines if b"=" in line)


class UnderSystemd(unittest.TestCase):
    def service(self, *options, **others):
        return self.enterContext(harness.Service(harness.odd_service(*options, **others)))

    def assert_pinged_in_time(self, systemd, anchor, since):
        """Never as late as systemd would take for an end, up to now, and at half of that on the whole."""
        until = time.monotonic()
        moments = [since, *systemd.pings(anchor, since), until]
        gaps = [after - before for before, after in zip(moments, moments[1:])]
        self.assertLess(max(gaps), WATCHDOG_S, gaps)
        self.assertGreaterEqual(len(moments) - 2, int((until - since) / (WATCHDOG_S / 2)) // 2)

    def end(self, process, systemd):
        before = time.monotonic()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=30), 0)
        _, _, fields = systemd.wait_for("STOPPING", before, 5)
        self.assertIn("SIGTERM", fields["STATUS"])

    def test_ready_once_it_answers_then_the_watchdog_then_stopping(self):
        for abstract in (False, True):
            with self.subTest(abstract=abstract):
                service = self.service("--start-after", "1")
                systemd = Systemd(service, abstract)
                process = systemd.up()
                _, sender, fields = systemd.wait_for("READY")
                self.assertEqual(systemd.answers, [200])
                state = survival.settled(service, 2)
                self.assertEqual(sender, state["supervisor"]["pid"])
                self.assertEqual(process.pid, state["anchor"]["pid"])
                starting = [told for told in systemd.told if "READY" not in told[2] and "STATUS" in told[2]]
                self.assertIn("starting: 0 of 2 replicas ready", starting[0][2]["STATUS"])
                self.assertIn("of 2 replicas ready, listening on 127.0.0.1:", fields["STATUS"])
                harness.wait_for(lambda: "2 of 2" in systemd.with_key("STATUS")[-1][2]["STATUS"], 10, "both in STATUS=")
                self.assertEqual(systemd.with_key("STOPPING"), [])
                self.end(process, systemd)

    def test_replicas_and_helpers_are_told_nothing_of_it(self):
        service = self.service(count=1)
        systemd = Systemd(service)
        process = systemd.up()
        systemd.wait_for("READY")
        state = survival.settled(service, 1)
        self.assertLessEqual(set(OURS), set(environment(process.pid)))  # or this test would show nothing
        for pid in (state["gateway"]["pid"], state["keeper"]["pid"], state["replicas"][0]["pid"]):
            self.assertEqual(set(OURS) & set(environment(pid)), set())
        for name in OURS:
            self.assertEqual(harness.http(service.url, f"/env?{name}")[0], 404)
        # Nor one that another supervisor starts.
        harness.kill9(state["supervisor"]["pid"])
        survival.succeeded(service, "supervisor", state["supervisor"]["pid"])
        harness.kill9(state["replicas"][0]["pid"])
        state = survival.settled(service, 1, but=[state["replicas"][0]["pid"]])
        self.assertEqual(set(OURS) & set(environment(state["replicas"][0]["pid"])), set())
        self.end(process, systemd)

    def test_the_watchdog_hears_the_anchor_while_supervisors_die_and_over_an_upgrade(self):
        service = self.service()
        systemd = Systemd(service)
        process = systemd.up()
        systemd.wait_for("READY")
        systemd.wait_for("WATCHDOG")
        before = survival.settled(service, 2)
        since, state = time.monotonic(), before
        for _ in range(3):
            dead, moment = state["supervisor"]["pid"], time.monotonic()
            harness.kill9(dead)
            state = survival.succeeded(service, "supervisor", dead)
            _, sender, _ = systemd.wait_for("READY", moment)
            self.assertEqual(sender, state["supervisor"]["pid"])
        moment = time.monotonic()
        service.nines("upgrade", status=0)
        systemd.wait_for("READY", moment)
        time.sleep(WATCHDOG_S)
        self.assert_pinged_in_time(systemd, process.pid, since)
        after = survival.settled(service, 2)
        self.assertEqual(after["anchor"]["pid"], process.pid)
        self.assertEqual(survival.pids(after), survival.pids(before))
        self.assertEqual(set(systemd.answers), {200})
        self.assertEqual(systemd.with_key("STOPPING"), [])
        self.end(process, systemd)

    def test_after_the_anchor_was_killed_the_next_start_of_the_unit_goes_on(self):
        service = self.enterContext(harness.Service(harness.slow_service(2, extra=harness.REPLAY_SAFE)))
        first = Systemd(service)
        process = first.up()
        first.wait_for("READY")
        before = survival.settled(service, 2)
        with survival.mixed_load(service, rate=200) as load:
            survival.kill_and_wait(process.pid)
            process.wait()
            harness.wait_for(lambda: survival.status(service)["degraded"], 10, "degraded")
            second = Systemd(service)  # another address, which no environment of the one before knows
            silent = len(first.told)
            process = second.up()
            second.wait_for("READY")
            state = survival.settled(service, 2)
            since = second.wait_for("WATCHDOG")[0]
            time.sleep(2 * WATCHDOG_S)
            self.assert_pinged_in_time(second, process.pid, since)
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        self.assertEqual(state["anchor"]["pid"], process.pid)
        self.assertEqual(survival.pids(state), survival.pids(before))
        self.assertEqual(first.told[silent:], [])
        self.end(process, second)

    def test_a_watchdog_that_waits_for_another_process_is_not_fed(self):
        service = self.service(count=1)
        systemd = Systemd(service)
        process = service.start("up", env={
            "NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": str(os.getpid())})
        systemd.wait_for("READY")
        survival.settled(service, 1)
        self.end(process, systemd)
        self.assertEqual(systemd.with_key("WATCHDOG"), [])


if __name__ == "__main__":
    survival.main()
