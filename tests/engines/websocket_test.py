# needs: python3-websockets
"""WebSockets through nines: a server and a client of Debian's python3-websockets on either side of it."""
import asyncio
import contextlib
import hashlib
import json
import pathlib
import sys
import unittest

import websockets

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenario"))
import harness  # noqa: E402
import scripted  # noqa: E402

DEADLINE = 20
# Echoes every message. /greet speaks first, in the packet of the handshake's answer if it can; "close CODE REASON" closes;
# "seen" tells how earlier connections ended.
SERVER = '''
import asyncio, http, json, os, signal, sys
import websockets

ended = []

async def health(path, headers):
    if path == "/health":
        return http.HTTPStatus.OK, [], b"ok"
    if path == "/forbidden":
        return http.HTTPStatus.FORBIDDEN, [("X-Why", "no")], b"not you"

async def serve(connection):
    if connection.path == "/greet":
        await connection.send("welcome")
    try:
        async for message in connection:
            if isinstance(message, str) and message.startswith("close "):
                _, code, reason = message.split(" ", 2)
                await connection.close(int(code), reason)
            elif message == "pid":
                await connection.send(str(os.getpid()))
            elif message == "ping":
                await (await connection.ping(b"from the server"))
                await connection.send("ponged")
            elif message == "seen":
                await connection.send(json.dumps(ended))
            else:
                await connection.send(message)
    finally:
        await connection.wait_closed()
        ended.append([connection.path, connection.close_code, connection.close_reason])

async def main():
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    async with websockets.serve(serve, "127.0.0.1", int(sys.argv[1]), process_request=health, max_size=None,
                                subprotocols=["chat.v2"], ping_interval=None):
        await stop

asyncio.run(main())
'''


def service_of(count=1, extra=""):
    command = [harness.PYTHON, "server.py", "{port}"]
    return harness.Service(harness.service_yaml(command, count, name="ws", extra=extra), {"server.py": SERVER})


class WebSocketTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)  # unittest sets it, and then asyncio says what took 0.1 s

    def start(self, count=1, extra=""):
        self.service = self.enterContext(service_of(count, extra))
        self.service.up()
        return self.service.wait_ready(count)

    @contextlib.asynccontextmanager
    async def connected(self, path="/", compression=None, **options):
        url = self.service.url.replace("http:", "ws:") + path
        async with asyncio.timeout(DEADLINE):
            connection = await websockets.connect(url, max_size=None, ping_interval=None, compression=compression, **options)
        try:
            yield connection
        finally:
            connection.transport.abort()

    async def receive(self, connection):
        async with asyncio.timeout(DEADLINE):
            return await connection.recv()

    async def asked(self, connection, message):
        await connection.send(message)
        return await self.receive(connection)


class Tunnel(WebSocketTest):
    @classmethod
    def setUpClass(cls):
        cls.service = service_of()
        cls.addClassCleanup(cls.service.close)
        cls.service.up()

    async def wait_ended(self, path):
        """How the server saw the connection of that path end."""
        async with asyncio.timeout(DEADLINE), self.connected("/asker") as asker:
            while not (found := [end for end in json.loads(await self.asked(asker, "seen")) if end[0] == path]):
                await asyncio.sleep(0.02)
            return found[0][1:]

    async def test_a_thousand_messages_both_ways(self):
        for compression in (None, "deflate"):
            async with self.connected(compression=compression) as connection:
                messages = [f"message {number} Grüße" if number % 2 else b"%d\0\xff" % number for number in range(1000)]

                async def send():
                    for message in messages:
                        await connection.send(message)
                sending = asyncio.ensure_future(send())
                self.assertEqual([await self.receive(connection) for _ in messages], messages)
                await sending

    async def test_large_and_fragmented_messages_arrive_whole(self):
        async with self.connected() as connection:
            for size in (125, 126, 65535, 65536, 5_000_000):
                message = scripted.pattern(size)
                echo = await self.asked(connection, message)
                self.assertEqual(hashlib.sha256(echo).digest(), hashlib.sha256(message).digest())
            await connection.send(["a message ", "in ", "frames"])
            self.assertEqual(await self.receive(connection), "a message in frames")

    async def test_the_handshake_passes_unchanged(self):
        async with self.connected("/greet", subprotocols=["chat.v1", "chat.v2"]) as connection:
            self.assertEqual(connection.subprotocol, "chat.v2")
            self.assertEqual(await self.receive(connection), "welcome")
        with self.assertRaises(websockets.InvalidStatusCode) as refused:
            async with self.connected("/forbidden"):
                pass
        self.assertEqual((refused.exception.status_code, refused.exception.headers["X-Why"]), (403, "no"))

    async def test_pings_pass_both_ways(self):
        async with self.connected() as connection:
            async with asyncio.timeout(DEADLINE):
                await (await connection.ping(b"from the client"))
            self.assertEqual(await self.asked(connection, "ping"), "ponged")

    async def test_a_close_from_either_side_arrives_at_the_other(self):
        async with self.connected("/by-client") as connection:
            self.assertEqual(await self.asked(connection, "hello"), "hello")
            async with asyncio.timeout(DEADLINE):
                await connection.close(4001, "enough")
            self.assertEqual(await self.wait_ended("/by-client"), [4001, "enough"])
        async with self.connected("/by-server") as connection:
            with self.assertRaises(websockets.ConnectionClosed):
                await self.asked(connection, "close 4002 over")
            self.assertEqual((connection.close_code, connection.close_reason), (4002, "over"))

    async def test_a_client_that_vanishes_is_seen_by_the_server(self):
        async with self.connected("/vanishes") as connection:
            self.assertEqual(await self.asked(connection, "hello"), "hello")
        self.assertEqual(await self.wait_ended("/vanishes"), [1006, ""])


class Ends(WebSocketTest):
    async def test_a_replica_that_is_killed_is_an_abnormal_close(self):
        self.start(count=2)
        async with contextlib.AsyncExitStack() as stack:
            connections = [await stack.enter_async_context(self.connected()) for _ in range(20)]
            pids = [int(await self.asked(connection, "pid")) for connection in connections]
            harness.kill9(pids[0])
            for connection, pid in zip(connections, pids):
                if pid == pids[0]:
                    with self.assertRaises(websockets.ConnectionClosedError):
                        await self.receive(connection)
                    self.assertEqual(connection.close_code, 1006)
                else:
                    self.assertEqual(await self.asked(connection, "still here"), "still here")
        self.service.wait_ready(2)

    async def test_a_restart_waits_for_the_tunnel_to_end(self):
        first, = self.start(extra="  stop: {drain: 200s}\n")
        async with self.connected() as connection:
            await self.asked(connection, "hello")
            restart = asyncio.create_task(asyncio.to_thread(self.service.nines, "restart", "ws-1"))
            await asyncio.to_thread(self.service.wait_state, "ws-1", "draining")
            self.assertEqual(await self.asked(connection, "still here"), "still here")
            async with asyncio.timeout(DEADLINE):
                await connection.close()
        self.assertEqual((await restart).returncode, 0)
        second = await asyncio.to_thread(self.service.wait_replaced, "ws-1", first["pid"], 30)
        self.assertEqual(second["restarts"], 0)

    async def test_a_restart_waits_no_longer_than_its_limit(self):
        first, = self.start(extra="  stop: {drain: 1s}\n")
        async with self.connected() as connection:
            await self.asked(connection, "hello")
            restart = asyncio.create_task(asyncio.to_thread(self.service.nines, "restart", "ws-1"))
            with self.assertRaises(websockets.ConnectionClosed):
                await self.receive(connection)
            self.assertEqual(connection.close_code, 1001)  # the server's own words, on SIGTERM
            self.assertEqual((await restart).returncode, 0)
        await asyncio.to_thread(self.service.wait_replaced, "ws-1", first["pid"], 30)


UPGRADE = ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")
SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {}\r\n\r\n"
OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Handshake(unittest.TestCase):
    """Answers that a WebSocket library would not give; the script of scripted_server.py does."""

    @classmethod
    def setUpClass(cls):
        cls.service = scripted.service()
        cls.addClassCleanup(cls.service.close)
        cls.service.up()
        cls.replica, = cls.service.wait_ready(1)

    def setUp(self):
        self.client = self.enterContext(scripted.Client(self.service.url))

    def test_an_upgrade_that_was_not_asked_for_is_a_502(self):
        for number, fields in enumerate(("", "Upgrade: websocket\r\n", "Connection: Upgrade\r\n")):
            with self.subTest(fields=fields), scripted.Client(self.service.url) as client:
                client.ask(f"/unasked{number}", ["send", SWITCH.format("websocket")], ["wait", "never"], method="POST",
                           fields=fields + "Content-Length: 0\r\n")
                status, fields = client.head()
                self.assertEqual(status, 502)
                client.body(fields)
                scripted.wait_note(self.replica, f"/unasked{number}", lambda note: note["left"])

    def test_an_upgrade_to_something_else_than_was_asked_for_is_not_passed_on(self):
        self.client.ask("/else", ["send", SWITCH.format("h2c")], ["wait", "never"], fields=UPGRADE)
        self.assertEqual(self.client.head()[0], 503)  # a GET goes elsewhere, and nobody else is there

    def test_a_server_that_does_not_upgrade_answers_as_ever(self):
        self.client.ask("/no", ["send", OK], fields=UPGRADE)
        status, fields = self.client.head()
        self.assertEqual((status, self.client.body(fields)), (200, b"ok"))
        self.client.ask("/next", ["send", OK])
        status, fields = self.client.head()
        self.assertEqual((status, self.client.body(fields)), (200, b"ok"))

    def test_what_follows_the_switch_at_once_is_part_of_the_tunnel(self):
        self.client.ask("/early", ["send", SWITCH.format("websocket") + "first words"], ["wait", "more"],
                        ["send", ", and more"], ["close"], fields=UPGRADE)
        status, fields = self.client.head()
        self.assertEqual((status, fields["upgrade"], fields["connection"].lower()), (101, "websocket", "upgrade"))
        self.assertEqual(self.client.read(11), b"first words")
        scripted.open_gate(self.replica, "more")
        self.assertEqual(self.client.rest(), (b", and more", "end"))

    def test_a_tunnel_is_not_opened_for_http_1_0(self):
        self.client.ask("/old", ["send", OK], version="1.0", fields=UPGRADE)
        status, fields = self.client.head()
        self.assertEqual((status, self.client.body(fields)), (200, b"ok"))
        self.assertNotIn("upgrade", scripted.note_of(self.replica, "/old")["fields"])

    def test_the_upgrade_reaches_the_server_as_the_client_sent_it(self):
        self.client.ask("/fields", ["send", OK], fields=UPGRADE)
        self.client.head()
        fields = scripted.note_of(self.replica, "/fields")["fields"]
        self.assertEqual((fields["connection"].lower(), fields["upgrade"]), ("upgrade", "websocket"))
        self.assertEqual(fields["sec-websocket-key"], "AAAAAAAAAAAAAAAAAAAAAA==")


if __name__ == "__main__":
    harness.main()
