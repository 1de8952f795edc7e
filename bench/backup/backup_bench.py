"""A database of some size, a writer at a steady rate, `nines backup now` and `nines restore`: what each takes, and the
longest the writer waited for one transaction. For WAL mode and for a rollback journal."""
import contextlib
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

BIN = pathlib.Path(os.environ["NINES_BIN"])
MEGABYTES = int(sys.argv[1]) if len(sys.argv) > 1 else 320
RATE = int(sys.argv[2]) if len(sys.argv) > 2 else 50


class Writer(threading.Thread):
    def __init__(self, database):
        super().__init__(daemon=True)
        self.database, self.ended, self.waits = database, threading.Event(), []
        self.start()

    def run(self):
        with contextlib.closing(sqlite3.connect(self.database, timeout=60, isolation_level=None)) as db:
            while not self.ended.wait(1 / RATE):
                began = time.monotonic()
                db.execute("INSERT INTO t (x) VALUES (randomblob(200))")
                self.waits.append(time.monotonic() - began)

    def end(self):
        self.ended.set()
        self.join()
        return max(self.waits, default=0)


def nines(folder, *arguments):
    done = subprocess.run([BIN / "nines", *arguments, "--json"], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    return json.loads(done.stdout)


def measure(mode):
    with tempfile.TemporaryDirectory(prefix="nines-bench-") as name:
        folder = pathlib.Path(name)
        (folder / "nines.yaml").write_text("replicas: {command: [server, \"{port}\"]}\ndata: {sqlite: app.db}\n"
                                           "backups: [{to: backups/}]\n")
        with contextlib.closing(sqlite3.connect(folder / "app.db", isolation_level=None)) as db:
            db.execute(f"PRAGMA journal_mode={mode}")
            db.execute("PRAGMA synchronous=OFF")
            db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)")
            db.execute("BEGIN")
            db.executemany("INSERT INTO t (x) VALUES (randomblob(500) || zeroblob(500))",
                           (() for _ in range(MEGABYTES * 1000)))
            db.execute("COMMIT")
        writer = Writer(folder / "app.db")
        time.sleep(1)
        alone = max(writer.waits, default=0)
        report, = nines(folder, "backup", "now")["backups"]
        waited = writer.end()
        database, = report["databases"]
        verified, = nines(folder, "backup", "verify")["archives"]
        restored = nines(folder, "restore", "--yes")
        print(f"{mode:6} {database['bytes'] / 1e6:6.0f} MB, {RATE} tx/s: copy {database['took_s']:.2f} s ({database['way']}, "
              f"{database['restarts']} restarts, lock held at most {database['locked_max_s'] * 1e3:.0f} ms); "
              f"backup {report['took_s']:.2f} s, archive {report['bytes'] / 1e6:.0f} MB; writer waited at most "
              f"{waited * 1e3:.0f} ms ({alone * 1e3:.0f} ms without a backup); verify {verified['took_s']:.2f} s; "
              f"restore {restored['took_s']:.2f} s")


for journal_mode in ("WAL", "DELETE"):
    measure(journal_mode)
