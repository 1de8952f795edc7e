# needs: docker.io
"""Replicas in containers of a real Docker, which is started here for that, with an image made from nothing."""
import contextlib
import http.client
import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import unittest
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scenario"))
import harness  # noqa: E402

IMAGE = "nines-test-server:1"
NEXT = "nines-test-server:2"


class Engine:
    """A Docker of our own, without a network but the machine's. Its socket and its data go with its folder."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nines-docker-", dir="/tmp"))
        self.socket = self.folder / "docker.sock"
        self.process = None
        self.start()

    def start(self):
        """Returns once it answers. A Docker that cannot start fails the test: there is nothing else to test with."""
        with open(self.folder / "dockerd.log", "ab") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--data-root", self.folder / "data", "--exec-root", self.folder / "exec",
                 "-H", f"unix://{self.socket}", "--pidfile", self.folder / "dockerd.pid", "--bridge=none",
                 "--iptables=false", "--ip-masq=false", "--storage-driver=vfs", "--live-restore"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"dockerd ended with {self.process.returncode} (it needs root):\n{self.log()}")
            return self.ask("GET", "/_ping")[0] == 200
        harness.wait_for(answers, 60, "dockerd answers")

    def log(self):
        return "\n".join((self.folder / "dockerd.log").read_text(errors="replace").splitlines()[-20:])

    def ask(self, method, path, body=None, kind="application/json"):
        """One request: (status, body as bytes)."""
        connection = http.client.HTTPConnection("docker", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        try:
            connection.sock.connect(str(self.socket))
            connection.request(method, path, body, {"Content-Type": kind} if body else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def containers(self, tag):
        """Of the service with that tag, also those that have ended."""
        filters = urllib.parse.quote(json.dumps({"label": ["nines.tag"]}))
        listed = json.loads(self.ask("GET", f"/containers/json?all=1&filters={filters}")[1])
        return [item for item in listed if tag in item["Labels"]["nines.tag"]]

    def running(self, tag, name):
        """The container of that replica that runs."""
        return next((item for item in self.containers(tag)
                     if item["State"] == "running" and f"/{name}/" in item["Labels"]["nines.tag"]), None)

    def make_image(self):
        program = self.folder / "server"
        subprocess.run(["clang++-19", "-std=c++20", "-O1", "-static", "-o", program, HERE / "container" / "server.cc"],
                       check=True)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(program, "server")
        for image in (IMAGE, NEXT):
            self.import_image(image, archive.getvalue())

    def import_image(self, image, archive):
        name, tag = image.split(":")
        status, body = self.ask("POST", f"/images/create?fromSrc=-&repo={name}&tag={tag}", archive,
                                "application/x-tar")
        if status != 200 or b"error" in body:
            raise AssertionError(f"the image cannot be made: {status} {body!r}")

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def close(self):
        """Also what a failed test has left: containers outlive this Docker, by --live-restore."""
        with contextlib.suppress(OSError):
            for container in json.loads(self.ask("GET", "/containers/json?all=1")[1]):
                self.ask("DELETE", f"/containers/{container['Id']}?force=1")
        self.stop()
        with open("/proc/mounts") as mounts:
            for mount in reversed([line.split()[1] for line in mounts]):
                if mount.startswith(f"{self.folder}/"):
                    subprocess.run(["umount", mount], check=False)
        shutil.rmtree(self.folder)


def yaml(engine, container="", count=2, extra=""):
    return f"""service: boxed
objective: 99.9%
listen: 127.0.0.1:{harness.free_port()}
replicas:
  count: {count}
  container:
    image: {IMAGE}
    engine: {engine.socket}
    network: host
    {container or 'command: [/server, "{port}"]'}
  health: {{path: /health, interval: 200ms, timeout: 1s, rise: 1, fall: 2, startup: 60s}}
{extra}"""


class Containers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = Engine()
        cls.addClassCleanup(cls.engine.close)
        cls.engine.make_image()

    @contextlib.contextmanager
    def service(self, *arguments, **options):
        """Leaves no container, whatever happens in it: `nines down` is what removes them."""
        with harness.Service(yaml(self.engine, *arguments, **options)) as service:
            yield service
        self.assertEqual(self.engine.containers(service.tag), [], "containers that `nines down` left")

    def last_exit(self, service, name, after=0):
        def there():
            exits = [event for event in service.events(after) if event["kind"] == "exited" and event["replica"] == name]
            return exits[-1] if exits else None
        return harness.wait_for(there, 20, f"the exit of {name}")

    def test_a_killed_container_is_replaced_and_nobody_notices(self):
        with self.service(extra=harness.REPLAY_SAFE) as service:
            service.up()
            service.wait_ready(2)
            before = self.engine.running(service.tag, "boxed-1")
            self.assertTrue(before["Names"][0].startswith("/nines-boxed-boxed-1-"), before["Names"])
            mark = service.last_event()
            with harness.Load(service.url, get=["/"], rate=100) as load:
                self.assertEqual(self.engine.ask("POST", f"/containers/{before['Id']}/kill?signal=KILL")[0], 204)
                exit_event = self.last_exit(service, "boxed-1", mark)
                service.wait_ready(2)
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            self.assertIn("SIGKILL", exit_event["text"])
            after = self.engine.running(service.tag, "boxed-1")
            self.assertNotEqual(after["Id"], before["Id"])
            self.assertEqual(service.replica("boxed-1")["restarts"], 1)

    def test_an_exit_status_and_the_last_words_are_the_servers_own(self):
        with self.service(count=1) as service:
            service.up()
            mark = service.last_event()
            with contextlib.suppress(OSError, http.client.HTTPException):
                harness.http(f"http://127.0.0.1:{service.replica('boxed-1')['port']}", "/exit")
            self.assertIn("exit status 3", self.last_exit(service, "boxed-1", mark)["text"])
            service.wait_ready(1)
            lines = self.lines(service, "boxed-1", "listening on", 2)
            self.assertEqual(sum("last words" in line for line in lines), 1, lines)

    def test_stop_ends_it_with_sigterm_and_removes_it(self):
        with self.service() as service:
            service.up()
            service.wait_ready(2)
            mark = service.last_event()
            service.nines("stop", "boxed-1", status=0)
            service.wait_state("boxed-1", "stopped")
            self.assertEqual(self.last_exit(service, "boxed-1", mark)["text"], "exit status 0")
            harness.wait_for(lambda: len(self.engine.containers(service.tag)) == 1, 10, "the container is removed")
            service.nines("start", "boxed-1", status=0)
            service.wait_ready(2)

    def test_more_memory_than_its_limit_is_an_oom(self):
        limited = 'command: [/server, "{port}"]\n    memory: 32MiB'
        with self.service(limited, count=1) as service:
            service.up()
            mark = service.last_event()
            with contextlib.suppress(OSError, http.client.HTTPException):
                harness.http(f"http://127.0.0.1:{service.replica('boxed-1')['port']}", "/eat")
            text = self.last_exit(service, "boxed-1", mark)["text"]
            self.assertIn("oom", text)
            self.assertIn("32MiB", text)
            service.wait_ready(1)

    def say(self, service, name, text):
        self.assertEqual(harness.http(f"http://127.0.0.1:{service.replica(name)['port']}", f"/say/{text}")[0], 200)

    def lines(self, service, name, text, count=1):
        """Waits until that many lines of the replica's log hold the text; returns all of them."""
        def there():
            lines = service.nines("logs", name, "--lines", "1000", status=0).stdout.splitlines()
            return lines if sum(text in line for line in lines) >= count else None
        return harness.wait_for(there, 20, f"{text!r} in the log of {name}")

    def test_what_it_writes_is_in_the_log_once(self):
        with self.service(count=1) as service:
            service.up()
            for number in range(50):
                self.say(service, "boxed-1", f"line-{number:02}.")
            lines = self.lines(service, "boxed-1", "line-49.")
            said = [line.rpartition("line-")[2] for line in lines if "line-" in line]
            self.assertEqual(said, [f"{number:02}." for number in range(50)])
            self.assertTrue(any("and complaining" in line for line in lines), lines)
            self.assertTrue(any("listening on" in line for line in lines), lines)

    def test_a_new_supervisor_adopts_the_same_containers(self):
        with self.service() as service:
            service.up()
            service.wait_ready(2)
            before = {name: self.engine.running(service.tag, name)["Id"] for name in ("boxed-1", "boxed-2")}
            self.say(service, "boxed-1", "before.")
            self.lines(service, "boxed-1", "before.")
            mark = service.last_event()
            old = service.status()[1]["supervisor"]["pid"]

            def succeeded():
                return ((service.status()[1] or {}).get("supervisor") or {}).get("pid", old) != old
            with harness.Load(service.url, get=["/"], rate=100) as load:
                harness.kill9(old)
                harness.wait_for(succeeded, 20, "a new supervisor")
                service.wait_ready(2)
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            after = {name: self.engine.running(service.tag, name)["Id"] for name in before}
            self.assertEqual(after, before)
            self.assertEqual(sum(event["kind"] == "adopted" for event in service.events(mark)), 2)
            self.say(service, "boxed-1", "after.")
            lines = self.lines(service, "boxed-1", "after.")
            for text in ("before.", "after."):
                self.assertEqual(sum(text in line for line in lines), 1, lines)
            # What it adopted, it also ends and replaces.
            service.nines("restart", "boxed-1", status=0)

            def another():
                running = self.engine.running(service.tag, "boxed-1")
                return running and running["Id"] != before["boxed-1"]
            harness.wait_for(another, 30, "another container")
            service.wait_ready(2)

    def test_an_upgrade_and_a_later_up_go_on_with_the_same_containers(self):
        with self.service() as service:
            service.up()
            service.wait_ready(2)
            before = {name: self.engine.running(service.tag, name)["Id"] for name in ("boxed-1", "boxed-2")}

            def same():
                service.wait_ready(2)
                self.assertEqual({name: self.engine.running(service.tag, name)["Id"] for name in before}, before)
            service.nines("upgrade", status=0)
            same()
            status = service.status()[1]
            for part in ("anchor", "supervisor", "keeper", "gateway"):
                harness.kill9(status[part]["pid"])
            harness.wait_for(lambda: not any(harness.alive(status[part]["pid"]) for part in ("anchor", "supervisor")),
                             10, "nines is dead")
            service.up()
            same()

    def test_a_container_that_died_while_nobody_supervised_is_an_exit(self):
        with self.service(count=1) as service:
            service.up()
            container = self.engine.running(service.tag, "boxed-1")
            mark = service.last_event()
            supervisor = service.status()[1]["supervisor"]["pid"]
            os.kill(supervisor, 19)  # it must not see the end
            self.assertEqual(self.engine.ask("POST", f"/containers/{container['Id']}/kill?signal=KILL")[0], 204)
            harness.wait_for(lambda: self.engine.running(service.tag, "boxed-1") is None, 20, "its end")
            harness.kill9(supervisor)
            service.wait_ready(1)
            self.assertIn("SIGKILL", self.last_exit(service, "boxed-1", mark)["text"])

    def test_whatever_was_left_is_ended_by_down(self):
        with self.service(count=1) as service:
            service.up()
            status = service.status()[1]
            for part in ("anchor", "supervisor", "keeper", "gateway"):
                harness.kill9(status[part]["pid"])
            harness.wait_for(lambda: not any(harness.alive(status[part]["pid"]) for part in ("anchor", "supervisor")),
                             10, "nines is dead")
            self.assertIsNotNone(self.engine.running(service.tag, "boxed-1"))
            service.down()
            self.assertEqual(self.engine.containers(service.tag), [])

    def test_the_port_may_be_in_the_environment(self):
        with self.service('command: [/server]', count=1, extra='  env: {PORT: "{port}"}\n') as service:
            service.up()
            service.wait_ready(1)

    def test_an_engine_that_starts_again_costs_nothing(self):
        with self.service(extra=harness.REPLAY_SAFE) as service:
            service.up()
            service.wait_ready(2)
            before = {name: self.engine.running(service.tag, name)["Id"] for name in ("boxed-1", "boxed-2")}
            self.say(service, "boxed-2", "heard-before.")
            self.lines(service, "boxed-2", "heard-before.")
            mark = service.last_event()
            with harness.Load(service.url, get=["/"], rate=100) as load:
                self.engine.stop()
                self.engine.start()
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            self.assertEqual({name: self.engine.running(service.tag, name)["Id"] for name in before}, before)
            self.assertFalse([event for event in service.events(mark) if event["kind"] == "exited"])
            self.say(service, "boxed-2", "still-heard.")
            lines = self.lines(service, "boxed-2", "still-heard.")
            for text in ("heard-before.", "still-heard."):
                self.assertEqual(sum(text in line for line in lines), 1, lines)

    def images(self, service):
        return sorted(item["Image"] for item in self.engine.containers(service.tag) if item["State"] == "running")

    def test_a_deploy_replaces_one_image_by_another(self):
        text = yaml(self.engine, extra="  deploy: {bake: 500ms}\n" + harness.REPLAY_SAFE)
        with harness.Service(text) as service:
            service.up()
            service.wait_ready(2)
            with harness.Load(service.url, get=["/"], rate=100) as load:
                service.write("nines.yaml", text.replace(IMAGE, NEXT))
                service.nines("deploy", status=0)
                harness.wait_for(lambda: self.images(service) == [NEXT, NEXT], 20, "two of the next image")
                service.wait_ready(2)
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            # What cannot be started costs nothing, and is taken back.
            service.write("nines.yaml", text.replace(IMAGE, "no-such-image:7"))
            done = service.nines("deploy", status=1)
            self.assertIn("no-such-image:7", done.stdout + done.stderr)
            service.wait_ready(2)
            self.assertEqual(self.images(service), [NEXT, NEXT])
            service.write("nines.yaml", harness.service_yaml(["/bin/true", "{port}"], name="boxed"))
            self.assertIn("does not turn", service.nines("deploy", status=1).stderr)
        self.assertEqual(self.engine.containers(service.tag), [], "containers that `nines down` left")

    def test_a_stop_needs_no_engine(self):
        with self.service(count=1, extra="  stop: {drain: 0s, grace: 1s}\n") as service:
            service.up()
            pid, mark = service.replica("boxed-1")["pid"], service.last_event()
            self.engine.stop()
            try:
                service.nines("stop", "boxed-1", status=0)
                harness.wait_for(lambda: not harness.alive(pid), 20, "its end")
            finally:
                self.engine.start()
            self.assertIn("SIGKILL", self.last_exit(service, "boxed-1", mark)["text"])
            service.wait_state("boxed-1", "stopped")

    def refused(self, text, *says, status=2):
        with harness.Service(text) as service:
            done = service.nines("up", "--detach", timeout=60)
            self.assertEqual(done.returncode, status, done.stdout + done.stderr)
            for say in says:
                self.assertIn(say, done.stdout + done.stderr)
            self.assertEqual(self.engine.containers(service.tag), [])

    def test_what_cannot_be_started_says_why(self):
        good = yaml(self.engine, count=1)
        self.refused(good.replace(IMAGE, "no-such-image:7"), "no-such-image:7", "docker pull")
        self.refused(good.replace("/server,", "/no-such-program,"), "/no-such-program")
        self.refused(good.replace(str(self.engine.socket), "/no/such.sock"), "/no/such.sock", "systemctl start docker")
        self.refused(good.replace("network: host", "port: 8000"), "does not publish port 8000", "network: host")
        mute = yaml(self.engine, "command: [/server]", count=1, extra='  env: {UNREAD: "{port}"}\n')
        self.refused(mute, "ends right after it is started", "no port was given", status=1)


if __name__ == "__main__":
    harness.main()
