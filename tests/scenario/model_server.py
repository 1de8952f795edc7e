#!/usr/bin/python3
"""A replica with a model: model_server.py PORT --model=FILE

The model is text with "42" or "41" in it, and a file beside it, FILE.note, if there is one. GET /answer says the number,
slowly if the model says "slow"; GET /model says what was loaded; GET /health "ok". Without a number in it, it ends.
"""
import http.server
import pathlib
import socketserver
import sys
import time

port, model = int(sys.argv[1]), pathlib.Path(sys.argv[2].partition("=")[2])
text = model.read_text()
number = next((word for word in ("42", "41") if word in text), None)
if number is None:
    raise SystemExit(f"{model} is corrupt")
note = model.with_name(model.name + ".note")
loaded = text + (note.read_text() if note.exists() else "")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one piece, or the second waits for the acknowledgement of the first

    def do_GET(self):
        if self.path == "/answer":
            time.sleep(0.05 if "slow" in text else 0.005)
        body = {"/answer": number, "/model": loaded}.get(self.path, "ok").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)


Server(("127.0.0.1", port), Handler).serve_forever()
