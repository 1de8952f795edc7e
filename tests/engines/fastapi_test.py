# needs: python3-fastapi uvicorn
"""FastAPI under uvicorn, the server most AI APIs are made of, behind `nines up`."""
import http.client
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scenario"))
import harness  # noqa: E402

APP = '''
import asyncio, os
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

app = FastAPI()
go_on = asyncio.Event()

class Question(BaseModel):
    text: str

@app.get("/health")
async def health():
    return {"status": "ok"}

@app.get("/pid")
async def pid():
    return os.getpid()

@app.post("/predict")
async def predict(question: Question, response: Response):
    await asyncio.sleep(0.02)
    response.headers["X-Served-By"] = str(os.getpid())
    return {"label": question.text.upper(), "length": len(question.text)}

async def tokens():
    for i in range(20):
        if i == 10:
            await go_on.wait()
        yield f"data: token {i}\\n\\n"

@app.get("/stream")
async def stream():
    return StreamingResponse(tokens(), media_type="text/event-stream")

@app.post("/go-on")
async def go():
    go_on.set()
'''
QUESTION = {"Content-Type": "application/json"}


class FastApi(unittest.TestCase):
    def service(self, *options, count=3, extra="", at=("--port", "{port}")):
        command = [harness.PYTHON, "-m", "uvicorn", "app:app", *at, *options]
        return harness.Service(harness.service_yaml(command, count, name="api", extra=extra), {"app.py": APP})

    def test_requests_with_bodies_and_mistakes_pass_unchanged(self):
        with self.service(count=1) as service:
            service.up()
            for text in ("hello", "Grüße", "x" * 300_000):
                body = json.dumps({"text": text}).encode()
                status, headers, answer = harness.http(service.url, "/predict", "POST", body, QUESTION)
                self.assertEqual((status, json.loads(answer)), (200, {"label": text.upper(), "length": len(text)}))
                self.assertEqual(headers["Content-Type"], "application/json")
            status, _, answer = harness.http(service.url, "/predict", "POST", b"{}", QUESTION)
            self.assertEqual(status, 422)
            self.assertIn("text", answer.decode())
            self.assertEqual(harness.http(service.url, "/missing")[0], 404)
            self.assertEqual(harness.http(service.url, "/health", "POST")[0], 405)

    def test_a_stream_arrives_whole_and_as_it_is_made(self):
        with self.service(count=1) as service:
            service.up()
            connection = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=30)
            self.addCleanup(connection.close)
            connection.request("GET", "/stream")
            response = connection.getresponse()
            self.assertEqual(response.headers["Content-Type"].split(";")[0], "text/event-stream")
            event = [response.readline() + response.readline() for _ in range(10)]
            # The server makes the second half only after this.
            self.assertEqual(harness.http(service.url, "/go-on", "POST")[0], 200)
            event += response.read().decode().split("\n\n")
            self.assertEqual([str(e, "ascii").strip() if isinstance(e, bytes) else e for e in event if e],
                             [f"data: token {i}" for i in range(20)])

    def test_killing_replicas_under_load_costs_no_request_where_replay_is_safe(self):
        with self.service(extra=harness.REPLAY_SAFE) as service:
            service.up()
            service.wait_ready(3)
            with harness.Load(service.url, get=["/pid"], post={"/predict": '{"text": "hello"}'}, rate=200,
                              count_header="x-served-by") as load:
                for _ in range(3):
                    load.run_for(1)
                    victim, _ = harness.kill_with_requests_in_flight(service, at_least=1)
                    successor = service.wait_replaced(victim["name"], victim["pid"])
                load.run_for(1)
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            self.assertIn(str(successor["pid"]), load.result["values"])
            self.assertEqual(sum(replica["restarts"] for replica in service.replicas()), 3)

    def test_restarting_replicas_under_load_costs_no_request(self):
        with self.service() as service:
            service.up()
            replicas = service.wait_ready(3)
            with harness.Load(service.url, get=["/pid"], post={"/predict": '{"text": "hello"}'}, rate=200) as load:
                for replica in replicas:
                    service.nines("restart", replica["name"], status=0)
                    service.wait_replaced(replica["name"], replica["pid"], deadline=20)
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            self.assertEqual([replica["restarts"] for replica in service.replicas()], [0, 0, 0])

    def test_over_unix_sockets_killing_and_restarting_replicas_costs_no_request(self):
        for workers in (), ("--workers", "2"):
            with self.subTest(workers=workers), self.service(*workers, extra=harness.REPLAY_SAFE,
                                                             at=("--uds", "{socket}")) as service:
                service.up()
                service.wait_ready(3)
                with harness.Load(service.url, get=["/pid"], post={"/predict": '{"text": "hello"}'}, rate=100) as load:
                    for end in ("kill", "restart"):
                        load.run_for(0.5)
                        victim = service.ready()[0]
                        if end == "kill":
                            harness.kill9(victim["pid"])
                        else:
                            service.nines("restart", victim["name"], status=0)
                        after = service.wait_replaced(victim["name"], victim["pid"])
                        self.assertNotEqual(after["socket"], victim["socket"])
                    load.run_for(0.5)
                self.assertEqual(load.result["failed"], 0, harness.describe(load.result))

    def processes(self, service):
        """Those of the replica: uvicorn's first process, its workers, and what multiprocessing needs."""
        return {pid for pid, command in service.stray_processes().items() if command.startswith(harness.PYTHON)}

    def test_no_worker_of_uvicorn_outlives_it(self):
        with self.service("--workers", "2", count=1) as service:
            service.up()
            for end in ("kill", "restart", "kill"):
                leader = service.wait_ready(1)[0]["pid"]
                worker = int(harness.http(service.url, "/pid")[2])
                self.assertNotEqual(worker, leader)
                before = self.processes(service)
                self.assertGreaterEqual(len(before), 3)
                if end == "kill":
                    harness.kill9(leader)
                else:
                    service.nines("restart", "api-1", status=0)
                service.wait_replaced("api-1", leader, deadline=30)
                self.assertEqual([pid for pid in before if harness.alive(pid)], [])
            service.down(status=0)
            self.assertEqual(service.stray_processes(), {})


if __name__ == "__main__":
    harness.main()
