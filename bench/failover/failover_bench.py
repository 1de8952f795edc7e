"""Failed requests and the worst latency, behind nines, HAProxy, nginx and Caddy, while one of three servers fails.

24 keep-alive clients that never retry (bench/load), every second request a POST; a request takes 5 ms, a server 500 ms to
start. Each proxy is measured at its defaults and with its equivalent of `replay: safe`: HAProxy's `retry-on
all-retryable-errors`, nginx's `proxy_next_upstream … non_idempotent` and a `fail_timeout` of 1 s, Caddy's `lb_retry_match`,
`buffer_requests` and `fail_duration`. The peers' servers have a supervisor as well: it starts one that has exited again at once, as nines does, and restarts them one after the other,
each when the one before has been healthy for a second.

  kill      kill -9 of one
  hang      one is stopped for 5 s
  rolling   SIGTERM to one after the other; the server finishes what it has, for at most 5 s. nines: `nines restart` of each
  reload    five, half a second apart
"""
import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "gateway"))
import proxies  # noqa: E402

SERVER = ["--service-us", 5000, "--start-delay-ms", 500]
GRACE_SECONDS = 5
HANG_SECONDS = 5
WORST_ON_HANG_MS = 1500
BODY = '{"text":"How long is a piece of string?"}'


class Supervised(proxies.Backends):
    """The peers' servers: one that exits is started again at once."""

    def __init__(self):
        self.closing = False
        super().__init__(arguments=SERVER)
        self.threads = [threading.Thread(target=self.watch, args=(index,)) for index in range(len(self.ports))]
        for thread in self.threads:
            thread.start()

    def watch(self, index):
        while not self.closing:
            try:
                self.processes[index].wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            if not self.closing:
                self.start(index)

    def restart(self, index):
        old = self.processes[index]
        old.terminate()
        try:
            proxies.wait_for(lambda: self.processes[index] is not old, GRACE_SECONDS, "a server that ends")
        except RuntimeError:
            old.kill()
            proxies.wait_for(lambda: self.processes[index] is not old, GRACE_SECONDS, "a server that was killed")
        proxies.wait_for(lambda: proxies.get(self.ports[index], "/health")[0] == 200, 20, "a server that starts")

    def close(self):
        self.closing = True
        for thread in self.threads:
            thread.join()
        super().close()


def kill(proxy):
    os.kill(proxy.backend_pids()[0], signal.SIGKILL)
    time.sleep(3)


def hang(proxy):
    pid = proxy.backend_pids()[0]
    os.kill(pid, signal.SIGSTOP)
    time.sleep(HANG_SECONDS)
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass  # nines may have replaced it
    time.sleep(1)


def rolling(proxy):
    for index in range(3):
        if proxy.name == "nines":
            proxy.restart(index)
        else:
            proxy.backends.restart(index)
        time.sleep(1)


def reload(proxy):
    for _ in range(5):
        proxy.reload()
        time.sleep(0.5)


SCENARIOS = {"kill": kill, "hang": hang, "rolling": rolling, "reload": reload}


def measure(kind, safe, scenario):
    backends = Supervised() if kind.name != "nines" else None
    try:
        proxy = kind(backends, safe=safe, arguments=SERVER)
        try:
            load = proxies.start([proxies.LOAD, "--url", f"http://127.0.0.1:{proxy.port}", "--connections", 24, "--get", "/work",
                                  "--post", f"/work={BODY}", "--duration", "120s", "--timeout", "15s", "--json"],
                                 stdout=subprocess.PIPE, text=True)
            time.sleep(1)
            SCENARIOS[scenario](proxy)
            time.sleep(1)
            load.send_signal(signal.SIGTERM)
            result = json.loads(load.communicate(timeout=40)[0])
        finally:
            proxy.close()
    finally:
        if backends:
            backends.close()
    worst = max([result["latency_ms"]["max"], *(one["lasted_ms"] for one in result["failures"])])
    kinds = [one if one != "status" else "" for one in result["by_kind"]]
    kinds += [status for status in result["by_status"] if status != "200"]
    return {"requests": result["requests"], "failed": result["failed"], "worst_ms": worst, "kinds": " ".join(filter(None, kinds)),
            "failures": result["failures"][:5]}


def cell(result):
    text = f"{result['failed']} of {result['requests']}"
    return text + (f" ({result['kinds']})" if result["failed"] else "") + f", worst {result['worst_ms'] / 1000:.2f} s"


def judge(found):
    """0 failed and, on a hang, nobody waits long: what `replay: safe` promises."""
    print("\ngoals, with `replay: safe`")
    missed = 0
    for scenario, result in found["nines, replay: safe"].items():
        wanted = [(f"{scenario}: failed {result['failed']} of {result['requests']} (at most 0)", result["failed"] == 0)]
        if scenario == "hang":
            wanted.append((f"{scenario}: worst {result['worst_ms']:.0f} ms (at most {WORST_ON_HANG_MS} ms)",
                           result["worst_ms"] <= WORST_ON_HANG_MS))
        for what, ok in wanted:
            missed += not ok
            print(f"  {'✓' if ok else '✗'} {what}")
        for one in result["failures"]:
            print(f"      {one['after_s']:.3f} s: {one['kind']} {one['status']} {one['method']} {one['detail']} {one['body'][:100]}")
    return missed


def main():
    parser = argparse.ArgumentParser(prog="./dev bench failover", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="only proxies whose name matches this expression, such as nines")
    parser.add_argument("--scenario", choices=SCENARIOS, action="append", help="may be repeated (all)")
    parser.add_argument("--json", type=pathlib.Path, help="writes every result there")
    given = parser.parse_args()
    if missing := proxies.missing_programs():
        sys.exit(f"not installed or not built: {', '.join(missing)}. ./dev bench failover does both.")
    proxies.raise_file_limit()
    scenarios = given.scenario or list(SCENARIOS)
    print(f"{'failed requests, worst latency':32}" + "".join(f"{scenario:44}" for scenario in scenarios))
    found = {}
    for kind in proxies.ALL:
        for safe in (False, True):
            name = f"{kind.name}, {kind.safe_is if safe else 'defaults'}"
            if not re.search(given.only, name):
                continue
            found[name] = {scenario: measure(kind, safe, scenario) for scenario in scenarios}
            print(f"{name:32}" + "".join(f"{cell(one):44}" for one in found[name].values()), flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    missed = judge(found) if "nines, replay: safe" in found else 0
    print(f"\n{missed} goals missed" if missed else "\nevery goal that was asked for is met")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
