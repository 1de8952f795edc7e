"""Requests with bodies: larger than what is kept to be sent again (256 KiB), slow, cut short, and answered before their end."""
import hashlib
import json
import socket
import threading
import unittest

import harness
import scripted
from scripted import CHUNKED, Client

KEPT = 256 * 1024
LIMIT = 64 << 20
OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def length(size):
    return f"Content-Length: {size}\r\n"


def in_chunks(body, size):
    """A body as chunks of that size."""
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])


class Uploads(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = scripted.service()
        cls.addClassCleanup(cls.service.close)
        cls.service.up()
        cls.replica, = cls.service.wait_ready(1)

    def setUp(self):
        self.client = self.enterContext(Client(self.service.url))

    def in_background(self, client, data):
        """Sends while the test reads. An answer may come first, and the rest of the body find nobody: that is fine."""
        def send():
            try:
                client.send(data)
            except OSError:
                pass
        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 20)

    def check_arrived(self, path, body):
        note = scripted.wait_note(self.replica, path, lambda note: "sha256" in note)
        self.assertEqual((note["length"], note["sha256"]), (len(body), hashlib.sha256(body).hexdigest()))

    def test_bodies_of_every_size_arrive_whole(self):
        for size in (0, 1, KEPT - 1, KEPT, KEPT + 1, 5_000_000):
            for coding in ("length", "chunks of 64", "chunks of 70000"):
                if coding == "chunks of 64" and size > KEPT + 1:
                    continue
                with self.subTest(size=size, coding=coding):
                    path, body = f"/{size}/{coding}".replace(" ", "-"), scripted.pattern(size)
                    chunked = coding != "length"
                    self.client.ask(path, ["body"], ["send", OK], method="POST",
                                    fields="Transfer-Encoding: chunked\r\n" if chunked else length(size))
                    self.client.send(in_chunks(body, int(coding.split()[-1])) if chunked else body)
                    status, fields = self.client.head()
                    self.assertEqual((status, self.client.body(fields)), (200, b"ok"))
                    self.check_arrived(path, body)

    def test_a_small_body_holds_no_replica_before_it_is_whole(self):
        body = scripted.pattern(20_000)
        self.client.ask("/small", ["body"], ["send", OK], method="POST", fields=length(len(body)))
        self.client.send(body[:-1])
        # Of two connections to one worker or two: whatever is asked now is answered, and the first has reached nobody.
        for number in range(3):
            with Client(self.service.url) as other:
                other.ask(f"/other{number}", ["send", OK])
                other.head()
        self.assertIsNone(scripted.note_of(self.replica, "/small"))
        self.client.send(body[-1:])
        self.assertEqual(self.client.head()[0], 200)
        self.check_arrived("/small", body)

    def test_a_slow_upload_above_what_is_kept_passes_as_it_comes(self):
        body = scripted.pattern(KEPT + 50_000)
        self.client.ask("/slow", ["body"], ["send", OK], method="POST", fields=length(len(body)))
        sent = KEPT + 10_000
        self.client.send(body[:sent])
        for size in (1, 10, 1000, 10_000):
            # What has been sent so far has arrived, though the rest has not been sent.
            scripted.wait_note(self.replica, "/slow", lambda note: note.get("length") == sent)
            self.client.send(body[sent:sent + size])
            sent += size
        self.client.send(body[sent:])
        self.assertEqual(self.client.head()[0], 200)
        self.check_arrived("/slow", body)

    def test_a_refusal_before_the_body_is_read_reaches_the_client(self):
        answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n{}\r\ntoo much"
        for end, connection in (("close", "Connection: close\r\n"), ("body", "")):
            for size in (KEPT // 2, 5_000_000):
                with self.subTest(end=end, size=size), Client(self.service.url) as client:
                    path = f"/413-{end}-{size}"
                    # It goes on reading, as a server does that keeps the connection, only when the client has the answer.
                    client.ask(path, ["send", answer.format(connection)], ["wait", path], [end], method="POST",
                               fields=length(size))
                    self.in_background(client, bytes(size))
                    status, fields = client.head()
                    self.assertEqual((status, client.body(fields)), (413, b"too much"))
                    scripted.open_gate(self.replica, path)

    def test_a_refusal_that_comes_before_the_client_has_sent_more(self):
        answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo much"
        self.client.ask("/early", ["send", answer], ["wait", "never"], method="POST", fields=length(5_000_000))
        self.client.send(bytes(KEPT + 1))
        status, fields = self.client.head()  # the client waits for it, in the middle of its body
        self.assertEqual((status, self.client.body(fields)), (413, b"too much"))

    def test_an_answer_may_grow_with_the_request(self):
        body = scripted.pattern(32 << 20)  # more than the sockets on the way hold: all four of them must be read
        self.client.ask("/echo", ["send", CHUNKED], ["echo"], method="POST", fields=length(len(body)))
        self.in_background(self.client, body)
        self.assertEqual(self.client.head()[0], 200)
        self.assertTrue(self.client.body({}) == body, "the echo is not what was sent")

    def test_both_sides_talk_in_turns(self):
        self.client.ask("/turns", ["send", CHUNKED], ["echo"], method="POST", fields="Transfer-Encoding: chunked\r\n")
        self.client.send(in_chunks(bytes(KEPT), 65536)[:-5])  # without the last chunk
        self.client.head()
        echo = b""
        while len(echo) < KEPT:
            echo += self.client.chunk()
        for number in range(20):
            said = b"and %d\n" % number
            self.client.send(b"%x\r\n%s\r\n" % (len(said), said))
            self.assertEqual(self.client.chunks(said), said)
        self.client.send(b"0\r\n\r\n")
        self.assertEqual(self.client.chunk(), b"")

    def test_expect_100_continue_is_answered_before_the_body(self):
        self.client.ask("/expect", ["body"], ["send", OK], method="POST",
                        fields=length(5) + "Expect: 100-continue\r\n")
        self.assertTrue(self.client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 "))
        self.client.send(b"hello")
        self.assertEqual(self.client.head()[0], 200)
        self.check_arrived("/expect", b"hello")

    def test_a_body_beyond_the_limit_is_refused(self):
        self.client.ask("/limit", ["body"], ["send", OK], method="POST", fields=length(LIMIT + 1))
        status, fields = self.client.head()
        self.assertEqual((status, json.loads(self.client.body(fields))["error"]["code"]), (413, "body_too_large"))
        self.assertIsNone(scripted.note_of(self.replica, "/limit"))

        client = self.enterContext(Client(self.service.url))
        client.ask("/chunks", ["body"], ["send", OK], method="POST", fields="Transfer-Encoding: chunked\r\n")
        self.in_background(client, in_chunks(bytes(LIMIT + 1), 1 << 20))
        status, fields = client.head()
        self.assertEqual((status, json.loads(client.body(fields))["error"]["code"]), (413, "body_too_large"))
        scripted.wait_note(self.replica, "/chunks", lambda note: note["left"])  # and it got no whole body

    def test_a_body_that_is_cut_short_is_never_taken_for_whole(self):
        for size in (1000, KEPT + 100_000):
            for coding in ("length", "chunked"):
                for way in ("half-close", "close", "reset"):
                    with self.subTest(size=size, coding=coding, way=way):
                        path = f"/cut-{size}-{coding}-{way}"
                        client = self.enterContext(Client(self.service.url))
                        fields = length(size) if coding == "length" else "Transfer-Encoding: chunked\r\n"
                        client.ask(path, ["body"], ["send", OK], method="POST", fields=fields)
                        client.send(bytes(size - 1) if coding == "length" else in_chunks(bytes(size), size)[:-5])
                        if size > KEPT:
                            scripted.wait_note(self.replica, path)
                        if way == "half-close":
                            client.sock.shutdown(socket.SHUT_WR)
                            self.assertNotIn(b" 200 ", client.rest()[0][:20])
                        else:
                            client.sock.close() if way == "close" else client.reset()
                        if size > KEPT:
                            note = scripted.wait_note(self.replica, path, lambda note: note["left"])
                            self.assertNotIn("sha256", note)
                        else:
                            self.assertIsNone(scripted.note_of(self.replica, path))

    def test_a_client_that_closes_its_half_has_left(self):
        self.client.ask("/half", ["wait", "never"])
        scripted.wait_note(self.replica, "/half")
        self.client.sock.shutdown(socket.SHUT_WR)
        scripted.wait_note(self.replica, "/half", lambda note: note["left"])


class Lost(unittest.TestCase):
    """A replica that dies while it is sent a body."""

    def test_what_is_kept_is_sent_again_and_what_is_larger_is_not(self):
        with scripted.service(count=2, extra=harness.REPLAY_SAFE) as service:
            service.up()
            for size, status in ((KEPT, 200), (KEPT * 2, 502)):
                path, body = f"/{size}", scripted.pattern(size)
                replicas = service.wait_ready(2)
                with Client(service.url) as client:
                    client.ask(path, ["body"], ["wait", path], ["send", OK], method="POST", fields=length(size))
                    client.send(body)
                    victim, (other,) = scripted.holder(replicas, path)
                    scripted.wait_note(victim, path, lambda note: "sha256" in note)
                    scripted.open_gate(other, path)
                    harness.kill9(victim["pid"])
                    answered, fields = client.head()
                    content = client.body(fields)
                self.assertEqual(answered, status, content)
                if status == 200:
                    note = scripted.note_of(other, path)
                    self.assertEqual(note["sha256"], hashlib.sha256(body).hexdigest())
                else:
                    self.assertEqual(json.loads(content)["error"]["code"], "replica_lost")
                    self.assertIsNone(scripted.note_of(other, path))


if __name__ == "__main__":
    harness.main()
