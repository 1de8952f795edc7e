"""What scenario tests share: a service in a folder of its own, load on it, and nothing left behind. Stdlib only.

    import harness
    class Survives(unittest.TestCase):
        def test_kill(self):
            with harness.Service(harness.slow_service()) as service:
                service.up()
                with harness.Load(service.url, get=["/x"], post={"/y": "{}"}, rate=400) as load:
                    harness.kill9(service.replicas()[0]["pid"])
                    service.wait_ready(3)
                self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
    if __name__ == "__main__":
        harness.main()

NINES_BIN names the folder with the built programs. Whatever happens, a Service runs `nines down` at its end, fails when
that leaves anything behind, and kills, by id, what it started itself: processes that carry its tag or work below its
folder.
"""
import contextlib
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BIN = pathlib.Path(os.environ.get("NINES_BIN", ROOT / "build" / "bin")).resolve()
SLOW_SERVER = HERE / "slow_server.py"
ODD_SERVER = HERE / "odd_server.py"
PYTHON = "/usr/bin/python3"
# CTest kills a test after 300 s, and a killed test cannot clean up.
LIMIT = 270


class _Timed(unittest.TextTestResult):
    """Says how long each test took."""

    def getDescription(self, test):
        whole = getattr(test, "test_case", test)  # a subtest has one
        name = getattr(whole, "_testMethodName", str(whole))  # what failed around a class has none
        return name + (f" {test._subDescription()}" if whole is not test else "")

    def startTest(self, test):
        self._began = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        self.stream.write(f"{time.monotonic() - self._began:.1f} s, ")
        super().addSuccess(test)


def main():
    """unittest.main() that still cleans up when it is stopped or takes too long."""
    def stop(number, _frame):
        raise SystemExit(f"stopped by {signal.Signals(number).name}"
                         + (f": more than {LIMIT} s" if number == signal.SIGALRM else ""))
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT)
    unittest.main(verbosity=2, testRunner=unittest.TextTestRunner(verbosity=2, resultclass=_Timed))


def wait_for(predicate, deadline, what):
    """Returns the first true value of predicate(); fails with `what` after `deadline` seconds. Errors of the system,
    such as a refused connection, count as not yet."""
    end = time.monotonic() + deadline
    last = None
    while True:
        try:
            last = predicate()
            if last:
                return last
        except OSError as error:
            last = error
        if time.monotonic() >= end:
            raise AssertionError(f"not within {deadline} s: {what} (last seen: {last!r})")
        time.sleep(0.02)


_port_candidates = itertools.count(os.getpid() * 97)  # each process begins elsewhere


def free_port():
    """A loopback port that nobody holds now, that the kernel hands to no outgoing connection, and that is given to
    nobody else in this process."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        low = int(file.read().split()[0])
    start, span = 10000, min(low, 20000) - 10000  # replicas get 20000 to 29999
    for candidate in _port_candidates:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", start + candidate % span))
            return start + candidate % span


def kill9(pid):
    os.kill(pid, signal.SIGKILL)


def alive(pid):
    """A zombie is dead."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def http(url, path="/", method="GET", body=None, headers=None, timeout=5):
    """One request on a connection of its own: (status, headers, body as bytes)."""
    import http.client
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


class Request(threading.Thread):
    """http() in the background."""

    def __init__(self, *arguments, timeout=30, **options):
        super().__init__(daemon=True)
        self._ask = lambda: http(*arguments, timeout=timeout, **options)
        self._answer = None
        self.start()

    def run(self):
        try:
            self._answer = self._ask()
        except Exception as error:  # for whoever waits for the answer
            self._answer = error

    def done(self):
        return not self.is_alive()

    def answer(self):
        """Waits for it: (status, headers, body)."""
        self.join()
        if isinstance(self._answer, Exception):
            raise AssertionError(f"the request was not answered: {self._answer!r}")
        return self._answer


def tag_of(state):
    """What NINES_TAG contains in every process of the service with this state folder: the hash in its run folder's
    name, FNV-1a of the path. lifecycle_test.py holds it against a running service."""
    hashed = 0xcbf29ce484222325
    for byte in os.fsencode(state):
        hashed = (hashed ^ byte) * 0x100000001b3 % 2**64
    return f"{hashed:016x}"[-12:]


def _belongs(pid, tag, folder):
    """Whether a process carries this tag, or works below the folder."""
    with contextlib.suppress(OSError):
        for variable in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if variable.startswith(b"NINES_TAG=") and os.fsencode(tag) in variable:
                return True
    with contextlib.suppress(OSError):
        cwd = os.readlink(f"/proc/{pid}/cwd").removesuffix(" (deleted)")
        return folder is not None and (cwd == str(folder) or cwd.startswith(f"{folder}/"))
    return False


def stray_processes(tag, folder=None):
    """{pid: command line} of the live processes with NINES_TAG=…tag… in their environment, or whose working directory
    is `folder` or below."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid() and alive(entry) and _belongs(entry, tag, folder):
            with contextlib.suppress(OSError):
                command = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ")
                found[int(entry)] = command.decode(errors="replace").strip()
    return found


REPLAY_SAFE = "routes:\n  - {path: /, replay: safe}\n"


def service_yaml(command, count=3, port=None, name="service", startup="60s", extra=""):
    """A nines.yaml that runs the command; `extra` is YAML to append, "  stop: …" or "routes: …"."""
    return f"""service: {name}
objective: 99.9%
listen: 127.0.0.1:{port or free_port()}
replicas:
  count: {count}
  command: {json.dumps(list(map(str, command)))}
  health: {{path: /health, interval: 200ms, timeout: 1s, rise: 1, fall: 2, startup: {startup}}}
{extra}"""


def slow_service(count=3, delay=0.02, name="slow", **others):
    """A nines.yaml with slow_server.py behind it."""
    return service_yaml([PYTHON, SLOW_SERVER, "{port}", "--delay", delay], count, name=name, **others)


def odd_service(*options, count=2, name="odd", **others):
    """A nines.yaml with odd_server.py behind it."""
    return service_yaml([PYTHON, ODD_SERVER, "{port}", *options], count, name=name, **others)


class Service:
    """A folder with a nines.yaml, and the commands a user would type there; `options` go before each command."""

    def __init__(self, yaml, files=None, options=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nines-")).resolve()
        self.state = self.folder / ".nines"
        self.tag = tag_of(self.state)
        self.options = list(options)
        self.write("nines.yaml", yaml)
        for name, content in (files or {}).items():
            self.write(name, content)
        listen = next((line.split(": ", 1)[1] for line in yaml.splitlines() if line.startswith("listen: ")), None)
        self.url = f"http://{listen.strip()}" if listen else None
        self._background = []

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def nines(self, *arguments, timeout=60, status=None):
        """Runs `nines ARGUMENTS` in the folder; `status`, if given, is the exit status that is expected."""
        done = subprocess.run([BIN / "nines", *self.options, *map(str, arguments)], cwd=self.folder,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        if status is not None and done.returncode != status:
            raise AssertionError(f"nines {' '.join(map(str, arguments))} ended with {done.returncode}, not {status}\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def up(self, *arguments, timeout=90):
        """`nines up --detach`, which returns once the service answers."""
        return self.nines("up", "--detach", *arguments, timeout=timeout, status=0)

    def up_background(self, *arguments):
        """`nines up` in the foreground of a process of its own; its output goes to up.log."""
        return self.start("up", *arguments)

    def start(self, *arguments, under=(), env=None):
        """Any command that stays, as a process of its own; its output goes to up.log. `under`: a command that executes
        what stands behind it; `env`: variables besides ours."""
        with open(self.folder / "up.log", "ab") as log:
            process = subprocess.Popen([*under, BIN / "nines", *self.options, *map(str, arguments)], cwd=self.folder,
                                       env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, start_new_session=True)
        self._background.append(process)
        return process

    def down(self, timeout=60, status=None):
        return self.nines("down", timeout=timeout, status=status)

    def status(self):
        """(exit status, parsed `nines status --json` or None when it printed none)."""
        done = self.nines("status", "--json", timeout=20)
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError:
            return done.returncode, None

    def replicas(self):
        return (self.status()[1] or {}).get("replicas", [])

    def replica(self, name):
        return next(replica for replica in self.replicas() if replica["name"] == name)

    def events(self, after=0):
        """The last events, oldest first, without those up to number `after`."""
        return [event for event in self.status()[1]["events"] if event["number"] > after]

    def last_event(self):
        return self.events()[-1]["number"]

    def ready(self):
        return [replica for replica in self.replicas() if replica["state"] == "ready"]

    def wait_ready(self, count, deadline=60):
        """Waits until exactly `count` replicas are ready, and returns them."""
        def enough():
            ready = self.ready()
            return ready if len(ready) == count else None
        return wait_for(enough, deadline, f"{count} replicas ready")

    def wait_replaced(self, name, pid, deadline=60):
        """Waits until the replica of that name is ready with another process than this, and returns it."""
        def there():
            replica = self.replica(name)
            return replica if replica["state"] == "ready" and replica["pid"] != pid else None
        return wait_for(there, deadline, f"{name} ready with another pid than {pid}")

    def wait_state(self, name, state, deadline=30):
        """Waits until the replica of that name is in that state, and returns it."""
        def there():
            replica = self.replica(name)
            return replica if replica["state"] == state else None
        return wait_for(there, deadline, f"{name} {state}")

    def run_folders(self):
        """Where its sockets are; exists while it runs, in one of three places."""
        places = [pathlib.Path("/run"), pathlib.Path("/tmp"), pathlib.Path(os.environ.get("XDG_RUNTIME_DIR", "/run"))]
        return sorted({found for place in places for found in place.glob(f"nines-*{self.tag}")})

    def stray_processes(self):
        return stray_processes(self.tag, self.folder)

    def logs(self, lines=40):
        """The end of every log in the folder, for a failure's message."""
        text = ""
        for path in sorted({*self.folder.glob("*.log"), *self.state.glob("**/*.log")}):
            with contextlib.suppress(OSError):
                end = path.read_text(errors="replace").splitlines()[-lines:]
                text += f"--- {path.relative_to(self.folder)}\n" + "\n".join(end) + "\n"
        return text

    def close(self):
        """Ends it and removes everything. Fails when `nines down` had not done the same."""
        problem = self._down_as_it_should()
        end = time.monotonic() + 20
        while (strays := self._stop_ours()) and time.monotonic() < end:
            time.sleep(0.05)
        for process in self._background:
            process.wait()
        for left in self.run_folders():  # a supervisor that was killed could not remove it
            shutil.rmtree(left, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        if strays:
            problem = f"could not be killed: {strays}"
        if problem:
            raise AssertionError(problem)

    def _down_as_it_should(self):
        """What was wrong with `nines down`, or None. A service that is not running is no problem, whatever it left."""
        try:
            done = self.down(timeout=20)
        except subprocess.TimeoutExpired:
            return "nines down does not end"
        if done.returncode == 3:
            return None
        if done.returncode != 0:
            return f"nines down ended with {done.returncode}: {done.stderr}"
        with contextlib.suppress(AssertionError):
            wait_for(lambda: all(p.poll() is not None for p in self._background) and not self.stray_processes(), 5, "")
        left = self.stray_processes()
        return f"nines down left processes: {left}" if left else None

    def _stop_ours(self):
        """Kills what is left; returns what was there. A pidfd is held while looking, so no id can change hands."""
        for process in self._background:
            if process.poll() is None:
                process.kill()
        strays = self.stray_processes()
        for pid in strays:
            with contextlib.suppress(OSError):
                pidfd = os.pidfd_open(pid)
                try:
                    if _belongs(pid, self.tag, self.folder):
                        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                finally:
                    os.close(pidfd)
        return strays

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            with contextlib.suppress(Exception):
                print(f"\n{self.status()}\n{self.logs()}", file=sys.stderr)
        try:
            self.close()
        except AssertionError:
            if kind is None:  # else it would hide the failure that matters
                raise


class Load:
    """`nines-load` in the background. After stop(), or the end of the with block, `result` is its report."""

    def __init__(self, url, get=(), post=None, connections=24, rate=None, duration="250s", requests=None, timeout="5s",
                 count_header=None):
        self._command = [BIN / "nines-load", "--json", "--url", url, "--connections", str(connections),
                         "--duration", duration, "--timeout", timeout]
        for path in get:
            self._command += ["--get", path]
        for path, body in (post or {}).items():
            self._command += ["--post", f"{path}={body}"]
        for option, value in (("--rate", rate), ("--requests", requests), ("--count-header", count_header)):
            if value is not None:
                self._command += [option, str(value)]
        self._process = None
        self.result = None

    def start(self):
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)
        return self

    def wait(self, timeout=260):
        """Until --duration or --requests is reached."""
        out, errors = self._process.communicate(timeout=timeout)
        if self._process.returncode not in (0, 1):
            raise AssertionError(f"nines-load ended with {self._process.returncode}: {errors}")
        self.result = json.loads(out)
        return self.result

    def stop(self):
        """Ends it early; requests in flight are completed first."""
        if self.result is None:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGINT)
            self.wait(timeout=30)
        return self.result

    def run_for(self, seconds):
        """Lets it run, but fails at once when it has ended by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=seconds)
            raise AssertionError(f"nines-load has ended: {self.wait()}")

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        elif self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def kill_with_requests_in_flight(service, at_least=4, deadline=30):
    """kill -9 of the replica with the most requests in flight, at a moment when they are `at_least` so many. Returns
    the replica as it was right before, and the moment of the kill (time.time())."""
    def busiest():
        replica = max(service.ready(), key=lambda r: r["in_flight"], default=None)
        if not replica or replica["in_flight"] < at_least:
            return None
        kill9(replica["pid"])
        return replica, time.time()
    return wait_for(busiest, deadline, f"{at_least} requests in flight on a replica")


def describe(result):
    """A load result in a few lines, for a failure's message."""
    head = {key: value for key, value in result.items() if key != "failures"}
    return "\n".join([json.dumps(head), *(json.dumps(failure) for failure in result["failures"][:10])])
