#!/usr/bin/python3
"""A small AI server of the shape that OpenAI's API has, made to be told how to behave: backend.py PORT

GET  /health                 "ok"
GET  /v1/models              one model
POST /v1/chat/completions    tokens that follow from the prompt alone (token() below), streamed or whole

What a request may ask for beyond the API is in its field `test`:

  tokens: N         how many (20)
  hold: [K, …]      before token number K, wait until this process has a gate open: the prompt up to its first "/"
  comments: N       comment lines right after the head
  refuse: {"status": S, "after": T}   the first time that this process sees the prompt: that status with Retry-After: T
  vanish: true      end the connection without an answer

Like real servers it sends the head of a stream at once, long before the first token.

GET /open?GATE opens a gate of this process; GET /stats tells what it has: asked at its own port, past nines.
Each generation is a line of JSON in the file `generations` of the working directory, written when it begins, so that what
a killed process did is known, too: {"prompt", "pid", "at", "retry": count of the client's own retries}.
"""
import asyncio
import json
import os
import sys
import time
import urllib.parse


def token(prompt, number):
    return f"{prompt}:{number} "


class Backend:
    def __init__(self):
        self.gates = {}   # name: asyncio.Event
        self.held = {}    # prompt: the number of the token it waits for
        self.left = {}    # prompt: when its client was seen to have gone
        self.seen = set()

    def gate(self, name):
        return self.gates.setdefault(name, asyncio.Event())

    async def serve(self, reader, writer):
        try:
            while await self.request(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def request(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        path, _, query = target.partition("?")
        if (method, path) == ("POST", "/v1/chat/completions"):
            return await self.chat(reader, writer, fields, json.loads(body))
        if path == "/open":
            self.gate(urllib.parse.unquote(query)).set()
            answer = {}
        elif path == "/stats":
            answer = {"held": self.held, "left": self.left}
        elif path == "/health":
            answer = {"status": "ok"}
        elif path == "/v1/models":
            answer = {"object": "list", "data": [{"id": "echo", "object": "model", "created": 1, "owned_by": "nines"}]}
        else:
            await send(writer, 404, {"error": {"message": "no such path", "type": "invalid_request_error"}})
            return True
        await send(writer, 200, answer)
        return True

    async def chat(self, reader, writer, fields, question):
        prompt, wish = question["messages"][-1]["content"], question.get("test", {})
        note({"prompt": prompt, "pid": os.getpid(), "at": time.time(), "retry": int(fields.get("x-stainless-retry-count", 0))})
        if wish.get("vanish"):
            return False
        if "refuse" in wish and prompt not in self.seen:
            self.seen.add(prompt)
            await send(writer, wish["refuse"]["status"], {"error": {"message": "later", "type": "server_error"}},
                       f"Retry-After: {wish['refuse']['after']}\r\n")
            return True
        generation = asyncio.ensure_future(self.generate(writer, prompt, wish, question.get("stream", False)))
        gone = asyncio.ensure_future(departure(reader))
        await asyncio.wait({generation, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not generation.done():
            self.left[prompt] = time.time()
            self.held.pop(prompt, None)
            generation.cancel()
            return False
        gone.cancel()
        await asyncio.wait({gone})
        await generation
        return True

    async def generate(self, writer, prompt, wish, stream):
        if stream:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            for number in range(wish.get("comments", 0)):
                chunk(writer, f": still thinking {number}\n\n")
        for number in range(wish.get("tokens", 20)):
            if number in wish.get("hold", []):
                await writer.drain()
                self.held[prompt] = number
                await self.gate(prompt.partition("/")[0]).wait()
                del self.held[prompt]
            if stream:
                chunk(writer, event({"content": token(prompt, number)}))
        if stream:
            chunk(writer, event({}, "stop"))
            chunk(writer, "data: [DONE]\n\n")
            chunk(writer, "")
            await writer.drain()
        else:
            text = "".join(token(prompt, number) for number in range(wish.get("tokens", 20)))
            await send(writer, 200, completion(message={"role": "assistant", "content": text}, finish_reason="stop"))


async def departure(reader):
    try:
        await reader.read(1)  # nothing follows a request before its answer
    except ConnectionError:
        pass


def completion(**choice):
    kind = "chat.completion.chunk" if "delta" in choice else "chat.completion"
    return {"id": "chat-1", "object": kind, "created": 1, "model": "echo", "choices": [{"index": 0, **choice}]}


def event(delta, finish_reason=None):
    return f"data: {json.dumps(completion(delta=delta, finish_reason=finish_reason))}\n\n"


def chunk(writer, text):
    writer.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())


async def send(writer, status, answer, fields=""):
    body = json.dumps(answer).encode()
    writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{fields}"
                 f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


def note(generation):
    with open("generations", "a") as file:
        file.write(json.dumps(generation) + "\n")


async def main():
    server = await asyncio.start_server(Backend().serve, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
