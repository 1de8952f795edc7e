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

NINES_BIN names the folder with the built programs. Whatever happens, a Service runs `nines down` at its end and then
kills, by id, what it started itself: processes that carry its tag or work below its folder.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BIN = pathlib.Path(os.environ.get("NINES_BIN", ROOT / "build" / "bin")).resolve()
SLOW_SERVER = HERE / "slow_server.py"
PYTHON = "/usr/bin/python3"
# CTest kills a test after 300 s, and a killed test cannot clean up.
LIMIT = 270


def main():
    """unittest.main() that still cleans up when it is stopped or takes too long."""
    def stop(number, _frame):
        raise SystemExit(f"stopped by {signal.Signals(number).name}"
                         + (f": more than {LIMIT} s" if number == signal.SIGALRM else ""))
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT)
    unittest.main(verbosity=2)


def wait_for(predicate, deadline, what):
    """Returns the first true value of predicate(); fails with `what` after `deadline` seconds. Errors of the system, such
    as a refused connection, count as not yet."""
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


def free_ports(count):
    """Loopback ports that nobody holds now and that the kernel hands to no outgoing connection."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        low = int(file.read().split()[0])
    ports = []
    # Replicas get 20000 to 29999, so stay below. Each process begins elsewhere.
    start, span = 10000, min(low, 20000) - 10000
    offset = os.getpid() * 97
    while len(ports) < count:
        port = start + offset % span
        offset += 1
        with socket.socket() as probe:
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                ports.append(port)
    return ports


def free_port():
    return free_ports(1)[0]


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


def _belongs(pid, state, folder):
    """Whether a process carries the tag of this state folder, or works below the folder."""
    with contextlib.suppress(OSError):
        for variable in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if variable.startswith(b"NINES_TAG=") and os.fsencode(state) in variable:
                return True
    with contextlib.suppress(OSError):
        cwd = os.readlink(f"/proc/{pid}/cwd").removesuffix(" (deleted)")
        return folder is not None and (cwd == str(folder) or cwd.startswith(f"{folder}/"))
    return False


def stray_processes(tag, folder=None):
    """{pid: command line} of the live processes with NINES_TAG=…tag… in their environment, or whose working directory is
    `folder` or below."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid() and alive(entry) and _belongs(entry, tag, folder):
            with contextlib.suppress(OSError):
                command = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ")
                found[int(entry)] = command.decode(errors="replace").strip()
    return found


def slow_service(count=3, delay=0.02, port=None, name="slow", extra=""):
    """A nines.yaml with slow_server.py behind it; `extra` is YAML to append."""
    command = json.dumps([PYTHON, str(SLOW_SERVER), "{port}", "--delay", str(delay)])
    return f"""service: {name}
objective: 99.9%
listen: 127.0.0.1:{port or free_port()}
replicas:
  count: {count}
  command: {command}
  health: {{path: /health, interval: 200ms, timeout: 1s, rise: 1, fall: 2, startup: 60s}}
{extra}"""


class Service:
    """A folder with a nines.yaml, and the commands a user would type there."""

    def __init__(self, yaml, files=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nines-")).resolve()
        self.state = self.folder / ".nines"
        self.yaml = yaml
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
        done = subprocess.run([BIN / "nines", *map(str, arguments)], cwd=self.folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout)
        if status is not None and done.returncode != status:
            raise AssertionError(f"nines {' '.join(map(str, arguments))} ended with {done.returncode}, not {status}\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def up(self, *arguments, timeout=90):
        """`nines up --detach`, which returns once the service answers."""
        return self.nines("up", "--detach", *arguments, timeout=timeout, status=0)

    def up_background(self, *arguments):
        """`nines up` in the foreground of a process of its own; its output goes to up.log."""
        with open(self.folder / "up.log", "ab") as log:
            process = subprocess.Popen([BIN / "nines", "up", *arguments], cwd=self.folder, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, start_new_session=True)
        self._background.append(process)
        return process

    def down(self, timeout=60):
        return self.nines("down", timeout=timeout)

    def status(self):
        """(exit status, parsed `nines status --json` or None when it printed none)."""
        done = self.nines("status", "--json", timeout=20)
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError:
            return done.returncode, None

    def replicas(self):
        return (self.status()[1] or {}).get("replicas", [])

    def ready(self):
        return [replica for replica in self.replicas() if replica["state"] == "ready"]

    def wait_ready(self, count, deadline=60):
        """Waits until exactly `count` replicas are ready, and returns them."""
        def enough():
            ready = self.ready()
            return ready if len(ready) == count else None
        return wait_for(enough, deadline, f"{count} replicas ready")

    def stray_processes(self):
        return stray_processes(str(self.state), self.folder)

    def logs(self, lines=40):
        """The end of every log in the folder, for a failure's message."""
        text = ""
        for path in sorted({*self.folder.glob("*.log"), *self.state.glob("**/*.log")}):
            with contextlib.suppress(OSError):
                end = path.read_text(errors="replace").splitlines()[-lines:]
                text += f"--- {path.relative_to(self.folder)}\n" + "\n".join(end) + "\n"
        return text

    def close(self):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            self.down()
        end = time.monotonic() + 20
        while (strays := self._stop_ours()) and time.monotonic() < end:
            time.sleep(0.05)
        for process in self._background:
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        if strays:
            raise AssertionError(f"could not be killed: {strays}")

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
                    if _belongs(pid, str(self.state), self.folder):
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
        self.close()


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

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        elif self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def describe(result):
    """A load result in a few lines, for a failure's message."""
    head = {key: value for key, value in result.items() if key != "failures"}
    return "\n".join([json.dumps(head), *(json.dumps(failure) for failure in result["failures"][:10])])
