"""Ten times more load than capacity, full outage, hostile requests, and servers that are dead or busy while /health says ok."""
import argparse
import http.client
import json
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "gateway"))
import procfs  # noqa: E402
import proxies  # noqa: E402

BODY = '{"text":"How long is a piece of string?"}'
# What silence means is cut to a fifteenth, so that this takes a minute and not a quarter of an hour.
CANARY = {"post": "/work", "json": {"text": "Guten Morgen"}, "expect": {"pointer": "/label", "equals": "en"}, "stall": "2s",
          "timeout": "1s"}

BUDGET_WINDOW = 10  # seconds of requests that the retry budget counts


class Goals:
    def __init__(self):
        self.missed = []

    def __call__(self, what, ok, seen):
        print(f"  {'✓' if ok else '✗'} {what}: {seen}", flush=True)
        if not ok:
            self.missed.append(what)


def at_rate(proxy, rate, seconds, path, connections=4000, body=None):
    command = [proxies.CLIENT, "rate", "--port", proxy.port, "--rate", rate, "--seconds", seconds, "--path", path, "--connections",
               connections, *(["--body", body] if body else [])]
    return proxies.start(command, stdout=subprocess.PIPE, text=True)


def result_of(load):
    return json.loads(load.communicate(timeout=120)[0])


def users(proxy, *requests, seconds=None):
    limit = ["--duration", f"{seconds}s"] if seconds else ["--duration", "10m"]
    return proxies.start([proxies.LOAD, "--url", f"http://127.0.0.1:{proxy.port}", "--connections", 24, *requests, *limit,
                          "--timeout", "60s", "--json"], stdout=subprocess.PIPE, text=True)


def print_failures(result):
    for one in result["failures"][:3]:
        print(f"      {one['after_s']:.3f} s: {one['kind']} {one['status']} {one['method']} after {one['lasted_ms']:.0f} ms: "
              f"{one['detail']} {one['body'][:150]}")


def stop_users(load):
    load.send_signal(signal.SIGTERM)
    return result_of(load)


def stats(port):
    return json.loads(proxies.get(port, "/stats")[1])


def attempts(ports):
    return sum(stats(port)["requests"] for port in ports)


def set_mode(port, mode):
    proxies.get(port, f"/control?mode={mode}")


def overload(goals):
    """Four servers that do 32 requests at a time, 400 ms each: as many as nines sends them by default, so they are never slower
    for being loaded, and the queue of 100 is shorter than what is in service (else waiting alone would take 400 ms)."""
    service_us, slots, count = 400_000, 32, 4
    capacity = count * slots * 1_000_000 // service_us
    proxy = proxies.Nines(None, arguments=["--slots", slots, "--service-us", service_us], count=count, gateway={})
    try:
        calm = result_of(at_rate(proxy, capacity // 10, 4, "/work"))["by_status"]["200"]
        load, memory, told = at_rate(proxy, capacity * 10, 12, "/work"), [], ""
        while load.poll() is None:
            time.sleep(1)
            memory.append(procfs.rss(proxy.pids()) / 2**20)
            told = told or retry_after(proxy)
        result = result_of(load)
    finally:
        proxy.close()
    print(f"\noverload: {capacity * 10}/s, ten times what four servers can do; {result['by_status'].get('200', {}).get('count')} of "
          f"{result['due']} served, first byte unloaded p99 {calm['first_byte_p99_ms']:.0f} ms")
    accepted, rejected = result["by_status"].get("200", {}), result["by_status"].get("503", {})
    goals("rejects take less than 50 ms, p99", rejected.get("p99_ms", 1e9) < 50, f"{rejected.get('p99_ms')} ms")
    goals("first byte of the accepted within 2 × of unloaded, p99",
          accepted.get("first_byte_p99_ms", 1e9) <= 2 * calm["first_byte_p99_ms"], f"{accepted.get('first_byte_p99_ms')} ms")
    goals("nothing but 200 and 503", set(result["by_status"]) <= {"200", "503"} and not result["failed"],
          f"{sorted(result['by_status'])}, {result['failed']}")
    goals("nine tenths of the capacity is used", accepted.get("count", 0) >= 0.9 * capacity * 12, f"{accepted.get('count')} served")
    early, late = max(memory[2:5]), max(memory[-4:])
    goals("memory is flat: at most 5 % more at the end than after 3 s", late <= early * 1.05, f"{early:.1f} → {late:.1f} MiB")
    goals("a reject says when to come back", told.isdigit(), f"Retry-After: {told}")


def retry_after(proxy):
    for _ in range(20):
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        try:
            connection.request("GET", "/work")
            response = connection.getresponse()
            if response.status == 503:
                return response.getheader("Retry-After") or "absent"
        except OSError:
            pass
        finally:
            connection.close()
    return ""


def outage(goals):
    """Every server takes a request and ends the connection, or answers 500, while its health path says ok."""
    print("\nfull outage of the servers, all routes `replay: safe`")
    for mode in ("reset", "fail"):
        proxy = proxies.Nines(None, safe=True, gateway={})
        try:
            ports = proxy.backend_ports()
            for port in ports:
                set_mode(port, mode)
            before = attempts(ports)
            time.sleep(BUDGET_WINDOW)  # what asked whether it is there must not count for the budget
            result = result_of(at_rate(proxy, 300, 12, "/work", connections=1000))
            made = attempts(ports) - before
        finally:
            proxy.close()
        goals(f"mode {mode}: attempts at most 1.2 × requests", made <= 1.2 * result["due"],
              f"{made} for {result['due']}: {made / result['due']:.2f}×; answered "
              f"{ {status: one['count'] for status, one in result['by_status'].items()} }")


def malformed(goals):
    """A client floods the service with bodies that the server answers with 500: its fault, not the servers'."""
    print("\na flood of malformed JSON, answered with 500")
    proxy = proxies.Nines(None, gateway={})
    try:
        flood = users(proxy, "--post", "/work=not JSON")
        time.sleep(4)
        ports = proxy.backend_ports()
        before = {port: stats(port)["requests"] for port in ports}
        good = result_of(at_rate(proxy, 100, 4, "/small", connections=256))
        served = {port: stats(port)["requests"] - before[port] for port in ports}
        flooded = stop_users(flood)
    finally:
        proxy.close()
    goals("good requests beside it are all answered", good["by_status"].get("200", {}).get("count", 0) == good["due"],
          f"{good['by_status'].get('200', {}).get('count', 0)} of {good['due']}")
    goals("nobody is ejected: each server gets its share", min(served.values()) > sum(served.values()) / 10,
          f"{sorted(served.values())} requests")
    goals("the flood gets what the server said", set(flooded["by_status"]) == {"500"}, f"{flooded['by_status']}")


def dead_inference(goals):
    """One server goes on saying ok on /health and answers nothing else any more."""
    print("\na server that passes /health and hangs on inference")
    proxy = proxies.Nines(None, safe=True, arguments=["--service-us", 5000], gateway={}, replicas={"canary": CANARY})
    try:
        ports = proxy.backend_ports()
        load = users(proxy, "--get", "/work", "--post", f"/work={BODY}")
        time.sleep(2)
        set_mode(ports[0], "hang")
        pause = 15
        time.sleep(pause)
        calm = result_of(users(proxy, "--get", "/work", "--post", f"/work={BODY}", seconds=4))
        result = stop_users(load)
    finally:
        proxy.close()
    goals(f"after {pause} s nobody meets it any more", calm["failed"] == 0 and calm["latency_ms"]["max"] < 1000,
          f"{calm['failed']} of {calm['requests']} failed, worst {calm['latency_ms']['max']:.0f} ms")
    goals("nobody was failed by it, as requests may be sent again", result["failed"] == 0,
          f"{result['failed']} of {result['requests']}, worst {result['latency_ms']['max']:.0f} ms")
    print_failures(result)


def long_prefill(goals, seconds):
    """One request takes long and sends no byte meanwhile; the server answers others. A first byte is waited for 5 s, or longer
    while the server proves to be alive."""
    print(f"\na server that is busy with one request for {seconds} s")
    proxy = proxies.Nines(None, arguments=["--service-us", 5000], replicas={"canary": CANARY},
                          gateway={"timeouts": {"first_byte": "5s", "first_byte_max": "600s"}})
    try:
        answer = []
        prefill = threading.Thread(target=lambda: answer.append(proxies.get(proxy.port, f"/work?us={seconds * 1_000_000}",
                                                                            timeout=seconds + 30)[0]))
        prefill.start()
        load = users(proxy, "--get", "/work", "--post", f"/work={BODY}")
        ports = proxy.backend_ports()
        time.sleep(seconds - 4)
        before = {port: stats(port)["requests"] for port in ports}
        time.sleep(2)
        served = {port: stats(port)["requests"] - before[port] for port in ports}
        prefill.join()
        result = stop_users(load)
    finally:
        proxy.close()
    goals("it is still routed: every server gets its share", min(served.values()) > sum(served.values()) / 10,
          f"{sorted(served.values())} requests in 2 s")
    goals("the long request is answered", answer == [200], f"{answer}")
    goals("nobody else notices", result["failed"] == 0, f"{result['failed']} of {result['requests']} failed")
    print_failures(result)


def leavers(goals):
    """A client that goes has its server freed: nobody reads the answer any more."""
    print("\nclients that leave")
    proxy = proxies.Nines(None, arguments=["--service-us", 5000], gateway={})
    try:
        ports = proxy.backend_ports()
        for when, path, first in (("before the first byte", "/work?us=20000000", None),
                                  ("in the middle of a stream", "/sse?events=1000&every_us=20000", b"data:")):
            took = [time_to_leave(proxy.port, ports, path, first) for _ in range(20)]
            goals(f"one that leaves {when} frees its server within 100 ms", max(took) < 0.1,
                  f"at most {max(took) * 1000:.1f} ms, of 20")
    finally:
        proxy.close()


def time_to_leave(port, ports, path, first):
    """Seconds from a client's close() until its server has seen it; `first`: it leaves when it has read this."""
    def count(what):
        return sum(stats(one)[what] for one in ports)
    requests, abandoned = count("requests"), count("abandoned")
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        seen = b""
        while first and first not in seen:
            seen += client.recv(4096)
        proxies.wait_for(lambda: count("requests") > requests, 5, "a server that has the request")
    left = time.monotonic()
    proxies.wait_for(lambda: count("abandoned") > abandoned, 5, "a server that sees its client leave")
    return time.monotonic() - left


def main():
    parts = {"overload": overload, "outage": outage, "malformed": malformed, "dead_inference": dead_inference,
             "leavers": leavers, "long_prefill": None}
    parser = argparse.ArgumentParser(prog="./dev bench overload", description=__doc__)
    parser.add_argument("--part", choices=parts, action="append", help="may be repeated (all)")
    parser.add_argument("--prefill", type=int, default=20, help="seconds; 300 is a real one (20)")
    given = parser.parse_args()
    parts["long_prefill"] = lambda to: long_prefill(to, given.prefill)
    proxies.raise_file_limit()
    goals = Goals()
    for name in given.part or parts:
        parts[name](goals)
    print(f"\n{len(goals.missed)} goals missed" if goals.missed else "\nevery goal is met")
    sys.exit(1 if goals.missed else 0)


if __name__ == "__main__":
    main()
