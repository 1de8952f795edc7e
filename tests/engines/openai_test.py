# needs: nodejs:node npm:npm
"""The official OpenAI client from npm, unmodified, against a small streaming backend behind `nines up`.

The client's own retries are off (maxRetries: 0) but where it is they that are looked at: what it sees is what nines does.
"""
import collections
import contextlib
import json
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent / "openai"
sys.path.insert(0, str(HERE.parent.parent / "scenario"))
sys.path.insert(0, str(HERE))
import harness  # noqa: E402
from backend import token  # noqa: E402

DEADLINE = 30
SAFE = "routes:\n  - {path: /v1/chat/completions, replay: safe}\n"


def installed_client():
    """A folder with client.mjs and the client of the version in package-lock.json, installed once per build folder."""
    locked = json.loads((HERE / "package-lock.json").read_text())["packages"]["node_modules/openai"]["version"]
    home = harness.BIN.parent / f"openai-{locked}"
    if not (home / "node_modules").is_dir():
        new = pathlib.Path(tempfile.mkdtemp(prefix=home.name, dir=home.parent))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, new)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=new, check=True,
                       stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=240)
        with contextlib.suppress(OSError):  # another run was faster
            new.rename(home)
        shutil.rmtree(new, ignore_errors=True)
    shutil.copy(HERE / "client.mjs", home)  # where node finds the package
    return home


def text_of(prompt, tokens=20):
    return "".join(token(prompt, number) for number in range(tokens))


class Client:
    """A node process with the client in it. Calls run side by side, each under a name, which is its prompt, too."""

    def __init__(self, url):
        self._node = subprocess.Popen(["node", installed_client() / "client.mjs", f"{url}/v1"], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._told = queue.SimpleQueue()
        self.tokens = collections.Counter()
        self.ended = {}    # name: its "end" or "error"
        self.aborted = {}  # name: when, time.time()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self._node.stdout:
            self._told.put(json.loads(line))
        self._told.put(None)

    def close(self):
        self._node.stdin.close()
        self._node.wait(timeout=10)

    def _say(self, **command):
        self._node.stdin.write(json.dumps(command) + "\n")
        self._node.stdin.flush()

    def call(self, name, do="stream", retries=0, **test):
        body = {"model": "echo", "messages": [{"role": "user", "content": name}], "test": test}
        self._say(id=name, do=do, options={"maxRetries": retries, "timeout": DEADLINE * 1000}, body=body)

    def leave(self, names):
        """Aborts these calls; by the end of the process where fetch() of Node.js forgets the signal of a request that is
        under way (18: undici holds it by a weak reference only), so that the connection would stay."""
        version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
        if int(version.lstrip("v").split(".")[0]) < 20:
            self._node.kill()
            self.aborted = dict.fromkeys(names, time.time())
            return
        for name in names:
            self._say(id=name, do="abort")
        self.until(lambda: len(self.aborted) == len(names), "the aborts")

    def until(self, true, what):
        """Takes in what is told until true()."""
        end = time.monotonic() + DEADLINE
        while not true():
            try:
                told = self._told.get(timeout=max(end - time.monotonic(), 0.001))
            except queue.Empty:
                raise AssertionError(f"not within {DEADLINE} s: {what}; {len(self.ended)} ended") from None
            if told is None:
                raise AssertionError(f"node has ended, before: {what}")
            if told["event"] == "token":
                self.tokens[told["id"]] += 1
            elif told["event"] == "aborted":
                self.aborted[told["id"]] = told["at"]
            else:
                self.ended[told["id"]] = told

    def results(self, names):
        names = list(names)
        self.until(lambda: all(name in self.ended for name in names), f"the end of {len(names)} calls")
        return {name: self.ended.pop(name) for name in names}

    def result(self, name):
        return self.results([name])[name]


def ask(replica, path):
    return json.loads(harness.http(f"http://127.0.0.1:{replica['port']}", path, timeout=DEADLINE)[2])


def open_gate(replicas, name):
    for replica in replicas:
        ask(replica, f"/open?{urllib.parse.quote(name)}")


class OpenAi(unittest.TestCase):
    def start(self, count=3, extra=SAFE):
        """(the service, a client of it)"""
        command = [harness.PYTHON, HERE / "backend.py", "{port}"]
        service = self.enterContext(harness.Service(harness.service_yaml(command, count, name="ai", extra=extra)))
        service.up()
        service.wait_ready(count)
        client = Client(service.url)
        self.addCleanup(client.close)
        return service, client

    def held(self, replicas, names):
        """Waits until the replicas hold all of these prompts; returns {name of the replica: prompts}."""
        names = set(names)

        def all_held():
            found = {replica["name"]: names & set(ask(replica, "/stats")["held"]) for replica in replicas}
            all_held.last = {name: len(prompts) for name, prompts in found.items()}
            return found if sum(map(len, found.values())) == len(names) else None
        try:
            return harness.wait_for(all_held, DEADLINE, f"{len(names)} prompts held")
        except AssertionError as late:
            raise AssertionError(f"{late}: {all_held.last}") from None

    def generations(self, service):
        lines = (service.folder / "generations").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def assert_whole(self, results, tokens=20):
        for name, result in results.items():
            self.assertEqual((result["event"], result["text"]), ("end", text_of(name, tokens)), result)

    def test_chat_models_and_streams_work(self):
        _, client = self.start()
        client.call("list", "models")
        client.call("chat", "chat")
        streams = [f"stream {number}" for number in range(50)]
        for name in streams:
            client.call(name)
        self.assertEqual(client.result("list")["text"], "echo")
        self.assert_whole(client.results(["chat", *streams]))
        self.assertEqual({client.tokens[name] for name in streams}, {20})

    def test_replicas_killed_before_the_first_token_cost_none_of_1000_streams(self):
        service, client = self.start()
        rounds, streams, hit = 12, 84, 0
        for number in range(rounds):
            replicas = service.wait_ready(3)
            names = [f"{number}/{stream}" for stream in range(streams)]
            for name in names:
                client.call(name, hold=[0], comments=name.endswith("7"))
            held = self.held(replicas, names)
            victim = max(replicas, key=lambda replica: len(held[replica["name"]]))
            hit += len(held[victim["name"]])
            # What the others hold goes on; what the victim has begins again elsewhere.
            open_gate([replica for replica in replicas if replica is not victim], str(number))
            harness.kill9(victim["pid"])
            open_gate([service.wait_replaced(victim["name"], victim["pid"])], str(number))
            self.assert_whole(client.results(names))
        self.assertGreaterEqual(hit, rounds * streams / 3)
        self.assertEqual({generation["retry"] for generation in self.generations(service)}, {0})

    def test_replicas_killed_in_the_middle_make_the_client_raise_200_times_of_200(self):
        service, client = self.start()
        broken = 0
        for number in range(20):
            replicas = service.wait_ready(3)
            names = [f"{number}/{stream}" for stream in range(84)]
            for name in names:
                client.call(name, hold=[5])
            held = self.held(replicas, names)
            client.until(lambda: all(client.tokens[name] == 5 for name in names), "five tokens of each stream")
            survivor, *victims = sorted(replicas, key=lambda replica: len(held[replica["name"]]))
            for victim in victims:
                harness.kill9(victim["pid"])
            lost = set().union(*(held[victim["name"]] for victim in victims))
            results = client.results(lost)
            for name, result in results.items():
                self.assertEqual((result["event"], result["text"]), ("error", text_of(name, 5)), result)
            open_gate([survivor], str(number))
            self.assert_whole(client.results(held[survivor["name"]]))
            broken += len(lost)
            if broken >= 200:
                break
        self.assertGreaterEqual(broken, 200)
        counts = collections.Counter(generation["prompt"] for generation in self.generations(service))
        self.assertEqual(set(counts.values()), {1}, "a stream that had begun was generated again")

    def test_the_error_of_a_broken_stream_says_what_happened(self):
        service, client = self.start(count=1)
        client.call("cut", hold=[3])
        replica, = service.wait_ready(1)
        self.held([replica], ["cut"])
        client.until(lambda: client.tokens["cut"] == 3, "three tokens")
        harness.kill9(replica["pid"])
        error = client.result("cut")["error"]
        self.assertEqual((error["name"], error["code"]), ("APIError", "stream_interrupted"), error)

    def test_an_unsafe_call_that_is_lost_is_sent_again_by_nobody(self):
        service, client = self.start(extra="")
        client.call("unsafe", "chat", hold=[0], retries=2)
        replicas = service.wait_ready(3)
        held = self.held(replicas, ["unsafe"])
        harness.kill9(next(replica["pid"] for replica in replicas if held[replica["name"]]))
        error = client.result("unsafe")["error"]
        self.assertEqual((error["status"], error["code"], error["retry"]), (502, "replica_lost", "false"), error)
        self.assertEqual(len(self.generations(service)), 1)

    def test_a_503_with_retry_after_is_honoured(self):
        service, client = self.start(count=1)
        client.call("later", retries=1, refuse={"status": 503, "after": 2})
        self.assert_whole(client.results(["later"]))
        first, second = (generation["at"] for generation in self.generations(service))
        self.assertGreaterEqual(second - first, 2)
        self.assertEqual([generation["retry"] for generation in self.generations(service)], [0, 1])

    def test_a_client_comes_back_after_nines_has_refused_it_for_want_of_a_replica(self):
        service, client = self.start(count=1, extra="gateway: {queue_time: 500ms}\n")
        service.nines("stop", "ai-1", status=0)
        service.wait_state("ai-1", "stopped")
        client.call("refused")
        client.call("back", retries=3)
        error = client.result("refused")["error"]
        self.assertEqual((error["status"], error["retry"]), (503, None), error)
        service.nines("start", "ai-1", status=0)
        self.assert_whole(client.results(["back"]))

    def test_a_spent_retry_budget_stops_the_clients_retries_too(self):
        service, client = self.start()
        def error_of(name):
            client.call(name, retries=2, vanish=True)
            return client.result(name)["error"]
        spent = next((number for number in range(30) if error_of(f"vanish {number}")["retry"] == "false"), None)
        self.assertIsNotNone(spent, "the budget is never spent")
        error = error_of("after")
        self.assertEqual((error["status"], error["code"], error["retry"]), (502, "replica_lost", "false"), error)
        mine = [generation["retry"] for generation in self.generations(service) if generation["prompt"] == "after"]
        self.assertEqual(mine, [0], "one attempt, by nines and by the client")

    def test_a_client_that_leaves_frees_its_replica(self):
        # The bound is 100 ms (bench); a busy machine may take ten times that.
        service, client = self.start()
        replicas = service.wait_ready(3)
        names = []
        for number in range(10):
            for do, at in (("chat", 0), ("stream", 0), ("stream", 5)):
                names.append(f"{do} {at}.{number}")
                client.call(names[-1], do, hold=[at])
        self.held(replicas, names)
        client.until(lambda: all(client.tokens[name] == 5 for name in names if "stream 5" in name), "tokens")
        client.leave(names)
        left = {}

        def all_left():
            for replica in replicas:
                left.update(ask(replica, "/stats")["left"])
            all_left.missing = set(names) - left.keys()
            return not all_left.missing
        try:
            harness.wait_for(all_left, DEADLINE, "the replicas have seen them leave")
        except AssertionError as late:
            raise AssertionError(f"{late}; not seen: {all_left.missing}") from None
        late = {name: left[name] - client.aborted[name] for name in names}
        self.assertLess(max(late.values()), 1, late)
        print(f"seen to leave within {max(late.values()) * 1000:.0f} ms of the abort", file=sys.stderr)


if __name__ == "__main__":
    harness.main()
