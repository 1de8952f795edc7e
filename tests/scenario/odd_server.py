#!/usr/bin/python3
"""A replica with the habits that real servers have: odd_server.py PORT [options]

GET  /health      "ok"
GET  /pid         the pid of the process that answers
GET  /env?NAME    the value of that environment variable, or 404
GET  /wait?S      "waited", after S seconds
GET  /stream?N    N lines in chunks, 20 ms apart
GET  /eat?N       keeps N MiB more of memory, for ever
GET  /exit?N      ends the whole server with that status
POST /say?N       writes N numbered lines with the body as text to standard output, then echoes the body
POST /wait?S      echoes the body after S seconds

Options make it ignore SIGTERM, start slowly, listen elsewhere, never become ready, or fork workers that share its
listening socket, as uvicorn and gunicorn do. With workers it leaves a note for the one that is started next, which
writes the workers it finds still alive to the file `overlaps`.
"""
import argparse
import http.server
import os
import pathlib
import signal
import socketserver
import time


eaten = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    healthy = True

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/health":
            self.answer(200 if self.healthy else 503, "ok" if self.healthy else "the model is not loaded")
        elif path == "/pid":
            self.answer(200, str(os.getpid()))
        elif path == "/env":
            value = os.environ.get(query)
            self.answer(404 if value is None else 200, value or "")
        elif path == "/wait":
            time.sleep(float(query))
            self.answer(200, "waited")
        elif path == "/stream":
            self.stream(int(query))
        elif path == "/eat":
            eaten.append(bytearray(os.urandom(1024 * 1024) * int(query)))
            self.answer(200, "eaten")
        elif path == "/exit":
            os._exit(int(query))
        else:
            self.answer(404, "no such path")

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        path, _, query = self.path.partition("?")
        if path == "/say":
            print("\n".join(f"{text} {i}" for i in range(int(query))), flush=True)
        elif path == "/wait":
            time.sleep(float(query))
        self.answer(200, text)

    def stream(self, lines):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for i in range(lines):
            line = f"line {i}\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
            time.sleep(0.02)
        self.wfile.write(b"0\r\n\r\n")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("X-Served-By", str(os.getpid()))
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):  # without http.server's look-up of its own name, which may take seconds
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, *_):
        pass


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def note_overlaps(note):
    if not note.exists():
        return
    late = [pid for pid in note.read_text().split() if alive(pid)]
    if late:
        with open("overlaps", "a") as file:
            file.write(" ".join(late) + "\n")


def fork_workers(server, count, ignore_sigterm):
    pids = []
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            if number % 2:
                os.setpgid(0, 0)  # as a server does that shields its workers from Ctrl-C
            signal.signal(signal.SIGTERM, signal.SIG_IGN if ignore_sigterm else signal.SIG_DFL)
            server.serve_forever()
            os._exit(0)
        pids.append(pid)
    return pids


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int)
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--elsewhere", type=int, help="listen on this port instead")
    parser.add_argument("--never-ready", action="store_true", help="/health answers 503 for ever")
    parser.add_argument("--ignore-sigterm", action="store_true")
    parser.add_argument("--start-after", type=float, default=0, help="seconds before it listens")
    parser.add_argument("--workers", type=int, default=0, help="processes that answer; the first only waits for them")
    arguments = parser.parse_args()

    note = pathlib.Path(f"workers-of-{os.environ.get('NINES_TAG', 'nobody').split('/')[1]}")
    if arguments.workers:
        note_overlaps(note)
    if arguments.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Handler.healthy = not arguments.never_ready
    time.sleep(arguments.start_after)
    server = Server((arguments.bind, arguments.elsewhere or arguments.port), Handler)
    print(f"pid {os.getpid()} listens", flush=True)
    if not arguments.workers:
        server.serve_forever()
    pids = fork_workers(server, arguments.workers, arguments.ignore_sigterm)
    note.write_text(" ".join(map(str, pids)))
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
