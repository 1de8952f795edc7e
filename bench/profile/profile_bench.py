"""Where a small request spends its time. See docs/internals/performance.md.

  callgrind   instructions of our own part per request, by module and by function: the same on every machine. Two runs of
              `nines gateway`, one with more requests, and their difference: start and end cancel out
  perf        which share of the CPU is the kernel's, and for what, of `nines up` and of HAProxy under the same load
  strace      system calls per request, the same two
"""
import argparse
import collections
import http.client
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "gateway"))
import proxies  # noqa: E402

SHOWN = 25


def ask(port, count):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(count):
        connection.request("GET", "/small")
        if connection.getresponse().read() == b"":
            sys.exit("an empty answer")
    connection.close()


def instructions(backends, requests):
    """{function: instructions} of a gateway that has answered so many requests."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nines-bench-profile-"))
    # Debian's valgrind ends when it meets what clang 19 says for debuggers; names are in the symbol table, too.
    subprocess.run(["strip", "--strip-debug", "-o", folder / "nines", proxies.BIN / "nines"], check=True)
    port = proxies.free_port(12000)
    (folder / "nines.yaml").write_text(json.dumps({
        "service": "profile", "listen": f"127.0.0.1:{port}", "dashboard": "none", "gateway": {"access_log": "none"},
        "replicas": {"endpoints": [f"127.0.0.1:{backend}" for backend in backends.ports]}}))
    out = folder / "callgrind.out"
    with open(folder / "log", "wb") as log:
        process = proxies.start(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", folder / "nines", "-c",
                                 "nines.yaml", "--state", folder / "state", "gateway", "--threads", 1],
                                cwd=folder, stdout=log, stderr=log)
    try:
        proxies.wait_for(lambda: process.poll() is not None or proxies.get(port, "/small", 30)[0] == 200, 90,
                         "a gateway under callgrind")
        if process.poll() is not None:
            sys.exit((folder / "log").read_text())
        ask(port, requests)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        proxies.stop(process)
    shown = subprocess.run(["callgrind_annotate", "--threshold=100", "--show-percs=no", out], check=True, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    found = collections.Counter()
    for line in shown.splitlines():
        if match := re.match(r"\s*([\d,]+) +(\S+?):(.*?)(?: \[[^\]]*\])?$", line):
            found[match[3]] += int(match[1].replace(",", ""))
    shutil.rmtree(folder)
    if not found:
        sys.exit("callgrind_annotate shows nothing")
    return found


def place(function):
    """nines::http::HeadParser::feed(…) -> http/"""
    if match := re.search(r"\bnines::(\w+)::", function):
        return match[1] + "/"
    if "nines::" in function:
        return "base/"
    return "the C++ library" if "std::" in function or function.startswith("operator") else "libc and the rest"


def by_callgrind(few, many):
    backends = proxies.Backends()
    try:
        before, after = instructions(backends, few), instructions(backends, many)
    finally:
        backends.close()
    each = {key: (after[key] - before[key]) / (many - few) for key in after}
    places = collections.Counter()
    for function, count in each.items():
        places[place(function)] += count
    print(f"\ncallgrind: {sum(each.values()):.0f} instructions a request, of them in")
    for name, count in places.most_common():
        if count >= 1:
            print(f"  {count:8.0f}  {name}")
    print(f"\n  the {SHOWN} functions with the most of their own")
    for function, count in sorted(each.items(), key=lambda item: -item[1])[:SHOWN]:
        print(f"  {count:8.0f}  {re.sub(r'[(].*', '', function)[:100]}")


def busiest(pids):
    def ticks(pid):
        return sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    return max(pids, key=ticks)


def loaded(proxy, seconds, while_it_runs):
    """(what `while_it_runs` returned, requests per second)"""
    load = proxies.start(["wrk", "-t1", "-c64", f"-d{seconds}s", f"http://127.0.0.1:{proxy.port}/small"],
                         stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    result = while_it_runs(busiest(proxy.pids()))
    return result, float(re.search(r"Requests/sec: +([\d.]+)", load.communicate()[0])[1])


def report(data, sort):
    shown = subprocess.run(["perf", "report", "-i", data, "--no-children", "--sort", sort, "--stdio"], check=True, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    rows = (line.split() for line in shown.splitlines() if line.strip() and not line.startswith("#"))
    return [(row[0], row[2] if row[1].startswith("[") and len(row) > 2 else row[1], row[1]) for row in rows]


def by_perf(proxy, seconds):
    data = proxy.folder / "perf.data"

    def record(pid):
        subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "4999", "-o", data, "-p", str(pid), "--", "sleep",
                        str(seconds)], check=True, stdout=subprocess.DEVNULL)
    _, rate = loaded(proxy, seconds + 3, record)
    print(f"\nperf, {proxy.name}, {rate:.0f} requests per second: samples in")
    for share, name, _ in report(data, "dso")[:4]:
        print(f"  {share:>8}  {name}")
    print("  of the kernel")
    for share, name, mark in [row for row in report(data, "symbol") if row[2] == "[k]"][:12]:
        print(f"  {share:>8}  {name}")


def by_strace(proxy, seconds):
    def count(pid):
        done = subprocess.run(["timeout", "-s", "INT", str(seconds), "strace", "-c", "-f", "-S", "calls", "-p", str(pid)],
                              check=False, text=True, stderr=subprocess.PIPE)
        return {match[2]: int(match[1]) for match in
                re.finditer(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+)(?: +\d+)? +(\w+)$", done.stderr, re.M)}
    calls, _ = loaded(proxy, seconds + 3, count)
    calls.pop("total", None)
    # One answer to the client is one write to it: half of all writes.
    writes = sum(count for name, count in calls.items() if name in ("sendto", "sendmsg", "send", "writev", "write"))
    requests = max(writes / 2, 1)
    parts = ", ".join(f"{name} {count / requests:.2f}" for name, count in sorted(calls.items(), key=lambda one: -one[1])[:5])
    print(f"\nstrace, {proxy.name}: {sum(calls.values()) / requests:.2f} system calls a request: {parts}")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench profile", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000, help="under callgrind (%(default)s)")
    parser.add_argument("--seconds", type=int, default=5, help="of each sample (%(default)s)")
    given = parser.parse_args()
    proxies.raise_file_limit()
    by_callgrind(given.requests // 10, given.requests)
    backends = proxies.Backends()
    running = [kind(backends) for kind in proxies.ALL if kind.name in ("HAProxy", "nines")]
    try:
        for proxy in running:
            by_perf(proxy, given.seconds)
            by_strace(proxy, given.seconds)
    finally:
        for proxy in running:
            proxy.close()
        backends.close()


if __name__ == "__main__":
    main()
