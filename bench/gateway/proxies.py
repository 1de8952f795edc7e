"""HAProxy, nginx, Caddy and our gateway with equal settings, and the servers behind them. Stdlib only.

Equal: keep-alive on both sides, least connections (nines: power of two choices), X-Forwarded-For, health checks every 2 s
(nginx has passive ones only), one thread that works, no access log, and limits so high that nobody is refused.
`safe` is each one's equivalent of nines' `replay: safe`: a request may be sent again, whatever its method; and what somebody
who knows that proxy would set beside it.
"""
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import procfs

BIN = pathlib.Path(os.environ.get("NINES_BIN") or pathlib.Path(__file__).resolve().parents[2] / "build" / "bin")
BACKEND = str(BIN / "nines-bench-backend")
CLIENT = str(BIN / "nines-bench-client")
LOAD = str(BIN / "nines-load")
CONNECTIONS_MAX = 9000
_libc = ctypes.CDLL(None, use_errno=True)


def raise_file_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _die_with_parent():
    _libc.prctl(1, signal.SIGTERM)


def start(command, **options):
    """A child that ends when this program does, however that ends."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **options}
    return subprocess.Popen([str(part) for part in command], preexec_fn=_die_with_parent, **options)


def stop(process, seconds=10):
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port(low=None):
    """A free port of the loopback address. Given `low`, from there up: outside the range of outgoing connections, so that
    it is still free when a server is started again."""
    for port in range(low, low + 400) if low else [0]:
        with socket.socket() as one, contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", port))
            return one.getsockname()[1]
    raise RuntimeError("no free port")


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if result := condition():
                return result
        time.sleep(0.02)
    raise RuntimeError(f"{what}: not within {seconds} s")


def get(port, path, timeout=3):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Backends:
    """Three servers, each started again by its own name."""

    def __init__(self, count=3, arguments=()):
        self.arguments = list(arguments)
        self.ports, low = [], 15000 + os.getpid() % 3000
        for _ in range(count):
            self.ports.append(free_port(low))
            low = self.ports[-1] + 1
        self.processes = [None] * count
        for index in range(count):
            self.start(index)
        self.wait_ready()

    def start(self, index):
        self.processes[index] = start([BACKEND, "--port", self.ports[index], *self.arguments])

    def wait_ready(self):
        for port in self.ports:
            wait_for(lambda port=port: get(port, "/health")[0] == 200, 20, "a backend that answers")

    def pids(self):
        return [process.pid for process in self.processes]

    def close(self):
        for process in self.processes:
            stop(process)


class Proxy:
    """One running proxy. Subclasses write its configuration and say how it is started."""

    name = ""
    safe_is = ""  # what its equivalent of `replay: safe` is called
    health = "/health"

    def __init__(self, backends, safe=False, arguments=(), **special):
        """`arguments` are of the servers, for a proxy that starts them itself and needs no `backends`; `special` is for its
        configure()."""
        self.safe = safe
        self.backends = backends
        self.arguments = arguments
        self.special = special
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"nines-bench-{self.name}-"))
        self.port = free_port(12000 + os.getpid() % 2500)
        self.configure()
        with open(self.folder / "errors", "wb") as errors:
            self.process = start(self.command(), cwd=self.folder, stdout=errors, stderr=errors)
        try:
            wait_for(lambda: self.process.poll() is not None or get(self.port, "/small")[0] == 200, 30,
                     f"{self.name} that answers")
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}")
        except RuntimeError as error:
            self.close()
            raise RuntimeError(f"{error}: {self.errors}") from error

    def configure(self):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def reload(self):
        raise NotImplementedError

    def pids(self):
        return procfs.descendants(self.process.pid)

    def backend_pids(self):
        return self.backends.pids()

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def close(self):
        stop(self.process, 20)
        self.errors = (self.folder / "errors").read_text(errors="replace")[-2000:]
        shutil.rmtree(self.folder, ignore_errors=True)


class HAProxy(Proxy):
    name = "HAProxy"
    safe_is = "retry-on all"

    def configure(self):
        servers = "\n".join(f"  server s{i} 127.0.0.1:{port} check inter 2s" for i, port in enumerate(self.backends.ports))
        retry = "  retry-on all-retryable-errors\n  option redispatch\n  retries 2\n" if self.safe else ""
        # Left alone, HAProxy holds an event back for up to 40 ms: its `http-no-delay` is nginx's `proxy_buffering off`.
        self.write("haproxy.cfg", f"""
global
  nbthread 1
  maxconn {CONNECTIONS_MAX}
  stats socket {self.folder}/admin.sock mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout connect 1s
  timeout client 75s
  timeout server 60s
  timeout http-keep-alive 75s
  option http-keep-alive
  http-reuse always
  option forwardfor
frontend in
  bind 127.0.0.1:{self.port} backlog 8192
  maxconn {CONNECTIONS_MAX}
  use_backend streams if {{ path_beg /sse }}
  default_backend out
backend out
  balance leastconn
  option httpchk GET {self.health}
{retry}{servers}
backend streams
  balance leastconn
  option httpchk GET {self.health}
  option http-no-delay
{retry}{servers}
""")

    def command(self):
        return ["/usr/sbin/haproxy", "-W", "-f", "haproxy.cfg"]

    def reload(self):
        os.kill(self.process.pid, signal.SIGUSR2)


class Nginx(Proxy):
    name = "nginx"
    safe_is = "non_idempotent"

    def configure(self):
        # Left alone, it takes a server out for 10 s after one failure: three restarts within that, and there is none left.
        timing = " fail_timeout=1s" if self.safe else ""
        servers = "".join(f"    server 127.0.0.1:{port}{timing};\n" for port in self.backends.ports)
        retry = "      proxy_next_upstream error timeout http_502 http_503 non_idempotent;\n" if self.safe else ""
        self.write("nginx.conf", f"""
worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid {self.folder}/nginx.pid;
error_log {self.folder}/error.log crit;
events {{ worker_connections {CONNECTIONS_MAX * 2}; }}
http {{
  access_log off;
  client_body_temp_path {self.folder}/body;
  proxy_temp_path {self.folder}/proxy;
  fastcgi_temp_path {self.folder}/fastcgi;
  uwsgi_temp_path {self.folder}/uwsgi;
  scgi_temp_path {self.folder}/scgi;
  client_max_body_size 64m;
  client_body_buffer_size 256k;
  keepalive_requests 100000000;
  keepalive_timeout 75s;
  upstream out {{
    least_conn;
{servers}    keepalive 512;
    keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{self.port} backlog=8192;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_connect_timeout 1s;
    proxy_max_temp_file_size 0;
    location / {{
      proxy_pass http://out;
{retry}    }}
    location /sse {{
      proxy_pass http://out;
      proxy_buffering off;
    }}
  }}
}}
""")

    def command(self):
        return ["/usr/sbin/nginx", "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", self.folder / "error.log"]

    def reload(self):
        os.kill(self.process.pid, signal.SIGHUP)


class Caddy(Proxy):
    name = "Caddy"
    safe_is = "lb_retry_match"

    def configure(self):
        servers = " ".join(f"127.0.0.1:{port}" for port in self.backends.ports)
        retry = "    lb_try_duration 5s\n    lb_try_interval 25ms\n    lb_retry_match method GET POST\n    buffer_requests\n    fail_duration 2s\n" if self.safe else ""
        self.write("Caddyfile", f"""
{{
  admin unix/{self.folder}/admin.sock
  auto_https off
  log default {{
    level ERROR
  }}
}}
:{self.port} {{
  bind 127.0.0.1
  reverse_proxy {servers} {{
    lb_policy least_conn
    health_uri {self.health}
    health_interval 2s
{retry}    transport http {{
      dial_timeout 1s
      keepalive_idle_conns_per_host 512
    }}
  }}
}}
""")

    def command(self):
        return ["/usr/bin/env", "GOMAXPROCS=1", f"HOME={self.folder}", "/usr/bin/caddy", "run", "--config", "Caddyfile"]

    def reload(self):
        subprocess.run(["/usr/bin/caddy", "reload", "--config", "Caddyfile", "--force", "--address",
                        f"unix/{self.folder}/admin.sock"], cwd=self.folder, check=True, env={"HOME": str(self.folder)},
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# nines' limits, raised so that nobody is refused.
RAISED = {"in_flight": 1000, "queue": 1000, "access_log": "none"}


class Nines(Proxy):
    """`nines up` with the same server as its replicas: what users run. Its anchor, supervisor and keeper count as parts of
    the proxy, its replicas as backends."""

    name = "nines"
    safe_is = "replay: safe"

    def configure(self):
        """special: count=3, replicas={} and gateway={}, which are added to those sections."""
        safe = [{"path": "/", "replay": "safe"}] if self.safe else []
        replicas = {"count": self.special.get("count", 3), "command": [BACKEND, "--port", "{port}", *map(str, self.arguments)],
                    "health": {"path": self.health}, "stop": {"drain": "5s", "grace": "5s"}, **self.special.get("replicas", {})}
        self.write("nines.yaml", json.dumps({
            "service": "bench", "listen": f"127.0.0.1:{self.port}", "dashboard": "none", "replicas": replicas, "routes": safe,
            "gateway": {"threads": 1, **self.special.get("gateway", RAISED)}}, indent=1))

    def command(self):
        return [BIN / "nines", "-c", "nines.yaml", "--state", self.folder / "state", "up"]

    def reload(self):
        subprocess.run([BIN / "nines", "-c", "nines.yaml", "--state", self.folder / "state", "reload"], cwd=self.folder,
                       check=True, stdout=subprocess.DEVNULL, timeout=60)

    def split(self):
        pids = procfs.descendants(self.process.pid)
        backends = [pid for pid in pids if procfs.command_line(pid)[:1] == [BACKEND.encode()]]
        return [pid for pid in pids if pid not in backends], backends

    def pids(self):
        return self.split()[0]

    def backend_pids(self):
        return self.split()[1]

    def ask(self, *command):
        done = subprocess.run([BIN / "nines", "-c", "nines.yaml", "--state", self.folder / "state", *command], cwd=self.folder,
                              check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout

    def backend_ports(self):
        lines = [procfs.command_line(pid) for pid in self.backend_pids()]
        return [int(line[line.index(b"--port") + 1]) for line in lines]

    def replicas(self):
        return json.loads(self.ask("status", "--json"))["replicas"]

    def restart(self, index):
        """Returns once the new one is ready."""
        before = self.replicas()[index]
        self.ask("restart", before["name"])

        def is_new():
            after = self.replicas()[index]
            return after["state"] == "ready" and after["pid"] != before["pid"]
        wait_for(is_new, 60, f"{before['name']} that is ready again")


PEERS = (HAProxy, Nginx, Caddy)
ALL = (*PEERS, Nines)


def missing_programs():
    programs = {"haproxy": "/usr/sbin/haproxy", "nginx": "/usr/sbin/nginx", "caddy": "/usr/bin/caddy", "wrk": "/usr/bin/wrk",
                "nines": BIN / "nines", "nines-bench-backend": BACKEND, "nines-bench-client": CLIENT, "nines-load": LOAD}
    return [name for name, path in programs.items() if not os.access(path, os.X_OK)]


def versions():
    def first_line(*command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return (done.stdout.splitlines() or ["?"])[0]
    return {"HAProxy": first_line("/usr/sbin/haproxy", "-v").split()[2],
            "nginx": first_line("/usr/sbin/nginx", "-v").rsplit("/", 1)[-1],
            "Caddy": first_line("/usr/bin/caddy", "version").split()[0],
            "nines": first_line(BIN / "nines", "--version").split()[-1]}
