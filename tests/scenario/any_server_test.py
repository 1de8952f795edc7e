"""`nines run`: any server, no file. Python's http.server stands for all: it speaks HTTP/1.0 and knows of no health
page, so the check is a TCP connect."""
import os
import pathlib
import signal
import unittest

import harness


class AnyServer(unittest.TestCase):
    def service(self, **files):
        """A folder whose nines.yaml says only where this test will have `nines run` listen."""
        return harness.Service(f"listen: 127.0.0.1:{harness.free_port()}\n", files, options=["--state", ".nines"])

    def run_http_server(self, service, *arguments, replicas=1):
        return service.start("run", "--replicas", replicas, "--listen", service.url.removeprefix("http://"), "--",
                             harness.PYTHON, "-m", "http.server", "{port}", *arguments)

    def test_a_server_is_kept_up_without_a_file(self):
        with self.service(**{"hello.txt": "hello", "model.bin": "0123456789" * 500_000}) as service:
            run = self.run_http_server(service, "--bind", "127.0.0.1")
            first, = service.wait_ready(1)
            for name, size in (("hello.txt", 5), ("model.bin", 5_000_000)):
                status, headers, body = harness.http(service.url, f"/{name}")
                self.assertEqual((status, len(body), headers["Content-Length"]), (200, size, str(size)))
            self.assertEqual(harness.http(service.url, "/missing")[0], 404)

            harness.kill9(first["pid"])
            self.assertEqual(harness.http(service.url, "/hello.txt", timeout=30)[2], b"hello")
            second = service.wait_replaced(first["name"], first["pid"])
            self.assertEqual(second["restarts"], 1)

            run.terminate()
            self.assertEqual(run.wait(timeout=60), 0)
            self.assertEqual(service.stray_processes(), {})
            self.assertEqual(service.run_folders(), [])
            self.assertNotIn("warning:", service.logs())

    def test_killing_replicas_under_load_costs_no_request(self):
        with self.service(**{"hello.txt": "hello"}) as service:
            self.run_http_server(service, "--bind", "127.0.0.1", replicas=3)
            names = [replica["name"] for replica in service.wait_ready(3)]
            with harness.Load(service.url, get=["/hello.txt"], connections=12, rate=100) as load:
                for name in names:
                    load.run_for(0.5)
                    victim = service.replica(name)["pid"]
                    harness.kill9(victim)
                    service.wait_replaced(name, victim)
                load.run_for(0.5)
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            self.assertEqual([replica["restarts"] for replica in service.replicas()], [1, 1, 1])

    def test_a_server_that_binds_every_address_is_served_with_a_warning(self):
        with self.service(**{"hello.txt": "hello"}) as service:
            run = self.run_http_server(service)
            name = service.wait_ready(1)[0]["name"]
            self.assertEqual(harness.http(service.url, "/hello.txt")[2], b"hello")
            run.send_signal(signal.SIGINT)
            self.assertEqual(run.wait(timeout=60), 0)
            self.assertEqual(service.stray_processes(), {})
            warnings = [line for line in service.logs().splitlines() if "warning:" in line]
            self.assertEqual(len(warnings), 1, service.logs())
            self.assertIn(name, warnings[0])

    def test_what_runs_here_is_found_without_naming_it(self):
        with self.service(**{"hello.txt": "hello"}) as service:
            service.options = []
            os.unlink(service.folder / "nines.yaml")
            os.environ["XDG_STATE_HOME"] = str(service.folder / "state")
            self.addCleanup(os.environ.pop, "XDG_STATE_HOME")
            run = self.run_http_server(service, "--bind", "127.0.0.1")
            harness.wait_for(lambda: service.status()[0] == 0 and service.ready(), 30, "the service ready")
            lock, = pathlib.Path(os.environ["XDG_STATE_HOME"]).glob("**/lock")
            service.tag = harness.tag_of(lock.parent)
            self.assertEqual(harness.http(service.url, "/hello.txt")[0], 200)
            service.down(status=0)
            self.assertEqual(run.wait(timeout=60), 0)
            self.assertEqual(service.stray_processes(), {})
            self.assertEqual(service.nines("status").returncode, 3)

    def test_a_command_without_port_or_none_at_all_is_refused(self):
        with self.service() as service:
            for arguments in (["run"], ["run", "--"], ["run", "--", "sleep", "1"], ["run", "sleep", "{port}"],
                              ["run", "--", "no-such-server", "{port}"],
                              ["run", "--listen", "8000x", "--", "sleep", "{port}"]):
                with self.subTest(arguments=arguments):
                    done = service.nines(*arguments)
                    self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                    self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
                    self.assertTrue(done.stderr.startswith("nines: "), done.stderr)
                    self.assertEqual(service.stray_processes(), {})


if __name__ == "__main__":
    harness.main()
