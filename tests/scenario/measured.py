"""A server that fails as a test wishes, clients that count what they got, and what nines says of it."""
import http.server
import json
import socketserver
import sqlite3
import threading
import time

import harness

PROBE = 1  # seconds: health.interval


class Backend:
    """A server whose answers are as the test wishes: `mode` is a status, or "share": every tenth request fails, "hang":
    until `released`, "slow", "cut": the answer breaks off. `health` is the status of the health page."""

    def __init__(self):
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                backend.count += 1
                status = backend.mode
                if status == "share":
                    status = 500 if backend.count % 10 == 0 else 200
                if self.path == "/health":
                    status = backend.health
                elif status == "hang":
                    backend.released.wait(60)
                    status = 200
                elif status == "slow":
                    time.sleep(0.7)
                    status = 200
                cut = status == "cut"
                self.send_response(200 if cut else status)
                self.send_header("Content-Length", "1000" if cut else "2")
                self.end_headers()
                self.wfile.write(b"ok")
                self.close_connection = cut

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 128
        self.mode, self.health, self.count, self.released = 200, 200, 0, threading.Event()
        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class Client(threading.Thread):
    """Some twenty requests a second, each on its own connection; what became of them."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url, self.good, self.bad, self._ended = url, 0, 0, threading.Event()

    def run(self):
        while not self._ended.wait(0.05):
            try:
                status = harness.http(self.url, "/x")[0]
            except Exception:
                status = 599
            if status < 500:
                self.good += 1
            else:
                self.bad += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self.join()


def front(backend):
    return (f"service: front\nobjective: 99.9%\nlisten: 127.0.0.1:{harness.free_port()}\nreplicas:\n"
            f"  endpoints: [\"127.0.0.1:{backend.port}\"]\n  health: {{path: /health, interval: {PROBE}s}}\n")


def report(service, *arguments, status=None):
    done = service.nines("report", "--json", *arguments, status=status)
    return done.returncode, json.loads(done.stdout)


def wait_reported(service, good, deadline=30):
    """Until all that clients have got is in the record."""
    def there():
        done = service.nines("report", "--json")
        found = json.loads(done.stdout) if done.stdout else None
        return found if found and found["requests"]["good"] >= good else None
    return harness.wait_for(there, deadline, f"{good} good requests in the record")


class Locked:
    """The ledger, as if somebody had it open and was writing."""

    def __init__(self, service):
        self._file = sqlite3.connect(service.state / "ledger.db", isolation_level=None)

    def __enter__(self):
        self._file.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, *_):
        self._file.execute("ROLLBACK")
        self._file.close()
