#!/usr/bin/python3
"""A replica that does to each request, byte by byte, what the request says: scripted_server.py PORT

GET /open?GATE    opens a gate of this process, for good  } asked at the replica's own port, past nines: gates and
GET /seen         what this process has noted, as JSON    } notes belong to one process
anything else     follows X-Steps, a JSON list of:

["send", TEXT]    sends it as it stands: head, chunks and all. "{pid}" in it is replaced
["repeat", N, TEXT]   sends it N times
["fill", N]       sends N bytes of pattern() as fast as they are taken; the note `filled` is how many were so far
["drip", N, SECONDS, TEXT]   sends it N times, with that pause after each
["wait", GATE]    until the gate is open
["body"]          reads the body to its end; notes `length` and `sha256`
["echo"]          sends each piece of the body as a chunk as soon as it is there, and the last chunk after it
["close"] ["reset"]   ends the connection; without it the next request is awaited

A note is a dict: `path`, `at` (when the request's head was there), `steps` done so far, `left` (when the other side was
seen to have gone, or null) and what the steps add. Times are time.time().
"""
import hashlib
import json
import os
import select
import socket
import struct
import sys
import threading
import time

gates = {}  # name: eventfd, readable once open
notes = []
lock = threading.Lock()


def pattern(length):
    """`length` bytes, numbered every 64 KiB and different in between, so that what is lost or doubled shows."""
    between = b"".join(b"%015d\n" % i for i in range(4095))
    return b"".join(b"%015d\n%s" % (i, between) for i in range(length // 65536 + 1))[:length]


def gate(name):
    with lock:
        if name not in gates:
            gates[name] = os.eventfd(0)
        return gates[name]


def gate_is_open(name):
    poll = select.poll()
    poll.register(gate(name), select.POLLIN)
    return bool(poll.poll(0))


class Left(Exception):
    """The other side has gone."""


class Connection:
    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def fill_buffer(self):
        received = self.sock.recv(262144)
        if not received:
            raise Left
        self.buffer += received

    def line(self):
        while b"\r\n" not in self.buffer:
            self.fill_buffer()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def head(self):
        """(path, fields), names in lower case."""
        path = self.line().split(b" ")[1].decode()
        fields = {}
        while line := self.line():
            name, _, value = line.decode().partition(":")
            fields[name.lower()] = value.strip()
        return path, fields

    def pieces(self, fields):
        """The body as it comes."""
        if fields.get("transfer-encoding", "").lower() != "chunked":
            yield from self.exactly(int(fields.get("content-length", 0)))
            return
        while size := int(self.line().split(b";")[0], 16):
            yield from self.exactly(size)
            self.line()
        while self.line():  # trailers
            pass

    def exactly(self, size):
        while size:
            if not self.buffer:
                self.fill_buffer()
            piece, self.buffer = self.buffer[:size], self.buffer[size:]
            size -= len(piece)
            yield piece

    def wait(self, fd, events):
        """Until one of the events of the descriptor, or raises Left."""
        poll = select.poll()
        poll.register(fd, events)
        if fd != self.sock.fileno():
            poll.register(self.sock, select.POLLRDHUP)
        for found, what in poll.poll():
            if found != fd or what & (select.POLLHUP | select.POLLERR):
                raise Left

    def pause(self, seconds):
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)
        if poll.poll(seconds * 1000):
            raise Left

    def fill(self, length, note):
        content = memoryview(pattern(length))
        note["filled"] = 0
        self.sock.setblocking(False)
        while content:
            try:
                sent = self.sock.send(content[:65536])
            except BlockingIOError:
                self.wait(self.sock.fileno(), select.POLLOUT)
                continue
            content = content[sent:]
            note["filled"] += sent
        self.sock.setblocking(True)

    def body(self, fields, note, each=lambda piece: None):
        digest = hashlib.sha256()
        note["length"] = 0
        for piece in self.pieces(fields):
            digest.update(piece)
            note["length"] += len(piece)
            each(piece)
        note["sha256"] = digest.hexdigest()

    def follow(self, steps, fields, note):
        for do, *what in steps:
            if do == "send":
                self.sock.sendall(what[0].replace("{pid}", str(os.getpid())).encode())
            elif do == "repeat":
                self.sock.sendall(what[1].encode() * what[0])
            elif do == "drip":
                for _ in range(what[0]):
                    self.sock.sendall(what[2].encode())
                    self.pause(what[1])
            elif do == "fill":
                self.fill(what[0], note)
            elif do == "wait":
                self.wait(gate(what[0]), select.POLLIN)
            elif do == "body":
                self.body(fields, note)
            elif do == "echo":
                self.body(fields, note, lambda piece: self.sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece)))
                self.sock.sendall(b"0\r\n\r\n")
            elif do in ("close", "reset"):
                if do == "reset":
                    self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            else:
                raise ValueError(do)
            note["steps"] += 1
        return True

    def serve(self):
        while True:
            path, fields = self.head()
            if path == "/health":
                self.answer("ok")
            elif path == "/seen":
                self.answer(json.dumps(notes))
            elif path.startswith("/open?"):
                os.eventfd_write(gate(path.partition("?")[2]), 1)
                self.answer("open")
            elif not self.script(path, fields):
                return

    def infer(self, fields, note):
        self.body(fields, note)
        if gate_is_open("jam"):
            self.wait(gate("unjam"), select.POLLIN)
        self.answer('{"label": "de"}', "Content-Type: application/json\r\n")

    def script(self, path, fields):
        note = {"path": path, "at": time.time(), "steps": 0, "left": None, "fields": fields}
        notes.append(note)
        try:
            if path == "/infer":
                self.infer(fields, note)
                return True
            return self.follow(json.loads(fields["x-steps"]), fields, note)
        except (Left, OSError):
            note["left"] = time.time()
            return False

    def answer(self, text, fields=""):
        self.sock.sendall(f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {len(text)}\r\n\r\n{text}".encode())


def serve(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with sock:
        try:
            Connection(sock).serve()
        except (Left, OSError):
            pass


def main():
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    main()
