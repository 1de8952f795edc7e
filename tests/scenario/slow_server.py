#!/usr/bin/python3
"""A replica for scenarios: slow_server.py PORT|/PATH [--delay 0.02]

GET /health answers at once, GET /count tells how many requests were answered (health excluded), GET /exit?N ends it
with that status, any other GET answers "ok" and any POST echoes its body, both after the delay. One thread per
connection; the parsing is minimal, because scenarios send 400 requests a second on machines with two cores and the
standard library's http.server costs 1 ms each.
"""
import argparse
import os
import socket
import threading
import time

answered = 0
lock = threading.Lock()


def read_request(connection, buffer):
    """Returns (method, path, body, keep_alive, rest), or None at the end of the stream."""
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        received = connection.recv(65536)
        if not received:
            return None
        buffer += received
    lines = buffer[:end].split(b"\r\n")
    method, path, _ = lines[0].split(b" ", 2)
    length, keep_alive = 0, True
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            raise ValueError("only Content-Length is understood")
        elif name == b"connection":
            keep_alive = value.strip().lower() != b"close"
    buffer = buffer[end + 4:]
    while len(buffer) < length:
        received = connection.recv(65536)
        if not received:
            return None
        buffer += received
    return method, path, buffer[:length], keep_alive, buffer[length:]


def answer(method, path, body, delay):
    global answered
    if path.startswith(b"/health"):
        return b"ok"
    if path == b"/count":
        return b"%d" % answered
    if path.startswith(b"/exit?"):
        os._exit(int(path.partition(b"?")[2]))
    time.sleep(delay)
    with lock:
        answered += 1
    return body if method == b"POST" else b"ok"


def serve(connection, delay, head):
    buffer = b""
    with connection:
        try:
            while request := read_request(connection, buffer):
                method, path, body, keep_alive, buffer = request
                content = answer(method, path, body, delay)
                ending = b"\r\n" if keep_alive else b"Connection: close\r\n\r\n"
                shown = b"" if method == b"HEAD" else content
                connection.sendall(head + b"Content-Length: %d\r\n" % len(content) + ending + shown)
                if not keep_alive:
                    return
        except (OSError, ValueError):
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("place", help="a port, or the path of a Unix socket")
    parser.add_argument("--delay", type=float, default=0.02, help="seconds, for everything but /health and /count")
    arguments = parser.parse_args()

    tcp = not arguments.place.startswith("/")
    listener = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(arguments.place)) if tcp else arguments.place)
    listener.listen(1024)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Served-By: %d\r\n" % os.getpid()
    while True:
        connection, _ = listener.accept()
        if tcp:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(connection, arguments.delay, head), daemon=True).start()


if __name__ == "__main__":
    main()
