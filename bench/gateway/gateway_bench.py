"""nines beside HAProxy, nginx and Caddy: what a request costs. See `run` for how to start it, and docs/internals/performance.md.

How it is measured. All proxies run all the time; each round measures each of them once, in another order, so that a slow
minute of the machine hits everybody. A figure is the median over the rounds, a ratio the median of the rounds' own ratios.

  CPU      user and system time of all processes of the proxy, per request, in µs
  machine  the same of proxy, server, load and the kernel's softirq threads: work that a proxy pushes elsewhere shows here
  busy     all that the machine was busy with (without steal), per request: more than `machine` when others work on it, too
"""
import argparse
import json
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import time

import procfs
import proxies

HERE = pathlib.Path(__file__).resolve().parent
RATE_SHARE = 0.5  # of what the slowest of them can do: below saturation for all
RATE_MAX = 4000
# A tail is the noisiest figure of all: it gets twice the rounds, and "no worse" means by no more than HAProxy's own rounds
# differ from their median. On a machine that is noisier than this the goal is not met, whoever is to blame.
NOISE_MAX = 0.15


def run_load(command, use):
    """The load's last line as JSON, and what everybody used meanwhile."""
    before = child_seconds()
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True)
    use.end(child_seconds() - before)
    return json.loads(done.stdout.strip().splitlines()[-1].removeprefix("JSON "))


def child_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def sample(proxy, command, count_of):
    use = procfs.Use(proxy.pids(), proxy.backend_pids())
    result = run_load(command, use)
    count = max(count_of(result), 1)
    return {"cpu_us": use.proxy / count * 1e6, "machine_us": use.ours / count * 1e6, "busy_us": use.busy / count * 1e6,
            "others": max(0.0, 1 - use.ours / use.busy) if use.busy else 0.0, "steal_s": use.steal, "count": count,
            "rss_mib": procfs.rss(proxy.pids()) / 2**20, **result}


class Wrk:
    unit = "request"

    def __init__(self, name, connections, path, body=None):
        self.name, self.connections, self.path, self.body = name, connections, path, body

    def measure(self, proxy, seconds):
        command = ["wrk", "-t1", f"-c{self.connections}", f"-d{seconds}s", "-s", HERE / "wrk.lua",
                   f"http://127.0.0.1:{proxy.port}{self.path}", *(["--", self.body] if self.body else [])]
        result = sample(proxy, command, lambda done: done["requests"])
        return {**result, "per_s": result["requests"] / result["seconds"]}


class Streams:
    """200 small events 5 ms apart on each of 64 streams: an event is one write of the server's, and none waits for another."""

    unit = "event"
    name = "SSE, 200 small events a stream, 64 streams"

    def measure(self, proxy, seconds):
        command = [proxies.CLIENT, "streams", "--port", proxy.port, "--connections", 64, "--seconds", max(seconds, 2)]
        result = sample(proxy, command, lambda done: done["events"])
        return {**result, "per_s": result["events"] / result["elapsed_s"], "p50_ms": result["event_p50_ms"],
                "p99_ms": result["event_p99_ms"], "failed": sum(result["failed"].values())}


class Rate:
    """An open loop, so that p99 shows what waits: latency counts from the moment at which a request was due."""

    unit = "request"

    def __init__(self, rate):
        self.rate = rate
        self.name = f"small JSON at an equal rate of {rate}/s"

    def measure(self, proxy, seconds):
        command = [proxies.CLIENT, "rate", "--port", proxy.port, "--rate", self.rate, "--seconds", seconds, "--connections", 256]
        result = sample(proxy, command, lambda done: done["answered"])
        ok = result["by_status"].get("200", {})
        return {**result, **ok, "per_s": result["answered"] / result["elapsed_s"],
                "failed": sum(result["failed"].values()) + result["answered"] - ok.get("count", 0)}


CLOSED = [Wrk("small JSON, 1 connection", 1, "/small"), Wrk("small JSON, 64 connections", 64, "/small"),
          Wrk("small JSON, 256 connections", 256, "/small"), Wrk("64 KiB body, 16 connections", 16, "/echo", 65536),
          Wrk("1 MiB download, 16 connections", 16, "/big"), Streams()]
SMALL, STREAMS = CLOSED[1], CLOSED[-1]
COLUMNS = [("cpu_us", "CPU µs", 1), ("machine_us", "machine µs", 1), ("busy_us", "busy µs", 1), ("per_s", "per s", 0),
           ("p50_ms", "p50 ms", 3), ("p99_ms", "p99 ms", 3), ("p99_9_ms", "p99.9 ms", 3), ("rss_mib", "RSS MiB", 1)]


def play(workloads, running, rounds, seconds):
    """{workload: {proxy: [sample of each round]}}"""
    found = {workload.name: {proxy.name: [] for proxy in running} for workload in workloads}
    for round_number in range(rounds):
        turn = round_number % len(running)
        for workload in workloads:
            for proxy in running[turn:] + running[:turn]:
                found[workload.name][proxy.name].append(workload.measure(proxy, seconds))
        print(f"  round {round_number + 1} of {rounds} done", file=sys.stderr, flush=True)
    return found


def median(samples, key):
    values = [one[key] for one in samples if key in one]
    return statistics.median(values) if values else None


def ratio(samples, key, of, to):
    pairs = [(a[key], b[key]) for a, b in zip(samples[of], samples[to]) if a.get(key) and b.get(key)]
    return statistics.median(a / b for a, b in pairs) if pairs else None


def show(name, samples, unit):
    everything = [one for rows in samples.values() for one in rows]
    steal = sum(one["steal_s"] for one in everything)
    others = statistics.median(one["others"] for one in everything)
    print(f"\n{name}   (per {unit}; steal {steal:.1f} s in all, other processes {others:.0%} of what was busy)")
    print(" " * 18 + "".join(f"{title:>12}" for _, title, _ in COLUMNS))
    for proxy, rows in samples.items():
        cells = [(median(rows, key), digits) for key, _, digits in COLUMNS]
        failed = sum(one["failed"] for one in rows)
        print(f"  {proxy:<16}" + "".join(" " * 11 + "–" if v is None else f"{v:12.{d}f}" for v, d in cells) +
              (f"   FAILED {failed}" if failed else ""))
    for peer in samples:
        if peer != "nines":
            cells = [ratio(samples, key, "nines", peer) for key, _, _ in COLUMNS]
            print(f"  {'nines/' + peer:<16}" + "".join(" " * 11 + "–" if v is None else f"{v:11.2f}×" for v in cells))


def measure_idle(kind, backends, connections):
    """Bytes of the proxy's memory per idle connection, after one request on each, and the kernel's beside it."""
    proxy = kind(backends)
    try:  # what is allocated once is allocated before
        subprocess.run(["wrk", "-t1", "-c64", "-d1s", f"http://127.0.0.1:{proxy.port}/small"], check=True,
                       stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        before, kernel = procfs.rss(proxy.pids()), procfs.kernel_bytes()
        client = proxies.start([proxies.CLIENT, "idle", "--port", proxy.port, "--connections", connections],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        opened = json.loads(client.stdout.readline())
        time.sleep(1)
        after, kernel_after = procfs.rss(proxy.pids()), procfs.kernel_bytes()
        rest, _ = client.communicate()
        return {"bytes": (after - before) / connections, "kernel_bytes": (kernel_after - kernel) / connections,
                "idle": opened["idle"], "open": json.loads(rest)["open"]}
    finally:
        proxy.close()


def show_idle(found, connections):
    print(f"\n{connections} idle connections, one request made on each   (bytes per connection)")
    for name, one in found.items():
        held = "" if one["open"] == connections else f"   NOT HELD: {connections - one['open']} of {connections}"
        print(f"  {name:<16}{one['bytes']:12.0f}   kernel, both ends, beside it: {one['kernel_bytes']:.0f}{held}")


class Goals:
    def __init__(self):
        self.missed = 0
        print("\ngoals")

    def at_most(self, what, value, bound, form="{:.2f}×"):
        ok = value is not None and value <= bound
        self.missed += not ok
        shown = "nothing measured" if value is None else form.format(value)
        print(f"  {'✓' if ok else '✗'} {what}: {shown} (at most {form.format(bound)})")


def noise_of(samples, key):
    """How far a peer is from itself: the median distance of its rounds from their median, as a share."""
    values = [one[key] for one in samples]
    middle = statistics.median(values)
    return statistics.median(abs(value - middle) for value in values) / middle


def judge(found, rate_name, idle, connections):
    goals = Goals()
    small, streams, rate = found[SMALL.name], found[STREAMS.name], found[rate_name]
    goals.at_most("CPU of the process, small JSON at 64 connections, of HAProxy's", ratio(small, "cpu_us", "nines", "HAProxy"), 0.8)
    goals.at_most("CPU of the machine, the same", ratio(small, "machine_us", "nines", "HAProxy"), 0.9)
    goals.at_most("CPU per event of a stream, of nginx's", ratio(streams, "cpu_us", "nines", "nginx"), 0.8)
    noise = noise_of(rate["HAProxy"], "p99_ms")
    goals.at_most(f"p99 at an equal rate, of HAProxy's, which differs from itself by {noise:.0%}",
                  ratio(rate, "p99_ms", "nines", "HAProxy"), 1 + min(max(0.05, noise), NOISE_MAX))
    goals.at_most("memory per idle connection", idle["nines"]["bytes"], 8192, "{:.0f} B")
    goals.at_most("idle connections that were not held", connections - idle["nines"]["open"], 0, "{:.0f}")
    failed = sum(one["failed"] for samples in found.values() for one in samples["nines"])
    goals.at_most("requests to nines that failed", failed, 0, "{:.0f}")
    return goals.missed


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench gateway", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three rounds of one second, for a first impression")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="of one measurement (2)")
    parser.add_argument("--only", default="", help="only workloads whose name matches this expression; judges nothing")
    parser.add_argument("--json", type=pathlib.Path, help="writes every sample there")
    given = parser.parse_args()
    given.rounds = given.rounds or (3 if given.quick else 5)
    given.seconds = given.seconds or (1 if given.quick else 2)
    given.idle = 1000 if given.quick else 5000
    return given


def main():
    given = arguments()
    if missing := proxies.missing_programs():
        sys.exit(f"not installed or not built: {', '.join(missing)}. ./dev bench gateway does both.")
    proxies.raise_file_limit()
    began = time.monotonic()
    print("versions: " + ", ".join(f"{name} {version}" for name, version in proxies.versions().items()))
    backends = proxies.Backends()
    running = [kind(backends) for kind in proxies.ALL]
    workloads = [one for one in CLOSED if re.search(given.only, one.name)]
    idle = {}
    try:
        found = play(workloads, running, given.rounds, given.seconds)
        for workload in workloads:
            show(workload.name, found[workload.name], workload.unit)
        if not given.only:
            slowest = min(median(rows, "per_s") for rows in found[SMALL.name].values())
            rate = Rate(min(RATE_MAX, int(slowest * RATE_SHARE) // 100 * 100 or 100))
            found |= play([rate], running, 2 * given.rounds, given.seconds)
            show(rate.name, found[rate.name], rate.unit)
    finally:
        for proxy in running:
            proxy.close()
    if not given.only:
        idle = {kind.name: measure_idle(kind, backends, given.idle) for kind in proxies.ALL}
        show_idle(idle, given.idle)
    backends.close()
    if given.json:
        given.json.write_text(json.dumps({"workloads": found, "idle": idle}, indent=1))
    missed = 0 if given.only else judge(found, rate.name, idle, given.idle)
    verdict = "nothing was judged" if given.only else f"{missed} goals missed" if missed else "every goal is met"
    print(f"\n{time.monotonic() - began:.0f} s; {verdict}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
