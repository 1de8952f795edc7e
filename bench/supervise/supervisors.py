"""supervisord, runit, monit, s6 and nines, each keeping three copies of one server up. Stdlib only.

Each is configured as somebody who knows it would, and keeps its defaults where they are no mistake. runit and s6 have no process
for logs beside them, which their users often add.
"""
import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "gateway"))
import procfs  # noqa: E402
import proxies  # noqa: E402

START_DELAY_MS, SERVICE_US = 200, 5000
LIMIT_MIB, LEAK_MIB = 128, 512
# Of the gateway in front and of nines alike: whoever is back gets requests soon, so that the next fault meets three.
QUICK_HEALTH = {"path": "/health", "interval": "250ms", "rise": 1, "fall": 2}
_low = 16000 + os.getpid() % 2000
_ports = threading.Lock()


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def next_port():
    global _low
    with _ports:
        port = proxies.free_port(_low)
        _low = port + 1
        return port


class Front:
    """`nines gateway`, the same in front of every supervisor's servers."""

    def __init__(self, ports, safe, more):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nines-bench-front-"))
        self.port = next_port()
        config = {"service": "front", "listen": f"127.0.0.1:{self.port}", "dashboard": "none",
                  "replicas": {"endpoints": [f"127.0.0.1:{port}" for port in ports], "health": QUICK_HEALTH, **more},
                  "routes": [{"path": "/", "replay": "safe"}] if safe else [],
                  "gateway": {"threads": 1, "slow_start": "0s", **proxies.RAISED}}
        (self.folder / "nines.yaml").write_text(json.dumps(config))
        with open(self.folder / "errors", "wb") as errors:
            self.process = proxies.start([proxies.BIN / "nines", "-c", "nines.yaml", "--state", self.folder / "state", "gateway"],
                                         cwd=self.folder, stdout=errors, stderr=errors)
        proxies.wait_for(lambda: proxies.get(self.port, "/small")[0] == 200, 20, "the gateway in front")

    def close(self):
        proxies.stop(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


class Supervisor:
    """One that runs, with its servers ready."""

    name = ""
    record_is = ""  # what it says of an exit is found there
    limit_is = ""  # of memory
    gives_up_says = ""  # in its record, when it no longer tries
    cycle_seconds = 1  # at most so long it looks away

    def __init__(self, limit=None, health=None, safe=True, count=3, **special):
        self.limit, self.health, self.safe, self.count, self.special = limit, health, safe, count, special
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nines-bench-supervise-"))
        self.ports = [next_port() for _ in range(count)]
        self.diary, self.broken = self.folder / "diary", self.folder / "broken"
        self.front = None
        self.configure()
        with open(self.folder / "record", "ab") as record:
            self.process = proxies.start(self.command(), cwd=self.folder, stdout=record, stderr=record)
        try:
            proxies.wait_for(lambda: self.process.poll() is not None or self.all_answer(), 60, f"{self.name} with {count} servers")
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}")
            if self.needs_front() and not special.get("alone"):
                self.front = Front(self.ports, safe, special.get("front", {}))
        except RuntimeError as error:
            record = self.record()
            self.close()
            raise RuntimeError(f"{error}: {record[-1000:]}") from error

    def configure(self):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def needs_front(self):
        return True

    def server(self, port):
        return [proxies.BACKEND, "--port", str(port), "--service-us", str(SERVICE_US), "--start-delay-ms", str(START_DELAY_MS),
                "--diary", str(self.diary), "--broken-by", str(self.broken)]

    def write(self, name, text, mode=0o644):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    @property
    def entrance(self):
        return self.front.port if self.front else self.port

    def entries(self, since=0):
        """(what, pid, ns, port) of each line of the servers' diary since one, and how many there are."""
        with contextlib.suppress(FileNotFoundError):
            lines = [line.split() for line in self.diary.read_text().splitlines()]
            return [(what, int(pid), int(ns), int(port)) for what, pid, ns, port in lines[since:]], len(lines)
        return [], 0

    def servers(self):
        """[(pid, port)] of those that run, by their ports."""
        newest = {pid: port for what, pid, _, port in self.entries()[0] if what == "listens" and self.is_place(port)}
        return sorted(((pid, port) for pid, port in newest.items() if self.is_mine(pid)), key=lambda one: one[1])

    def is_place(self, port):
        return port in self.ports

    def is_mine(self, pid):
        return str(self.diary).encode() in procfs.command_line(pid)

    def all_answer(self):
        servers = self.servers()
        return len(servers) == self.count and all(proxies.get(port, "/health")[0] == 200 for _, port in servers)

    def pids(self):
        return [pid for pid in procfs.descendants(self.process.pid) if not self.is_mine(pid)]

    def record(self):
        return (self.folder / "record").read_text(errors="replace")

    def ends_by(self):
        return signal.SIGTERM

    def close(self):
        if self.front:
            self.front.close()
        family = self.pids() if self.process.poll() is None else []
        if self.process.poll() is None:
            self.process.send_signal(self.ends_by())
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        proxies.stop(self.process)
        with contextlib.suppress(RuntimeError):  # runsvdir does not wait for those it has asked to end
            proxies.wait_for(lambda: not any(map(procfs.command_line, family)), 5, "the rest")
        for pid in [pid for _, pid, _, _ in self.entries()[0] if self.is_mine(pid)] + \
                [pid for pid in family if str(self.folder) in os.fsdecode(b" ".join(procfs.command_line(pid)))]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


class Supervisord(Supervisor):
    name = "supervisord"
    record_is = "its log"
    limit_is = "prlimit --as"
    gives_up_says = "FATAL"

    def configure(self):
        limit = ["/usr/bin/prlimit", f"--as={self.limit << 20}"] if self.limit else []
        programs = "".join(f"""
[program:server-{index}]
command={shlex.join(limit + self.server(port))}
autorestart=true
stdout_logfile={self.folder}/server-{index}.log
redirect_stderr=true
""" for index, port in enumerate(self.ports))
        self.write("supervisord.conf", f"""
[supervisord]
nodaemon=true
logfile={self.folder}/supervisord.log
pidfile={self.folder}/supervisord.pid
childlogdir={self.folder}
{programs}""")

    def command(self):
        return ["/usr/bin/supervisord", "-n", "-c", "supervisord.conf"]


def run_script(limit, server, log):
    return f"#!/bin/sh\nexec >>{shlex.quote(str(log))} 2>&1\nexec {shlex.join(limit + server)}\n"


class Runit(Supervisor):
    name = "runit"
    record_is = "nothing without a `finish` script"
    limit_is = "chpst -m"

    def configure(self):
        limit = ["/usr/bin/chpst", "-m", str(self.limit << 20)] if self.limit else []
        for index, port in enumerate(self.ports):
            self.write(f"services/server-{index}/run", run_script(limit, self.server(port), self.folder / f"{index}.log"), 0o755)

    def command(self):
        return ["/usr/bin/runsvdir", "-P", self.folder / "services"]

    def ends_by(self):
        return signal.SIGHUP

    def record(self):
        return super().record() + "".join(path.read_text(errors="replace") for path in self.folder.glob("services/*/supervise/stat"))


class S6(Supervisor):
    name = "s6"
    record_is = "s6-svdt"
    limit_is = "s6-softlimit -m"

    def configure(self):
        limit = ["/usr/bin/s6-softlimit", "-m", str(self.limit << 20)] if self.limit else []
        for index, port in enumerate(self.ports):
            self.write(f"services/server-{index}/run", run_script(limit, self.server(port), self.folder / f"{index}.log"), 0o755)

    def command(self):
        return ["/usr/bin/s6-svscan", self.folder / "services"]

    def record(self):
        return super().record() + "".join(
            subprocess.run(["/usr/bin/s6-svdt", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout
            for path in sorted(self.folder.glob("services/*")))


class Monit(Supervisor):
    name = "monit"
    record_is = "its log"
    limit_is = "if memory > …"
    cycle_seconds = 5
    gives_up_says = "unmonitor"

    def configure(self):
        checks = ""
        for index, port in enumerate(self.ports):
            pidfile = self.folder / f"server-{index}.pid"
            self.write(f"start-{index}", f"#!/bin/sh\nsetsid {shlex.join(self.server(port))} </dev/null "
                       f">>{self.folder}/server-{index}.log 2>&1 &\necho $! >{pidfile}\n", 0o755)
            self.write(f"stop-{index}", f"#!/bin/sh\nkill -KILL $(cat {pidfile})\n", 0o755)
            memory = f"  if memory > {self.limit} MB then restart\n" if self.limit else ""
            checks += f"""
check process server-{index} with pidfile {pidfile}
  start program = "{self.folder}/start-{index}"
  stop program = "{self.folder}/stop-{index}"
  if failed host 127.0.0.1 port {port} protocol http request "/health" with timeout 1 seconds for 3 cycles then restart
  if failed host 127.0.0.1 port {port} protocol http request "/work" with timeout 1 seconds for 3 cycles then restart
{memory}  if 5 restarts within 10 cycles then timeout
"""
        self.write("monitrc", f"""set daemon {self.cycle_seconds}
set log {self.folder}/record
set pidfile {self.folder}/monit.pid
set idfile {self.folder}/monit.id
set statefile {self.folder}/monit.state
{checks}""", 0o600)

    def command(self):
        return ["/usr/bin/monit", "-I", "-c", self.folder / "monitrc"]


class Nines(Supervisor):
    """nines as a supervisor only: its servers listen on their {port}, which is how it knows them, and on a fixed one for the
    gateway in front. Its own gateway does nothing but check."""

    name = "nines"
    record_is = "its events"
    limit_is = "limits: memory"

    def configure(self):
        self.port = next_port()
        places = [] if not self.needs_front() else ["--first-of", ",".join(map(str, self.ports))]
        config = {"service": "bench", "listen": f"127.0.0.1:{self.port}", "dashboard": "none",
                  "replicas": {"count": self.count, "command": [*self.server("{port}"), *places],
                               "health": {"path": "/health", **(self.health or {}), **self.special.get("more_health", {})},
                               "stop": {"drain": "1s", "grace": "2s"},
                               **({"limits": {"memory": f"{self.limit}MiB"}} if self.limit else {}),
                               **self.special.get("replicas", {})},
                  "routes": [{"path": "/", "replay": "safe"}] if self.safe else [],
                  "gateway": {"threads": 1, "slow_start": "0s", **proxies.RAISED}}
        self.write("nines.yaml", json.dumps(config, indent=1))

    def command(self):
        return [proxies.BIN / "nines", "-c", "nines.yaml", "--state", self.folder / "state", "up"]

    def ledger(self):
        """[{at_ns, kind, target, pid, a, b, text}], which the keeper has written so far."""
        names = ("at_ns", "kind", "target", "pid", "a", "b", "text")
        with contextlib.closing(sqlite3.connect(f"file:{self.folder}/state/ledger.db?mode=ro", uri=True)) as ledger:
            rows = ledger.execute("SELECT monotonic_ns, kind, target, pid, a, b, text FROM events ORDER BY monotonic_ns").fetchall()
        return [dict(zip(names, row)) for row in rows]

    def record(self):
        with contextlib.suppress(sqlite3.Error):
            return super().record() + "".join(f"{one['kind']} {one['text']}\n" for one in self.ledger())
        return super().record()


class NinesUp(Nines):
    """The whole product: clients come to its own gateway, which the supervisor tells who has exited."""

    name = "nines up"

    def needs_front(self):
        return False

    def is_place(self, port):
        return port != 0


PEERS = (Supervisord, Runit, Monit, S6)
ALL = (NinesUp, Nines, *PEERS)


def missing_programs():
    programs = {"supervisor": "/usr/bin/supervisord", "runit": "/usr/bin/runsvdir", "monit": "/usr/bin/monit",
                "s6": "/usr/bin/s6-svscan", "nines": proxies.BIN / "nines", "nines-bench-backend": proxies.BACKEND,
                "nines-load": proxies.LOAD}
    return [name for name, path in programs.items() if not os.access(path, os.X_OK)]


def versions():
    packages = {"runit": "runit", "s6": "s6", "supervisord": "supervisor", "monit": "monit"}
    found = {}
    for name, package in packages.items():
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], stdout=subprocess.PIPE, text=True, check=False)
        found[name] = done.stdout or "?"
    done = subprocess.run([str(proxies.BIN / "nines"), "--version"], stdout=subprocess.PIPE, text=True, check=True)
    return {"nines": done.stdout.split()[-1], **found}
