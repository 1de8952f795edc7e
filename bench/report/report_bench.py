"""How long `nines report` and `nines explain` take over a year of measured time with 1,000 incidents, and how that grows.

The record is made by nines itself (`nines up` once, so that its form is the real one); then a year of slices in every
grain that would be kept, and the events of the incidents, chained as docs/internals/ledger.md says, are written into it.
Goal: a report of the year in less than 100 ms.
"""
import argparse
import hashlib
import json
import os
import pathlib
import random
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
NINES = pathlib.Path(os.environ.get("NINES_BIN", ROOT / "build" / "bin")) / "nines"
GOAL_MS = 100
DAY = 86400
KEPT = {10: 2 * DAY, 60: 35 * DAY, 3600: 400 * DAY, DAY: None}


def hashed(previous, row):
    def number(*values):
        return b"".join(struct.pack(">q", value) for value in values)

    def text(value):
        return number(len(value.encode())) + value.encode()
    seq, table, count, boot, mono, wall, kind, target, pid, incarnation, a, b, words = row
    data = previous + number(1, seq, table, count) + text(boot) + number(mono, wall) + text(kind) + text(target)
    return hashlib.sha256(data + number(pid, incarnation, a, b) + text(words)).digest()


def latency(requests):
    """Some requests in buckets around a few milliseconds, as the ledger stores them."""
    out = b"\x01"
    for bucket, share in ((44, 0.5), (46, 0.3), (50, 0.15), (60, 0.05)):
        for value in (bucket, int(requests * share) or 1):
            while value >= 0x80:
                out += bytes([value & 0x7f | 0x80])
                value >>= 7
            out += bytes([value])
    return out


def fill(path, days, incidents, now, seed):
    randomly = random.Random(seed)
    db = sqlite3.connect(path)
    begin = (now - days * DAY) // DAY * DAY
    outages = sorted(begin + randomly.randrange(days * DAY - 600) for _ in range(incidents))
    for grain, kept in KEPT.items():
        first = max(begin, (now - kept) // 3600 * 3600) if kept else begin
        down = {}
        for at in outages:
            for second in range(at, at + 30):
                down[second // grain * grain] = down.get(second // grain * grain, 0) + 1
        rows = ((grain, start, 20 * grain, 2 * down.get(start, 0), grain // 10, 0, grain // 2, 0,
                 min(grain, now - start) - down.get(start, 0), 0, down.get(start, 0), 0, 0, 0, latency(20 * grain))
                for start in range(first // grain * grain, now // 10 * 10, grain))
        db.executemany("INSERT OR REPLACE INTO slices VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", rows)
    seq, last = db.execute("SELECT head_seq, head_hash FROM chain").fetchone()
    events = []
    for at in outages:
        for offset, kind, target, a, b, words in (
                (0, "exited", "api-1", 9, 1, "killed by SIGKILL (9)"), (1, "service_down", "service", at, at + 1, ""),
                (3, "spawned", "api-1", 0, 0, ""), (29, "ready", "api-1", 0, 0, ""), (40, "service_up", "service", at + 30, 60, "")):
            seq += 1
            wall = (at + offset) * 10**9
            row = (seq, 0, 0, "boot", wall, wall, kind, target, 1, seq, a, b, words)
            last = hashed(last, row)
            events.append((row[0], 1, *row[1:], last))
    db.executemany("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", events)
    db.execute("UPDATE chain SET head_seq = ?, head_hash = ?", (seq, last))
    db.commit()
    counted = db.execute("SELECT (SELECT count(*) FROM slices), (SELECT count(*) FROM events)").fetchone()
    db.close()
    return counted


def crash_loop(path, rows, now):
    """A replica that has ended every six seconds until now: four rows each time."""
    db = sqlite3.connect(path)
    seq, last = db.execute("SELECT head_seq, head_hash FROM chain").fetchone()
    events = []
    for i in range(rows):
        kind, a, b, words = (("spawned", 0, 0, ""), ("listening", 20000, 0, ""), ("exited", 9, 1, "killed by SIGKILL (9)"),
                             ("crash_loop", i // 4, 0, "killed by SIGKILL (9)"))[i % 4]
        seq += 1
        wall = int((now - (rows - i) * 1.5) * 10**9)
        row = (seq, 0, 0, "boot", wall, wall, kind, "api-1", 1, seq, a, b, words)
        last = hashed(last, row)
        events.append((row[0], 1, *row[1:], last))
    db.executemany("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", events)
    db.execute("UPDATE chain SET head_seq = ?, head_hash = ?", (seq, last))
    db.commit()
    db.close()


def timed(command, folder, rounds):
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        done = subprocess.run([NINES, *command], cwd=folder, stdout=subprocess.PIPE, text=True)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), done


def main():
    parser = argparse.ArgumentParser(prog="./dev bench report", description=__doc__.splitlines()[0])
    parser.add_argument("--incidents", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    parser.add_argument("--crash-loop", type=int, default=0, metavar="ROWS", help="then so many rows of a crash loop, too")
    given = parser.parse_args()
    print(f"seed {given.seed}")
    print(f"{'days':>6} {'incidents':>10} {'slices':>8} {'events':>8} {'report ms':>10} {'explain ms':>11} {'--version ms':>13}")
    missed = False
    for days in (30, 90, 365):
        with tempfile.TemporaryDirectory(prefix="nines-bench-report-") as folder:
            pathlib.Path(folder, "nines.yaml").write_text(
                "service: bench\nobjective: 99.9%%\nlisten: 127.0.0.1:%d\ndashboard: none\n"
                "replicas: {count: 1, command: [sleep, '{port}']}\n" % (12000 + os.getpid() % 2500))
            # It never gets ready, which is enough for a record.
            up = subprocess.Popen([NINES, "up"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            ledger = pathlib.Path(folder, ".nines", "ledger.db")
            for _ in range(200):
                if ledger.exists():
                    break
                time.sleep(0.05)
            time.sleep(1)
            up.terminate()
            up.wait(timeout=60)
            now = int(time.time()) // 10 * 10
            incidents = max(1, given.incidents * days // 365)
            slices, events = fill(ledger, days, incidents, now, given.seed)
            bare, _ = timed(["--version"], folder, given.rounds)
            report, done = timed(["report", "--json", "--from", f"{days}d"], folder, given.rounds)
            explain, _ = timed(["explain", "--json", "--from", f"{days}d"], folder, given.rounds)
            found = json.loads(done.stdout)
            seen = sum(1 for i in found["incidents"] if i["target"] is None)
            if abs(seen - incidents) > incidents // 50 + 2:
                sys.exit(f"the report has {seen} incidents of the service, not {incidents}")
            check = subprocess.run([NINES, "check-ledger"], cwd=folder, capture_output=True, text=True)
            if "damaged" in check.stderr and "row" in check.stderr:
                sys.exit(check.stderr)
            print(f"{days:6} {incidents:10} {slices:8} {events:8} {report:10.1f} {explain:11.1f} {bare:13.1f}", flush=True)
            if days == 365:
                missed = report > GOAL_MS
            if days == 365 and given.crash_loop:
                crash_loop(ledger, given.crash_loop, time.time())
                for span in ("1h", "24h", "30d"):
                    took, _ = timed(["report", "--json", "--from", span], folder, 5)
                    print(f"       of {span:>3}, with {given.crash_loop} rows of a crash loop {took:10.1f}", flush=True)
    print(f"\n  {'✗' if missed else '✓'} a report of a year in less than {GOAL_MS} ms")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
