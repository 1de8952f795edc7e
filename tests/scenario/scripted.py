"""The test's side of scripted_server.py: a client of plain sockets that sees every byte and how a connection ends."""
import contextlib
import json
import socket
import struct
import time

import harness
from scripted_server import pattern  # noqa: F401: what ["fill", N] sends

SERVER = harness.HERE / "scripted_server.py"
DEADLINE = 20
CHUNKED = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nX-Served-By: {pid}\r\n\r\n"


def service(count=1, extra=""):
    # Scripts that wait for ever hold nobody up when the service goes down.
    stop = "  stop: {drain: 1s, grace: 5s}\n"
    command = [harness.PYTHON, SERVER, "{port}"]
    return harness.Service(harness.service_yaml(command, count, name="scripted", extra=stop + extra))


def chunk(text):
    """As bytes on the wire; of an empty text the last chunk."""
    return f"{len(text.encode()):x}\r\n{text}\r\n"


def _ask(port, path):
    return harness.http(f"http://127.0.0.1:{port}", path, timeout=DEADLINE)[2]


def open_gate(replica, name):
    _ask(replica["port"], f"/open?{name}")


def notes_of(replica, path):
    """What the replica noted of the requests for this path."""
    return [note for note in json.loads(_ask(replica["port"], "/seen")) if note["path"] == path]


def note_of(replica, path):
    """The last of them; None if it had none."""
    return (notes_of(replica, path) or [None])[-1]


def wait_note(replica, path, ready=lambda note: True, deadline=DEADLINE):
    """Waits until the replica has noted this request, and the note is as it should be; returns it."""
    def noted():
        noted.last = note_of(replica, path)
        return noted.last if noted.last and ready(noted.last) else None
    try:
        return harness.wait_for(noted, deadline, f"the note of {path}")
    except AssertionError as late:
        raise AssertionError(f"{late}: {noted.last}") from None


def holder(replicas, path, deadline=DEADLINE):
    """Waits until one of them has the request; returns it and the others."""
    def found():
        return next((replica for replica in replicas if note_of(replica, path)), None)
    replica = harness.wait_for(found, deadline, f"a replica that has {path}")
    return replica, [other for other in replicas if other is not replica]


class Client:
    """One connection. Every wait for the other side ends after DEADLINE with TimeoutError."""

    def __init__(self, url, receive_buffer=None):
        host, port = url.removeprefix("http://").split(":")
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(DEADLINE)
        self.sock.connect((host, int(port)))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def ask(self, path, *steps, method="GET", version="1.1", fields=""):
        """Sends a request's head; `fields` are further lines, each with its CRLF."""
        self.send(f"{method} {path} HTTP/{version}\r\nHost: test\r\nX-Steps: {json.dumps(steps)}\r\n{fields}\r\n")

    def receive(self):
        """Waits for more. ConnectionError when the connection has ended, as it ended."""
        received = self.sock.recv(262144)
        if not received:
            raise ConnectionAbortedError(f"ended after {bytes(self.buffer[-200:])!r}")
        self.buffer += received

    def take(self, size):
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken

    def read_until(self, end):
        """All up to and with these bytes."""
        while (found := self.buffer.find(end)) < 0:
            self.receive()
        return self.take(found + len(end))

    def read(self, size):
        while len(self.buffer) < size:
            self.receive()
        return self.take(size)

    def head(self):
        """(status, fields), names in lower case. Interim answers (1xx, but 101) are passed over."""
        while True:
            first, *lines = self.read_until(b"\r\n\r\n").decode().split("\r\n")[:-2]
            status = int(first.split(" ")[1])
            if status >= 200 or status == 101:
                break
        return status, {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}

    def chunk(self):
        """The next chunk's content; b"" is the last chunk."""
        size = int(self.read_until(b"\r\n")[:-2], 16)
        content = self.read(size) if size else b""
        if self.read(2) != b"\r\n":
            raise AssertionError("a chunk does not end with CRLF")
        return content

    def chunks(self, until):
        """The content of chunks up to and with `until`, which is expected at the end of one."""
        content = b""
        while not content.endswith(until):
            piece = self.chunk()
            if not piece:
                raise AssertionError(f"the answer has ended after {content[-200:]!r}")
            content += piece
        return content

    def body(self, fields):
        """The whole body of an answer that says how it is framed."""
        if "content-length" in fields:
            return self.read(int(fields["content-length"]))
        content = []
        while piece := self.chunk():
            content.append(piece)
        return b"".join(content)

    def rest(self):
        """(all bytes that still come, "end" or "reset")"""
        found = self.take(len(self.buffer))
        try:
            while received := self.sock.recv(262144):
                found += received
        except ConnectionResetError:
            return found, "reset"
        return found, "end"

    def reset(self):
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def wait_still(look, seconds=0.5, deadline=DEADLINE):
    """Waits until look() has given the same value, and one that is true, for that long; returns it."""
    end = time.monotonic() + deadline
    value, since = look(), time.monotonic()
    while not value or time.monotonic() - since < seconds:
        if time.monotonic() > end:
            raise AssertionError(f"it never comes to rest; now {value!r}")
        time.sleep(0.02)
        if (now := look()) != value:
            value, since = now, time.monotonic()
    return value
