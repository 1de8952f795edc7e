"""Streams of server-sent events through nines: every byte, none of them late, and an end that says what happened."""
import json
import unittest

import harness
import scripted
from scripted import CHUNKED, Client, chunk

EVENTS = ["data: one\n\n", ": a comment\n\n", "event: token\ndata: Grüße\nid: 7\n\n", "data: by\r\ndata: the\r\n\r\n",
          "id: 8\n\n", "data: [DONE]\n\n"]
HEAD_HTTP_1_0 = "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


def check_interrupted(test, events):
    """What came after the last whole event: one event, with an error that clients of OpenAI's API raise."""
    test.assertEqual(events.count(b"\n\n"), 1, events)
    test.assertTrue(events.endswith(b"\n\n"), events)
    data, = (line for line in events.split(b"\n") if line.startswith(b"data: "))
    test.assertEqual(json.loads(data[6:])["error"]["code"], "stream_interrupted")


class OneReplica(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = scripted.service()
        cls.addClassCleanup(cls.service.close)
        cls.service.up()
        cls.replica, = cls.service.wait_ready(1)

    def client(self, **options):
        client = self.enterContext(Client(self.service.url, **options))
        return client

    def steps(self, *texts, path):
        """Events in chunks, each but the first behind a gate of its own."""
        steps = [["send", CHUNKED]]
        for number, text in enumerate(texts):
            steps += [["wait", f"{path}{number}"]] * (number > 0) + [["send", chunk(text)]]
        return [*steps, ["send", chunk("")]]

    def test_each_event_arrives_as_it_was_sent_while_the_next_is_not_there_yet(self):
        client = self.client()
        client.ask("/exact", *self.steps(*EVENTS, path="/exact"))
        status, fields = client.head()
        self.assertEqual((status, fields["content-type"]), (200, "text/event-stream"))
        self.assertNotIn("content-length", fields)
        for number, event in enumerate(EVENTS):
            if number:
                scripted.open_gate(self.replica, f"/exact{number}")
            # Nothing makes the server go on but the next gate: an event that waited for more would never come.
            self.assertEqual(client.chunks(event.encode()), event.encode())
        self.assertEqual(client.chunk(), b"")
        client.ask("/after", ["send", CHUNKED + chunk("data: x\n\n") + chunk("")])
        client.head()
        self.assertEqual(client.chunks(b"x\n\n"), b"data: x\n\n", "the connection takes another request")

    def test_an_event_that_is_sent_in_pieces_arrives_in_one(self):
        client = self.client()
        pieces = ["da", "ta: in ", "pieces\r", "\n\r", "\n", "data: and another\n", "\n"]
        client.ask("/pieces", *self.steps(EVENTS[0], *pieces, path="/pieces"))
        client.head()
        client.chunks(b"one\n\n")
        for number in range(len(pieces)):
            # A part of an event is held back: once out, it could not be taken back when the rest never comes.
            scripted.open_gate(self.replica, f"/pieces{number + 1}")
        self.assertEqual(client.body({}).decode(), "".join(pieces))

    def test_a_client_of_http_1_0_gets_the_same_until_the_connection_closes(self):
        client = self.client()
        client.ask("/old", *self.steps(*EVENTS, path="/old"), version="1.0")
        _, fields = client.head()
        self.assertNotIn("transfer-encoding", fields)
        for number, event in enumerate(EVENTS):
            if number:
                scripted.open_gate(self.replica, f"/old{number}")
            self.assertEqual(client.read(len(event.encode())), event.encode())
        self.assertEqual(client.rest(), (b"", "end"))

    def test_a_server_of_http_1_0_ends_its_stream_by_closing(self):
        client = self.client()
        client.ask("/close", ["send", HEAD_HTTP_1_0 + EVENTS[0]], ["wait", "/close"], ["send", EVENTS[2]], ["close"])
        client.head()
        self.assertEqual(client.chunks(EVENTS[0].encode()), EVENTS[0].encode())
        scripted.open_gate(self.replica, "/close")
        self.assertEqual(client.chunks(EVENTS[2].encode()), EVENTS[2].encode())
        self.assertEqual(client.chunk(), b"")

    def test_a_stream_without_events_is_delivered_too(self):
        for number, body in enumerate(("", ": only a comment\n\n", "data: never finished")):
            with self.subTest(body=body):
                client = self.client()
                client.ask(f"/none{number}", ["send", CHUNKED + (chunk(body) if body else "") + chunk("")])
                self.assertEqual(client.head()[0], 200)
                self.assertEqual(client.body({}), body.encode())

    def test_a_stream_of_a_known_length_keeps_it(self):
        body = "".join(EVENTS)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(body.encode())}\r\n\r\n"
        client = self.client()
        client.ask("/length", ["send", head + EVENTS[0]], ["wait", "/length"], ["send", body[len(EVENTS[0]):]])
        status, fields = client.head()
        self.assertEqual((status, fields["content-length"]), (200, str(len(body.encode()))))
        self.assertEqual(client.read(len(EVENTS[0])), EVENTS[0].encode())
        scripted.open_gate(self.replica, "/length")
        self.assertEqual(client.read(len(body.encode()) - len(EVENTS[0])), body.encode()[len(EVENTS[0]):])

    def test_a_slow_reader_holds_up_nobody_but_itself(self):
        event, count = f"data: {'x' * 200}\n\n", 50_000
        steps = [["send", CHUNKED], ["repeat", count, chunk(event)], ["send", chunk("")]]
        slow = self.client(receive_buffer=16384)
        slow.ask("/slow", *steps)
        slow.head()
        fast = self.client()
        fast.ask("/fast", *steps)
        fast.head()
        for client in (fast, slow):
            self.assertTrue(client.body({}).decode() == event * count, "what came is not what was sent")

    def test_a_client_that_leaves_ends_the_work_done_for_it(self):
        for stage, steps in (("before the head", [["wait", "never"]]),
                             ("before the first event", [["send", CHUNKED], ["wait", "never"]]),
                             ("between two events", [["send", CHUNKED + chunk(EVENTS[0])], ["wait", "never"]])):
            for way in ("close", "reset"):
                with self.subTest(stage=stage, way=way):
                    path = f"/leave/{stage}/{way}".replace(" ", "-")
                    client = self.client()
                    client.ask(path, *steps)
                    scripted.wait_note(self.replica, path)
                    if stage == "between two events":
                        client.head()
                        client.chunks(EVENTS[0].encode())
                    client.sock.close() if way == "close" else client.reset()
                    scripted.wait_note(self.replica, path, lambda note: note["left"])

    def test_a_client_that_leaves_unread_events_ends_the_work_too(self):
        client = self.client(receive_buffer=16384)
        client.ask("/unread", ["send", CHUNKED + "2000000\r\n"], ["fill", 0x2000000])
        scripted.wait_still(lambda: (scripted.note_of(self.replica, "/unread") or {}).get("filled"))
        client.sock.close()
        scripted.wait_note(self.replica, "/unread", lambda note: note["left"])

    def resident(self):
        """Of the gateway, in bytes."""
        with open(f"/proc/{self.service.status()[1]['gateway']['pid']}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))

    def test_what_a_client_does_not_read_stays_with_the_server(self):
        size, before = 128 << 20, self.resident()
        client = self.client(receive_buffer=65536)
        client.ask("/unread", ["send", CHUNKED + f"{size:x}\r\n"], ["fill", size], ["send", "\r\n" + chunk("")])
        filled = scripted.wait_still(lambda: (scripted.note_of(self.replica, "/unread") or {}).get("filled"))
        self.assertLess(filled, size * 2 / 3)  # the rest is what the sockets on the way hold
        self.assertLess(self.resident() - before, 8 << 20)
        client.head()
        self.assertTrue(client.body({}) == scripted.pattern(size), "what came is not what was sent")
        self.assertLess(self.resident() - before, 8 << 20)


class Interrupted(unittest.TestCase):
    """A replica that is gone in the middle, or ends its answer before its end."""

    @classmethod
    def setUpClass(cls):
        cls.service = scripted.service(count=3)
        cls.addClassCleanup(cls.service.close)
        cls.service.up()

    def start(self, path, *steps, **options):
        """A request that waits at a replica; returns the client, that replica and the others."""
        replicas = self.service.wait_ready(3)
        client = self.enterContext(Client(self.service.url))
        client.ask(path, *steps, **options)
        return (client, *scripted.holder(replicas, path))

    def test_a_replica_that_dies_before_its_first_event_costs_the_client_nothing(self):
        for number, begun in enumerate((None, "", ": ping\n\n" * 3, "event: token\nid: 1\nretry: 5\n")):
            with self.subTest(begun=begun):
                path = f"/first{number}"
                head = CHUNKED + (chunk(begun) if begun else "")
                before, after = ("", head) if begun is None else (head, "")
                client, victim, others = self.start(
                    path, ["send", before], ["wait", path], ["send", after + chunk("data: x\n\n") + chunk("")])
                scripted.wait_note(victim, path, lambda note: note["steps"] == 1)
                for other in others:
                    scripted.open_gate(other, path)
                harness.kill9(victim["pid"])
                status, fields = client.head()
                self.assertEqual(status, 200)
                self.assertIn(int(fields["x-served-by"]), [other["pid"] for other in others])
                self.assertEqual(client.body({}).decode(), (begun or "") + "data: x\n\n")

    def test_a_stream_cut_by_a_death_says_so_and_never_ends_cleanly(self):
        for version in ("1.1", "1.0"):
            for after in ("data: one\n\n", "data: one\n\ndata: half an ev"):
                with self.subTest(version=version, after=after):
                    path = f"/cut-{version}-{len(after)}"
                    client, victim, others = self.start(path, ["send", CHUNKED + chunk(after)], ["wait", "never"],
                                                        version=version)
                    client.head()
                    if version == "1.1":
                        self.assertEqual(client.chunks(b"one\n\n"), b"data: one\n\n")
                        harness.kill9(victim["pid"])
                        check_interrupted(self, client.chunk())
                        self.assertEqual(client.rest()[0], b"")  # no last chunk
                    else:
                        self.assertEqual(client.read_until(b"\n\n"), b"data: one\n\n")
                        harness.kill9(victim["pid"])
                        found, how = client.rest()
                        check_interrupted(self, found)
                        self.assertEqual(how, "reset")
                    self.assertEqual([scripted.note_of(other, path) for other in others], [None, None])

    def test_a_server_that_ends_in_the_middle_is_no_clean_end_either(self):
        fixed = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000\r\n\r\n"
        for number, (head, first, end) in enumerate((
                (CHUNKED, chunk("data: one\n\n"), [["close"]]),
                (CHUNKED, chunk("data: one\n\n"), [["reset"]]),
                (CHUNKED, chunk("data: one\n\n") + "20\r\ndata: tw", [["close"]]),
                (CHUNKED, chunk("data: one\n\n"), [["send", "zz\r\n"], ["close"]]),
                (fixed, "data: one\n\n", [["close"]]))):
            for version in ("1.1", "1.0"):
                with self.subTest(number=number, version=version):
                    path = f"/ends-{number}-{version}"
                    client, replica, _ = self.start(path, ["send", head + first], ["wait", path], *end,
                                                    version=version)
                    _, fields = client.head()
                    client.read_until(b"data: one\n\n")
                    scripted.open_gate(replica, path)
                    found, how = client.rest()
                    if "content-length" in fields:
                        self.assertLess(len(found), 1000 - len("data: one\n\n"))
                    elif version == "1.1":
                        self.assertNotIn(b"\r\n0\r\n", found)
                    else:
                        self.assertEqual(how, "reset", found)

    def test_an_answer_that_is_no_event_stream_gets_no_event_put_into_it(self):
        head = CHUNKED.replace("text/event-stream", "application/json")
        client, victim, others = self.start("/json", ["send", head + chunk('{"text": "')], ["wait", "never"])
        client.head()
        self.assertEqual(client.chunk(), b'{"text": "')
        harness.kill9(victim["pid"])
        self.assertEqual(client.rest()[0], b"")

    def test_an_unsafe_stream_that_dies_before_its_first_event_is_an_error_and_not_sent_twice(self):
        client, victim, others = self.start("/unsafe", ["send", CHUNKED + chunk(": ping\n\n")], ["wait", "never"],
                                            method="POST", fields="Content-Length: 0\r\n")
        scripted.wait_note(victim, "/unsafe", lambda note: note["steps"] == 1)
        harness.kill9(victim["pid"])
        status, fields = client.head()
        self.assertEqual((status, json.loads(client.body(fields))["error"]["code"]), (502, "replica_lost"))
        self.assertEqual([scripted.note_of(other, "/unsafe") for other in others], [None, None])


class Silent(unittest.TestCase):
    """Streams on which nothing comes, or nothing that counts."""
    IDLE = 2  # seconds
    PING = chunk(": ping\n\n")

    @classmethod
    def setUpClass(cls):
        limits = f"gateway:\n  timeouts: {{first_byte: {cls.IDLE}s, first_byte_max: {cls.IDLE}s, stream_idle: {cls.IDLE}s}}\n"
        cls.service = scripted.service(extra=limits)
        cls.addClassCleanup(cls.service.close)
        cls.service.up()
        cls.replica, = cls.service.wait_ready(1)

    def setUp(self):
        self.client = self.enterContext(Client(self.service.url))

    def post(self, path, *steps):
        self.client.ask(path, *steps, method="POST", fields="Content-Length: 0\r\n")

    def test_comments_are_no_progress(self):
        self.post("/comments", ["send", CHUNKED + chunk("data: one\n\n")], ["drip", 10_000, 0.05, self.PING])
        self.client.head()
        found = b""  # comments may come in one piece with the event before them
        while b"error" not in found:
            found += self.client.chunk()
        comments, _, error = found.removeprefix(b"data: one\n\n").rpartition(b": ping\n\n")
        self.assertEqual(comments.replace(b": ping\n\n", b""), b"")
        check_interrupted(self, error)
        self.assertEqual(self.client.rest()[0], b"")
        scripted.wait_note(self.replica, "/comments", lambda note: note["left"])

    def test_comments_are_no_first_byte(self):
        self.post("/no-event", ["send", CHUNKED], ["drip", 10_000, 0.05, self.PING])
        status, fields = self.client.head()
        self.assertEqual((status, json.loads(self.client.body(fields))["error"]["code"]), (504, "replica_timeout"))
        scripted.wait_note(self.replica, "/no-event", lambda note: note["left"])

    def test_a_stream_whose_events_come_slowly_lasts_as_long_as_it_likes(self):
        count = 2 * self.IDLE * 5
        self.post("/slow", ["send", CHUNKED], ["drip", count, 0.2, chunk("data: one\n\n")], ["send", chunk("")])
        self.client.head()
        self.assertEqual(self.client.body({}), b"data: one\n\n" * count)


if __name__ == "__main__":
    harness.main()
