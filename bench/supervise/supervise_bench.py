"""nines beside supervisord, runit, monit and s6: what each makes of a server that crashes, hangs, leaks or cannot start.

Each keeps three copies of one server up (5 ms a request, 200 ms to start). In front of all of them is the same `nines gateway`
with equal settings; `nines up` is measured with its own gateway, which its supervisor tells who has exited. "nines" is the
supervisor alone behind that same gateway: its servers listen on a fixed port besides the one that nines gives them.

  rest      memory (PSS) and CPU of all the supervisor's processes while nothing happens. Of nines: anchor, supervisor, keeper, gateway
  crash     kill -9 of each of the three, once, then everything anew: nobody's back-off is met. Under 24 clients that never
            retry, at 400 requests a second: GETs that may be repeated, then half POSTs that may not
  oom       a server takes 512 MiB where 128 are allowed, by whatever limit each supervisor has
  hang      SIGSTOP of one; then another answers its health path, but nothing else
  loop      a server that exits at once: starts in the first minute, then it is mended
  unroute   `nines up` alone: from an exit to the last request that is sent there, over many kills

Noticed: from the kill to the first line of main() of the next process. Back: until it answers GET /health. Added: the same
less the server's own time from main() to that answer, measured alone.
"""
import argparse
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import supervisors
from supervisors import procfs, proxies

BODY = '{"text":"How long is a piece of string?"}'
PARTS = ("rest", "crash", "oom", "hang", "loop", "unroute")
HANGS = ("SIGSTOP", "inference")


class Goals:
    def __init__(self):
        self.missed, self.asked = 0, []

    def add(self, what, ok, seen):
        self.missed += not ok
        self.asked.append(f"  {'✓' if ok else '✗'} {what}: {seen}")

    def at_most(self, what, values, bound, unit="ms"):
        """Of a list of measured figures, or of one."""
        value = values if not isinstance(values, list) else statistics.median(values) if values else None
        self.add(what, value is not None and value <= bound,
                 "nothing measured" if value is None else f"{value:.1f} {unit} (at most {bound} {unit})")


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def ms(value):
    return "–" if value is None else f"{value:.0f} ms" if value < 9_950 else f"{value / 1000:.1f} s"


def show(title, columns, rows):
    """rows: {name: [cell, …]}"""
    print(f"\n{title}")
    width = max(map(len, rows)) + 2
    widths = [max(len(column), *(len(str(row[i])) for row in rows.values())) + 2 for i, column in enumerate(columns)]
    print(" " * (width + 2) + "".join(f"{column:>{w}}" for column, w in zip(columns, widths)))
    for name, row in rows.items():
        print(f"  {name:<{width}}" + "".join(f"{str(cell):>{w}}" for cell, w in zip(row, widths)), flush=True)


def median_of(samples, key):
    values = [one[key] for one in samples if one.get(key) is not None]
    return statistics.median(values) if values else None


def ratio(value, base):
    return f"{value / base:.1f}×" if value and base else "–"


# --- faults, and what followed ---


def ends_after(supervisor, mark, pid, began, cap, patience_ms=1):
    """{noticed, back, …} in ms from `began` (ns), of the first new process behind line `mark` of the diary. Both None: never."""
    deadline, noticed, seen = time.monotonic() + cap, None, mark
    starts, newcomers = 0, set()
    while time.monotonic() < deadline:
        fresh, seen = supervisor.entries(seen)
        for what, who, at, port in fresh:
            if what == "began":
                newcomers.add(who)
                starts += 1
                noticed = noticed or (at - began) / 1e6
            elif who in newcomers and supervisor.is_place(port):
                proxies.wait_for(lambda port=port: proxies.get(port, "/health")[0] == 200, 10, "a new server")
                return {"noticed": noticed, "back": (supervisors.now_ns() - began) / 1e6, "pid": pid, "starts": starts}
        time.sleep(patience_ms / 1000)
    return {"noticed": noticed, "back": None, "pid": pid, "starts": starts}


def hurt(supervisor, index, fault, cap):
    pid, port = supervisor.servers()[index]
    _, mark = supervisor.entries()
    began = supervisors.now_ns()
    fault(pid, port)
    return ends_after(supervisor, mark, pid, began, cap)


def ask(port, path):
    with contextlib.suppress(OSError, http.client.HTTPException):
        proxies.get(port, path, timeout=5)


def own_start_ms(rounds=10):
    """A server alone: from main() to its first answer."""
    taken = []
    with tempfile.TemporaryDirectory(prefix="nines-bench-supervise-") as folder:
        for number in range(rounds):
            port, diary = supervisors.next_port(), pathlib.Path(folder) / str(number)
            server = proxies.start([proxies.BACKEND, "--port", port, "--start-delay-ms", supervisors.START_DELAY_MS, "--diary", diary])
            proxies.wait_for(lambda port=port: proxies.get(port, "/health")[0] == 200, 10, "a server alone")
            taken.append((supervisors.now_ns() - int(diary.read_text().split()[2])) / 1e6)
            proxies.stop(server)
    return statistics.median(taken)


class Load:
    def __init__(self, supervisor, rate=400, connections=24, posts=False):
        requests = ["--get", "/work", *(["--post", f"/work={BODY}"] if posts else [])]
        self.process = proxies.start([proxies.LOAD, "--url", f"http://127.0.0.1:{supervisor.entrance}", "--connections", connections,
                                      *requests, "--rate", rate, "--duration", "15m", "--timeout", "15s", "--json"],
                                     stdout=subprocess.PIPE, text=True)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return json.loads(self.process.communicate(timeout=40)[0])


# --- parts: each returns {name of the supervisor: what was measured} ---


def measure_rest(kind, seconds):
    supervisor = kind(alone=True)
    try:
        time.sleep(8)  # monit's first cycles, and what starting leaves to be done
        pids = supervisor.pids()
        began, before = time.monotonic(), cpu_ns(pids)
        time.sleep(seconds)
        used = (cpu_ns(pids) - before) / (time.monotonic() - began)
        by_part = {pid: procfs_pss(pid) for pid in supervisor.pids()}
        main = {supervisor.process.pid, *(pid for pid in by_part if is_supervisor(pid))}
        return {"pss_kib": sum(by_part.values()), "processes": len(by_part), "cpu_ms_per_minute": used * 60 / 1e6,
                "supervisor_kib": sum(size for pid, size in by_part.items() if pid in main)}
    finally:
        supervisor.close()


def is_supervisor(pid):
    """Not a part of nines that does something else: the gateway, the keeper."""
    name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    return not re.search("gateway|keeper", name + " " + os.fsdecode(b" ".join(procfs.command_line(pid))))


def procfs_pss(pid):
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def cpu_ns(pids):
    """Of all their threads, in ns; of the clock's ticks where the kernel counts nothing finer."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(task.read_text().split()[0])
    return total or int(procfs.cpu_seconds(pids) * 1e9)


def measure_crash(kind, rounds, posts):
    found, failed, requests, kinds, ready = [], 0, 0, {}, []
    while len(found) < rounds:
        supervisor = kind(health=supervisors.QUICK_HEALTH, safe=not posts)
        try:
            time.sleep(1.5)  # who was started a second ago is not delayed by anybody
            load = Load(supervisor, posts=posts)
            time.sleep(0.5)
            killed = [hurt_one(supervisor, found, lambda pid, _: os.kill(pid, signal.SIGKILL)) for _ in range(3)]
            result = load.end()
            failed, requests = failed + result["failed"], requests + result["requests"]
            for name, count in {**result["by_kind"], **result["by_status"]}.items():
                kinds[name] = kinds.get(name, 0) + count
            if isinstance(supervisor, supervisors.Nines):
                ready += ready_after(supervisor, killed)
        finally:
            supervisor.close()
    return {"rounds": found, "failed": failed, "requests": requests, "kinds": kinds, "ready": ready}


def hurt_one(supervisor, found, fault, cap=30):
    """The one that runs longest, so that each is hit once, at any moment of the supervisor's cycle. Waits until the gateway in
    front has it back."""
    time.sleep(random.uniform(0, supervisor.cycle_seconds))
    began = {pid: at for what, pid, at, _ in supervisor.entries()[0] if what == "began"}
    servers = supervisor.servers()
    index = min(range(len(servers)), key=lambda i: began[servers[i][0]])
    found.append(hurt(supervisor, index, fault, cap))
    time.sleep(1.2)
    return found[-1]


def ready_after(supervisor, killed):
    """ms from each exit to `ready`, by the ledger."""
    events = settled_ledger(supervisor)
    pids = {one["pid"] for one in killed}
    found = []
    for one in events:
        if one["kind"] == "exited" and one["pid"] in pids:
            after = [other["at_ns"] for other in events
                     if other["kind"] == "ready" and other["target"] == one["target"] and other["at_ns"] > one["at_ns"]]
            found += [(after[0] - one["at_ns"]) / 1e6] if after else []
    return found


def settled_ledger(supervisor, seconds=3):
    """The ledger, once a second has brought nothing new."""
    events, deadline = supervisor.ledger(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.5)
        more = supervisor.ledger()
        if len(more) == len(events):
            break
        events = more
    return events


def measure_oom(kind, rounds):
    found, failed, requests = [], 0, 0
    named, record, failures = 0, "", []
    while len(found) < rounds:
        supervisor = kind(limit=supervisors.LIMIT_MIB, health=supervisors.QUICK_HEALTH)
        try:
            time.sleep(1.5)
            load = Load(supervisor)
            for _ in range(3):
                hurt_one(supervisor, found, lambda _, port: ask(port, f"/control?leak={supervisors.LEAK_MIB}"))
            result = load.end()
            failed, requests = failed + result["failed"], requests + result["requests"]
            failures += result["failures"][:3]
            if isinstance(supervisor, supervisors.Nines):
                named += sum(one["kind"] == "exited" and one["b"] == 2 for one in settled_ledger(supervisor))
            record = supervisor.record()
        finally:
            supervisor.close()
    if not issubclass(kind, supervisors.Nines):
        named = len(re.findall("memory|mem amount.*matches", record)) and len(found)
    says = [line for line in record.splitlines() if re.search("memory|mem amount|signal|terminated|exited", line, re.I)]
    return {"rounds": found, "failed": failed, "requests": requests, "named": named, "failures": failures,
            "says": says[0].strip() if says else ""}


def worst_of(loaded):
    return max([loaded["latency_ms"]["max"], *(one["lasted_ms"] for one in loaded["failures"])])


def measure_hang(kind, special, caps):
    supervisor = kind(**special)
    result = {}
    try:
        time.sleep(35)  # monit asks nothing of a server that is younger than 30 s
        for hang, cap in zip(HANGS, caps):
            load = Load(supervisor, rate=50, connections=8)
            time.sleep(1)
            pid, port = supervisor.servers()[0 if hang == "SIGSTOP" else 1]
            _, mark = supervisor.entries()
            began = supervisors.now_ns()
            if hang == "SIGSTOP":
                os.kill(pid, signal.SIGSTOP)
            else:
                ask(port, "/control?mode=hang")
            result[hang] = ends_after(supervisor, mark, pid, began, cap, patience_ms=20)
            if result[hang]["back"] is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
                ask(port, "/control?mode=ok")
            time.sleep(3)
            loaded = load.end()
            if isinstance(supervisor, supervisors.Nines):
                result[hang]["events"] = [f"{(one['at_ns'] - began) / 1e9:.3f} {one['kind']} {one['target']} {one['pid']} {one['text']}"
                                          for one in settled_ledger(supervisor) if one["at_ns"] > began]
            result[hang] |= {"failed": loaded["failed"], "requests": loaded["requests"], "worst": worst_of(loaded),
                             "kinds": loaded["by_kind"], "cap": cap}
    finally:
        supervisor.close()
    return result


def measure_loop(kind, seconds, cap):
    supervisor = kind()
    try:
        time.sleep(2)
        pid, _ = supervisor.servers()[0]
        pids = supervisor.pids()
        _, mark = supervisor.entries()
        supervisor.broken.touch()
        before, began = cpu_ns(pids), supervisors.now_ns()
        os.kill(pid, signal.SIGKILL)
        time.sleep(seconds)
        used = cpu_ns(pids) - before
        starts = sum(what == "began" for what, *_ in supervisor.entries(mark)[0])
        _, mark = supervisor.entries()
        supervisor.broken.unlink()
        mended = supervisors.now_ns()
        back = ends_after(supervisor, mark, pid, mended, cap, patience_ms=20)
        gave_up = re.search(supervisor.gives_up_says, supervisor.record()) if supervisor.gives_up_says else None
        return {"gave_up": gave_up.group() if gave_up else "", "starts": starts, "cpu_ms": used / 1e6, "seconds": (mended - began) / 1e9, "back": back["back"], "cap": cap}
    finally:
        supervisor.close()


def measure_unroute(kills, batch=96, replicas=24):
    """ms from the kill, and from the `exited` of the ledger, to `unrouted`."""
    by_kill, by_exit, failed, requests, missing = [], [], 0, 0, 0
    while len(by_kill) + missing < kills:
        supervisor = supervisors.NinesUp(health=supervisors.QUICK_HEALTH, count=replicas)
        try:
            load, killed = Load(supervisor, rate=600), {}
            time.sleep(0.5)
            for _ in range(min(batch, kills - len(by_kill) - missing)):
                began = {pid: at for what, pid, at, _ in supervisor.entries()[0] if what == "began"}
                pid = min((pid for pid, _ in supervisor.servers() if pid not in killed), key=began.get)
                killed[pid] = supervisors.now_ns()
                os.kill(pid, signal.SIGKILL)
                time.sleep(0.06)
            time.sleep(1)
            result = load.end()
            failed, requests = failed + result["failed"], requests + result["requests"]
            events = settled_ledger(supervisor)
            exited = {one["pid"]: one["at_ns"] for one in events if one["kind"] == "exited"}
            unrouted = {one["pid"]: one["at_ns"] for one in events if one["kind"] == "unrouted"}
            for pid, at in killed.items():
                if pid in unrouted and pid in exited:
                    by_kill.append((unrouted[pid] - at) / 1e6)
                    by_exit.append((unrouted[pid] - exited[pid]) / 1e6)
                else:
                    missing += 1
        finally:
            supervisor.close()
    return {"by_kill": by_kill, "by_exit": by_exit, "failed": failed, "requests": requests, "missing": missing}


# --- tables ---


def show_rest(found):
    base = found.get("nines up")
    rows = {name: [one["processes"], f"{one['pss_kib'] / 1024:.1f} MiB",
                   ratio(one["pss_kib"], base and base["pss_kib"]), f"{one['supervisor_kib'] / 1024:.1f} MiB",
                   f"{one['cpu_ms_per_minute']:.0f} ms", ratio(one["cpu_ms_per_minute"], base and base["cpu_ms_per_minute"])]
            for name, one in found.items()}
    show("at rest (of nines also the gateway and the keeper, which the others have not; ratios to nines up)",
         ["processes", "PSS", "", "who supervise", "CPU per minute", ""], rows)


def show_faults(title, found, own, base="nines up", more=()):
    """One row per supervisor of a part whose rounds are crashes."""
    rows = {}
    against = median_of(found[base]["rounds"], "back") if base in found else None
    noticed_base = median_of(found[base]["rounds"], "noticed") if base in found else None
    for name, one in found.items():
        noticed = [r["noticed"] for r in one["rounds"] if r["noticed"] is not None]
        back = [r["back"] for r in one["rounds"] if r["back"] is not None]
        never = len(one["rounds"]) - len(back)
        rows[name] = [ms(statistics.median(noticed)) if noticed else "never", ms(max(noticed, default=None)),
                      ratio(median_of(one["rounds"], "noticed"), noticed_base),
                      ms(statistics.median(back)) if back else "never", ms(max(back, default=None)), ratio(median_of(one["rounds"], "back"), against),
                      ms(statistics.median(back) - own) if back else "–", f"{one['failed']} of {one['requests']}",
                      *(f"{one[key]}" for key in more), f"{never} never" if never else ""]
    show(title, ["noticed", "max", "", "back", "max", "", "added", "failed", *more, ""], rows)


def show_oom(found, own):
    for one in found.values():
        one["named"] = f"{one['named']} of {len(one['rounds'])}"
    show_faults(f"oom: {supervisors.LEAK_MIB} MiB where {supervisors.LIMIT_MIB} are allowed; `named`: its record says memory",
                found, own, more=("named",))
    for kind in supervisors.ALL:
        if kind.name in found:
            print(f"    {kind.name}: {kind.limit_is}; {kind.record_is}: {found[kind.name]['says'][:150] or 'nothing'}")


def show_hang(found):
    def cell(one):
        return f"{one['back'] / 1000:.1f} s" if one["back"] else f"never ({one['cap']:.0f} s)"
    rows = {name: [text for hang in HANGS for text in
                   (cell(one[hang]), f"{one[hang]['failed']} of {one[hang]['requests']}", ms(one[hang]["worst"]))]
            for name, one in found.items()}
    show("hang: when a server answers again by itself; failed requests at 50 a second, and how long the slowest took",
         ["SIGSTOP", "failed", "worst", "only /health answers", "failed", "worst"], rows)


def show_loop(found):
    rows = {name: [one["starts"], f"{one['cpu_ms']:.0f} ms", f"{one['back'] / 1000:.1f} s" if one["back"] else f"never ({one['cap']:.0f} s)",
                   one["gave_up"]] for name, one in found.items()}
    seconds = next(iter(found.values()))["seconds"]
    show(f"crash loop: one of three exits at once, for {seconds:.0f} s; then it is mended",
         ["starts", "CPU of the supervisor", "back by itself after", "gave up"], rows)


def show_unroute(one):
    print(f"\nunroute: {len(one['by_kill'])} kills of one of 24 replicas at 600 requests a second, `replay: safe`")
    for name, values in (("exit noticed → no more requests", one["by_exit"]), ("kill → no more requests", one["by_kill"])):
        print(f"  {name:34} p50 {statistics.median(values):.2f} ms   p99 {percentile(values, 0.99):.2f} ms   max {max(values):.2f} ms")
    print(f"  failed {one['failed']} of {one['requests']}; kills without both events in the ledger: {one['missing']}")


def judge(found, own, goals):
    if crash := found.get("crash"):
        for name in ("nines up", "nines"):
            if name in crash:
                goals.at_most(f"crash, {name}: ready again later than the server's own start, median (max "
                              f"{max(crash[name]['ready'], default=0) - own:.0f} ms)", [one - own for one in crash[name]["ready"]], 100)
                goals.add(f"crash, {name}: requests that failed where they may be repeated", crash[name]["failed"] == 0,
                          f"{crash[name]['failed']} of {crash[name]['requests']}")
    if unroute := found.get("unroute"):
        goals.at_most("exit → last request sent there, p99", percentile(unroute["by_exit"], 0.99), 5)
        goals.add("requests that failed meanwhile", unroute["failed"] == 0, f"{unroute['failed']} of {unroute['requests']}")
    for name, one in found.get("hang", {}).items():
        if name.startswith("nines up"):
            for hang in HANGS:
                goals.add(f"hang, {name}: {hang} is ended by a restart", one[hang]["back"] is not None,
                          ms(one[hang]["back"]) if one[hang]["back"] else f"not within {one[hang]['cap']:.0f} s")
    for name, one in found.get("oom", {}).items():
        if name.startswith("nines"):
            goals.add(f"oom, {name}: recorded as out of memory", one["named"] == f"{len(one['rounds'])} of {len(one['rounds'])}", one["named"])
    for name, one in found.get("loop", {}).items():
        if name.startswith("nines"):
            goals.add(f"crash loop, {name}: never gives up", one["back"] is not None, f"back after {ms(one['back'])}")


# Of the gateway in front, and of nines: at its defaults, and set to be quick.
CANARY = {"canary": {"post": "/work", "json": {"text": "Guten Morgen"}}}
FRONT = {"health": {"path": "/health"}, **CANARY}
NINES_DEFAULT = {"front": FRONT, "replicas": CANARY}
NINES_5S = {"front": FRONT, "more_health": {"restart_after": "5s"},
            "replicas": {"canary": {**CANARY["canary"], "stall": "5s", "timeout": "2s"}}}


def hang_kinds(kinds):
    found = {}
    for kind in kinds:
        if issubclass(kind, supervisors.Nines):
            found[kind.name] = (kind, NINES_DEFAULT)
            found[f"{kind.name}, 5 s"] = (kind, NINES_5S)
        else:
            found[kind.name] = (kind, {"front": FRONT})
    return found


def side_by_side(calls):
    """{name: result}: what mostly waits is measured at the same time."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        waits = {name: pool.submit(*call) for name, call in calls.items()}
        return {name: wait.result() for name, wait in waits.items()}


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench supervise", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="may be repeated (all)")
    parser.add_argument("--only", default="", help="only supervisors whose name matches this expression")
    parser.add_argument("--rounds", type=int, default=12, help="crashes of each supervisor, three at a time (12); half as many with POSTs")
    parser.add_argument("--kills", type=int, default=100, help="of the part `unroute` (100)")
    parser.add_argument("--quick", action="store_true", help="three crashes, shorter waits: a first impression")
    parser.add_argument("--json", type=pathlib.Path, help="writes every sample there")
    given = parser.parse_args()
    given.parts = given.part or list(PARTS)
    given.rounds = 3 if given.quick else given.rounds
    given.caps = (40, 90) if given.quick else (60, 120)
    return given


def main():
    given = arguments()
    if missing := supervisors.missing_programs():
        sys.exit(f"not installed or not built: {', '.join(missing)}. ./dev bench supervise does both.")
    proxies.raise_file_limit()
    began = time.monotonic()
    print("versions: " + ", ".join(f"{name} {version}" for name, version in supervisors.versions().items()))
    kinds = [kind for kind in supervisors.ALL if re.search(given.only, kind.name)]
    own = own_start_ms()
    print(f"the server's own start: {own:.0f} ms from main() to its first answer")
    found, goals = {"own_start_ms": own}, Goals()

    def part(name, measured, shown):
        if name in given.parts:
            found[name] = measured()
            shown(found[name])
            print(f"  ({name}: done after {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f})", flush=True)

    part("rest", lambda: side_by_side({kind.name: (measure_rest, kind, 20 if not given.quick else 5)
                                       for kind in kinds if kind is not supervisors.Nines}), show_rest)
    part("crash", lambda: {kind.name: measure_crash(kind, given.rounds, posts=False) for kind in kinds},
         lambda one: show_faults("crash: kill -9; only GETs, which may be repeated", one, own))
    if "crash" in given.parts:
        found["crash, posts"] = {kind.name: measure_crash(kind, max(3, given.rounds // 2), posts=True) for kind in kinds}
        show_faults("crash: kill -9; half POSTs, which may not be repeated", found["crash, posts"], own)
    part("oom", lambda: {kind.name: measure_oom(kind, 3 if given.quick else 6) for kind in kinds}, lambda one: show_oom(one, own))
    part("unroute", lambda: measure_unroute(given.kills), show_unroute)
    part("hang", lambda: side_by_side({name: (measure_hang, kind, special, given.caps)
                                       for name, (kind, special) in hang_kinds(kinds).items()}), show_hang)
    part("loop", lambda: side_by_side({kind.name: (measure_loop, kind, 60 if not given.quick else 15, 90 if not given.quick else 30)
                                       for kind in kinds}), show_loop)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    judge(found, own, goals)
    print("\ngoals" if goals.asked else "\nno goal was asked for", *goals.asked, sep="\n")
    print(f"\n{time.monotonic() - began:.0f} s; {goals.missed} goals missed" if goals.missed else
          f"\n{time.monotonic() - began:.0f} s; every goal that was asked for is met")
    sys.exit(1 if goals.missed else 0)


if __name__ == "__main__":
    main()
