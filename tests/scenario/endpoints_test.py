"""Servers that run elsewhere: `nines gateway` alone in front of them, and `nines up` with `endpoints:`."""
import json
import signal
import socket
import subprocess
import unittest

import harness
import survival
from survival import settled


class Backend:
    """A server that nines neither starts nor stops."""

    def __init__(self, delay=0.02):
        self.port = harness.free_port()
        self.delay = delay
        self.address = f"127.0.0.1:{self.port}"
        self.start()

    def start(self):
        self.process = subprocess.Popen([harness.PYTHON, harness.SLOW_SERVER, str(self.port), "--delay", str(self.delay)],
                                        stdin=subprocess.DEVNULL)
        harness.wait_for(lambda: harness.http(self.address, "/health")[0] == 200, 20, "the server there")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def answered(self):
        return int(harness.http(self.address, "/count")[2])


def yaml(backends, extra=""):
    endpoints = json.dumps([backend.address for backend in backends])
    return f"""service: far
listen: 127.0.0.1:{harness.free_port()}
replicas:
  endpoints: {endpoints}
  health: {{path: /health, interval: 200ms, timeout: 1s, rise: 1, fall: 2, startup: 5s}}
{extra}"""


class Elsewhere(unittest.TestCase):
    def backends(self, count=2):
        backends = [Backend() for _ in range(count)]
        for backend in backends:
            self.addCleanup(lambda b=backend: b.kill())
        return backends

    def service(self, backends, extra=harness.REPLAY_SAFE):
        return self.enterContext(harness.Service(yaml(backends, extra)))


class GatewayAlone(Elsewhere):
    def gateway(self, service, *options):
        process = service.start("gateway", *options)
        harness.wait_for(lambda: harness.http(service.url, "/x")[0] == 200, 20, "an answer through the gateway")
        return process

    def output(self, service):
        return (service.folder / "up.log").read_text()

    def test_it_balances_and_survives_the_death_of_a_server_under_load(self):
        backends = self.backends()
        service = self.service(backends)
        gateway = self.gateway(service, "--threads", 2)
        with harness.Load(service.url, get=["/x"], post={"/y": "{}"}, connections=12, rate=100) as load:
            load.run_for(1)
            backends[0].kill()
            harness.wait_for(lambda: "far-1 is not ready any more" in self.output(service), 20, "its death being said")
            load.run_for(0.5)
            backends[0].start()
            harness.wait_for(lambda: self.output(service).count("far-1 ready") == 2, 20, "its return being said")
            harness.wait_for(lambda: backends[0].answered() > 0, 20, "requests on it")
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        self.assertGreater(backends[1].answered(), 0)
        gateway.terminate()
        self.assertEqual(gateway.wait(timeout=60), 0)
        self.assertEqual(service.stray_processes(), {})
        self.assertEqual(service.run_folders(), [])  # it needs none

    def test_sigterm_lets_a_request_be_answered_and_takes_no_new_one(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                backend = Backend(delay=2)
                self.addCleanup(backend.kill)
                at = f"127.0.0.1:{harness.free_port()}"
                service = self.service([backend], f"dashboard: {at}\n")
                gateway = self.gateway(service)
                request = harness.Request(service.url, "/slow")
                in_flight = 'nines_replica_in_flight{replica="far-1"} 1\n'
                harness.wait_for(lambda: in_flight in harness.http(at, "/metrics")[2].decode(), 20,
                                 "the request at the server")
                gateway.send_signal(number)
                harness.wait_for(lambda: self.refuses(service), 20, "new connections refused")
                self.assertFalse(request.done())
                self.assertEqual(request.answer()[0], 200)
                self.assertEqual(gateway.wait(timeout=60), 0)

    def refuses(self, service):
        host, port = service.url.removeprefix("http://").split(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) != 0

    def test_metrics_and_the_page_are_there_when_asked_for(self):
        backends = self.backends(1)
        at = f"127.0.0.1:{harness.free_port()}"
        service = self.service(backends, f"dashboard: {at}\n")
        gateway = self.gateway(service)
        metrics = harness.http(at, "/metrics")[2].decode()
        self.assertIn("far-1", metrics)
        page = harness.http(at, "/")[2].decode()
        self.assertIn(backends[0].address, page)
        self.assertNotIn("anchor", page)
        self.assertEqual(harness.http(at, "/healthz")[0], 200)
        backends[0].kill()
        harness.wait_for(lambda: harness.http(at, "/healthz")[0] == 503, 20, "the page saying that it is down")
        gateway.terminate()
        self.assertEqual(gateway.wait(timeout=60), 0)

    def test_what_it_refuses(self):
        backend, = self.backends(1)
        service = self.service([backend])
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            host, port = service.url.removeprefix("http://").split(":")
            taken.bind((host, int(port)))
            taken.listen()
            done = service.nines("gateway", status=1)
            self.assertIn("in use", done.stderr)
        service.write("nines.yaml", harness.slow_service())
        done = service.nines("gateway", status=2)
        self.assertIn("use `nines up`", done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1)
        service.write("nines.yaml", "replicas: {endpoints: [db.internal:80]}\n")
        self.assertIn("names are not looked up", service.nines("gateway", status=2).stderr)


class UpWithEndpoints(Elsewhere):
    def test_it_keeps_routes_and_says_who_is_ready(self):
        backends = self.backends()
        service = self.service(backends)
        service.up()
        ready = service.wait_ready(2)
        self.assertEqual([replica["address"] for replica in ready], [backend.address for backend in backends])
        self.assertEqual([replica["pid"] for replica in ready], [None, None])
        self.assertIn(backends[0].address, service.nines("status", status=0).stdout)
        with harness.Load(service.url, get=["/x"], connections=12, rate=100) as load:
            load.run_for(0.5)
            backends[0].kill()
            service.wait_state("far-1", "unready")
            backends[0].start()
            service.wait_state("far-1", "ready")
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        for order in "restart", "stop", "start":
            done = service.nines(order, "far-1", status=1)
            self.assertIn("runs elsewhere", done.stderr)
        service.down(status=0)
        self.assertEqual(harness.http(backends[0].address, "/health")[0], 200)  # none of our business

    def test_a_killed_supervisor_or_gateway_costs_no_server(self):
        backends = self.backends()
        service = self.service(backends)
        service.up()
        before = settled(service, 2, elsewhere=True)
        with harness.Load(service.url, get=["/x"], connections=12, rate=100) as load:
            harness.kill9(before["supervisor"]["pid"])
            survival.succeeded(service, "supervisor", before["supervisor"]["pid"])
            after = settled(service, 2, elsewhere=True)
            load.run_for(0.5)
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
        self.assertEqual([r["since"][:19] for r in after["replicas"]], [r["since"][:19] for r in before["replicas"]])
        harness.kill9(after["gateway"]["pid"])
        survival.succeeded(service, "gateway", after["gateway"]["pid"])
        settled(service, 2, elsewhere=True)
        self.assertEqual(harness.http(service.url, "/x")[0], 200)

    def test_a_server_elsewhere_is_drained_and_weighed(self):
        backends = self.backends()
        service = self.service(backends)
        service.up()
        service.wait_ready(2)
        with harness.Load(service.url, get=["/x"], connections=12, rate=100) as load:
            load.run_for(0.3)
            service.nines("drain", "far-1", status=0)
            load.run_for(0.1)
            before = backends[0].answered()
            supervisor = service.status()[1]["supervisor"]["pid"]
            harness.kill9(supervisor)
            survival.succeeded(service, "supervisor", supervisor)
            load.run_for(0.5)
            self.assertEqual(backends[0].answered(), before)
            self.assertEqual([replica["weight"] for replica in service.replicas()], [0, 100])
            service.nines("undrain", "far-1", status=0)
            harness.wait_for(lambda: backends[0].answered() > before, 10, "requests on it again")
            service.nines("weight", "far-2", "0", status=0)
            harness.wait_for(lambda: service.replica("far-2")["in_flight"] == 0, 10, "far-2 without a request")
            before = backends[1].answered()
            load.run_for(0.5)
            self.assertEqual(backends[1].answered(), before)
            self.assertEqual([replica["weight_wished"] for replica in service.replicas()], [None, 0])
            service.nines("weight", "far-2", "default", status=0)
            harness.wait_for(lambda: backends[1].answered() > before, 10, "requests on far-2 again")
        self.assertEqual(load.result["failed"], 0, harness.describe(load.result))

    def test_servers_that_are_never_there_end_it(self):
        backend, = self.backends(1)
        backend.kill()
        service = self.service([backend])
        done = service.nines("up", "--detach", status=1)
        self.assertIn("no endpoint was ready within 5", done.stderr + done.stdout)
        self.assertIn(backend.address, done.stderr + done.stdout)

    def test_check_knows_them(self):
        backend, = self.backends(1)
        service = self.service([backend])
        self.assertIn(f"http://{backend.address}", service.nines("check", status=0).stdout)
        found = json.loads(service.nines("check", "--json", status=0).stdout)
        self.assertEqual(found["endpoints"], [{"address": backend.address, "weight": 100, "tier": 0}])


if __name__ == "__main__":
    survival.main()
