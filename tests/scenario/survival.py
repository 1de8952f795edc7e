"""What the tests have in common that kill nines' own processes: a look at the service that survives its being restarted,
the record of what happened, and what a process holds. Stdlib only.

Replicas of an anchor that was killed go to the next subreaper. That is a process of ours (main() below), so that no test
depends on how well the first process of this machine reaps.
"""
import collections
import contextlib
import ctypes
import datetime
import http.client
import json
import os
import pathlib
import signal
import socket
import sqlite3
import sys
import threading
import time

import harness

PR_SET_CHILD_SUBREAPER = 36
PARTS = ("anchor", "supervisor", "keeper", "gateway")


def reap_for(run):
    """Calls run() in a child, reaps whatever loses its parent meanwhile, and ends as the child does."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        return run()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda n, _frame: os.kill(child, n))
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def main():
    """harness.main() below a subreaper."""
    reap_for(harness.main)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(service, target, method="GET", body=None, timeout=5):
    """The answer of the control socket, parsed. OSError while nobody answers."""
    with contextlib.closing(_UnixConnection(service.state / "run" / "control.sock", timeout)) as connection:
        try:
            connection.request(method, target, body)
            response = connection.getresponse()
            return json.loads(response.read())
        except (http.client.HTTPException, ValueError) as broken:  # the supervisor was killed in the middle
            raise ConnectionError(f"no whole answer: {broken!r}") from broken


def status(service, deadline=20):
    """Of whichever supervisor answers."""
    return harness.wait_for(lambda: ask(service, "/v1/status"), deadline, "a supervisor that answers")


def pids(state):
    """{replica: pid}"""
    return {replica["name"]: replica["pid"] for replica in state["replicas"]}


def settled(service, count, deadline=60, but=(), elsewhere=False):
    """Waits until nothing is to be mended and `count` replicas are ready; returns the status. `but`: pids of parts
    that were killed, and so are not what the status may show. `elsewhere`: replicas are endpoints, without a pid."""
    def there():
        state = ask(service, "/v1/status")
        parts = [state[part]["pid"] for part in PARTS]
        ready = [replica for replica in state["replicas"] if replica["state"] == "ready"]
        whole = None not in {*parts, *(replica["pid"] for replica in ready if not elsewhere)} and not set(but) & {*parts, *pids(state).values()}
        if whole and len(ready) == count and state["state"] == "running" and not state["degraded"] \
                and not state["renewing"]:
            return state
        there.last = {key: state[key] for key in ("state", "problems", "renewing", *PARTS)} | {"pids": pids(state)}
        return None
    there.last = None
    try:
        return harness.wait_for(there, deadline, f"the service whole, with {count} replicas ready")
    except AssertionError as late:
        raise AssertionError(f"{late}; last seen: {there.last}") from None


def counted_so_far(service):
    """How many requests the gateway has counted: those of nines itself are not among them."""
    return ask(service, "/v1/status")["gateway"]["requests"]


def succeeded(service, part, pid, deadline=20):
    """Waits until another process than `pid` is that part, and returns the status."""
    def there():
        state = ask(service, "/v1/status")
        return state if state[part]["pid"] not in (None, pid) else None
    return harness.wait_for(there, deadline, f"another {part} than {pid}")


def kill_and_wait(pid, number=signal.SIGKILL):
    """Returns once it is dead, if only a zombie."""
    os.kill(pid, number)
    harness.wait_for(lambda: not harness.alive(pid), 20, f"the end of {pid}")


def events(service):
    """All that the log of the shared table keeps."""
    found, after = [], 0
    while True:
        answer = ask(service, f"/v1/events?after={after}&limit=1000")
        if not answer["events"]:
            return found
        found += answer["events"]
        after = answer["next"]


def recorded(service):
    """The rows of the ledger, oldest first. OSError while there is none."""
    try:
        ledger = sqlite3.connect(f"file:{service.state}/ledger.db?mode=ro", uri=True, timeout=20)
        ledger.row_factory = sqlite3.Row
        with contextlib.closing(ledger):
            return [dict(row) for row in ledger.execute("SELECT * FROM events ORDER BY seq")]
    except sqlite3.OperationalError as not_yet:
        raise OSError(str(not_yet)) from not_yet


def record(service, deadline=20):
    """The ledger, once it has all that the log has."""
    last = events(service)[-1]["number"]
    def there():
        rows = recorded(service)
        return rows if rows and rows[-1]["number"] >= last else None
    return harness.wait_for(there, deadline, f"event {last} in the ledger")


def gaps(rows):
    """Numbers of each table's log that the ledger lacks or has twice."""
    numbers = collections.defaultdict(list)
    for row in rows:
        numbers[row["table_id"]].append(row["number"])
    wrong = []
    for table, found in numbers.items():
        wanted = list(range(found[0], found[0] + len(found)))
        wrong += [(table, number) for number, right in zip(found, wanted) if number != right][:3]
    return wrong


def exits(rows):
    """{(replica, pid): [how it ended, …]} of every exit that is recorded."""
    found = collections.defaultdict(list)
    for row in rows:
        if row["kind"] == "exited":
            found[row["target"], row["pid"]].append(row["text"])
    return dict(found)


def restarts_took(rows, exited="supervisor_exited", started="supervisor_started"):
    """Milliseconds from each end that nobody had asked for to the next start."""
    took, ended = [], None
    for row in sorted(rows, key=lambda row: row["monotonic_ns"]):
        if row["kind"] == exited and row["b"] == 1:
            ended = row["monotonic_ns"]
        elif row["kind"] == started and ended is not None:
            took.append((row["monotonic_ns"] - ended) / 1e6)
            ended = None
    return took


def in_words(milliseconds):
    if not milliseconds:
        return "none"
    ordered = sorted(milliseconds)
    return f"{len(ordered)} times, median {ordered[len(ordered) // 2]:.1f} ms, max {ordered[-1]:.1f} ms"


def say(text):
    """A measured number, in the middle of what unittest prints."""
    print(f"[{text}]", end=" ", file=sys.stderr, flush=True)


def stat_of(pid):
    """The fields of /proc/PID/stat from the third on, or None."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def children(pid):
    """{pid: state} of the processes whose parent it is."""
    found = {}
    for entry in os.listdir("/proc"):
        fields = stat_of(entry) if entry.isdigit() else None
        if fields and int(fields[1]) == pid:
            found[int(entry)] = fields[0]
    return found


def tagged(service):
    """{part or replica: [pid, …]} of the leaders of a session that live, by the tag in their environment."""
    found = collections.defaultdict(list)
    for pid in harness.stray_processes(service.tag):
        fields = stat_of(pid)
        with contextlib.suppress(OSError, StopIteration):
            variables = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            tag = next(v for v in variables if v.startswith(b"NINES_TAG=")).decode().split("/")
            if fields and int(fields[3]) == pid:
                found[tag[1]].append(pid)
    return dict(found)


def leaders(service):
    """The same of the replicas alone."""
    return {name: found for name, found in tagged(service).items() if name not in PARTS}


def one_gateway(service, deadline=20):
    """Waits until the gateway that was replaced has finished what it had."""
    harness.wait_for(lambda: len(tagged(service).get("gateway", [])) == 1, deadline, "one gateway alone")


def descriptors(pid):
    """Counter of what it has open, without what tells one from the next."""
    found = collections.Counter()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found[os.readlink(f"/proc/{pid}/fd/{entry}").partition(":[")[0]] += 1
    return found


def resident_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def memory_files(service, state):
    """Inodes of the memory files that any process of the service has open."""
    found = set()
    for pid in {*harness.stray_processes(service.tag), *(state[part]["pid"] for part in PARTS)}:
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                path = f"/proc/{pid}/fd/{fd}"
                if os.readlink(path).startswith("/memfd:"):
                    found.add(os.stat(path).st_ino)
    return found


def mixed_load(service, **options):
    """24 users, every other request a POST."""
    return harness.Load(service.url, get=["/x"], post={"/y": "{}"}, connections=24, **{"rate": 400, **options})


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Prober(threading.Thread):
    """New connections with one request each, one after another without a pause. `answers`: (begun, ended), in
    time.monotonic(); `refused`: how many were not let in; `broken`: those that were, and got no answer."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self._url = url
        self._ended = threading.Event()
        self.answers, self.refused, self.broken = [], [], []

    def run(self):
        host, _, port = self._url.removeprefix("http://").rpartition(":")
        while not self._ended.is_set():
            begun = time.monotonic()
            try:
                with socket.create_connection((host, int(port)), timeout=10) as connection:
                    connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    good = connection.recv(65536).startswith(b"HTTP/1.1 200")
                    while connection.recv(65536):
                        pass
                (self.answers if good else self.broken).append((begun, time.monotonic()))
            except ConnectionRefusedError:
                self.refused.append(begun)
            except OSError:
                self.broken.append((begun, time.monotonic()))

    def first_after(self, moment, deadline=20):
        """Seconds from that moment to the end of the first answer to a request that was begun after it."""
        answer = harness.wait_for(lambda: next((a for a in list(self.answers) if a[0] >= moment), None), deadline,
                                  "an answer on a new connection")
        return answer[1] - moment

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self.join()
