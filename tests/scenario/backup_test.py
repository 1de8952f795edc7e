"""`nines backup` and `nines restore` around the bundled AI server: archives that ordinary tools open, with every row
that was acknowledged before; damage refused; a restore under a running service."""
import contextlib
import hashlib
import json
import pathlib
import sqlite3
import subprocess
import time
import tempfile
import threading
import unittest
import uuid

import harness
import survival

LANGUAGE_ID = harness.BIN / "language-id"

EXTRA = """  files: [model.bin]
routes:
  - {path: /, replay: safe}
data: {sqlite: data/ai_api.db}
backups:
  - {to: backups/, keep: {last: 100}}
"""


def service(count=2):
    yaml = harness.service_yaml([LANGUAGE_ID, "--port", "{port}", "--db", "data/ai_api.db"], count,
                                name="language-id", extra=EXTRA)
    return harness.Service(yaml, {"model.bin": "a model"})


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


class Writer(threading.Thread):
    """Inserts rows into a table of its own in the service's database; `acknowledged` is the last id SQLite confirmed."""

    def __init__(self, database):
        super().__init__(daemon=True)
        self._database, self._ended, self.acknowledged, self.error = database, threading.Event(), 0, None
        self.start()
        harness.wait_for(lambda: self.acknowledged or self.error, 20, "a first row")

    def run(self):
        try:
            with contextlib.closing(sqlite3.connect(self._database, timeout=20, isolation_level=None)) as db:
                db.execute("CREATE TABLE IF NOT EXISTS acknowledged (id INTEGER PRIMARY KEY, text TEXT)")
                while not self._ended.is_set():
                    db.execute("INSERT INTO acknowledged VALUES (?, ?)", (self.acknowledged + 1, "x" * 200))
                    self.acknowledged += 1
                    self._ended.wait(0.0005)
        except sqlite3.Error as error:
            self.error = error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended.set()
        self.join()


@contextlib.contextmanager
def unpacked(archive):
    """The folder an archive was unpacked into, by plain tar."""
    with tempfile.TemporaryDirectory(prefix="nines-") as folder:
        subprocess.run(["tar", "--zstd", "-xf", archive, "-C", folder], check=True)
        yield pathlib.Path(folder)


def query(database, sql):
    with contextlib.closing(sqlite3.connect(database, timeout=20)) as db:
        return db.execute(sql).fetchall()


def classify(service, times):
    """Each with an id of its own: the id is the key of the row."""
    for _ in range(times):
        status, _, _ = harness.http(service.url, "/classify", "POST", json.dumps({"text": "Guten Morgen"}),
                                    {"X-Request-Id": uuid.uuid4().hex})
        assert status == 200


def written(service):
    """How many classifications are in the database; none before its first process has made the table."""
    try:
        return query(service.folder / "data/ai_api.db", "SELECT count(*) FROM classifications")[0][0]
    except sqlite3.OperationalError:
        return 0


class Backup(unittest.TestCase):
    def take(self, service):
        done = service.nines("backup", "now", "--json", status=0)
        return json.loads(done.stdout)["backups"][0]

    def test_twenty_archives_under_load_hold_every_acknowledged_row(self):
        with service() as s:
            s.up()
            body = json.dumps({"text": "Guten Morgen"})
            taken = []
            with harness.Load(s.url, post={"/classify": body}, rate=200) as load:
                classify(s, 1)
                with Writer(s.folder / "data/ai_api.db") as writer:
                    for _ in range(20):
                        acknowledged = writer.acknowledged
                        taken.append((self.take(s)["archive"], acknowledged))
                        load.run_for(0.1)
                self.assertIsNone(writer.error)
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            self.assertGreater(writer.acknowledged, taken[-1][1])  # it wrote until the end
            for archive, acknowledged in taken:
                with self.subTest(archive=archive), unpacked(archive) as folder:
                    manifest = json.loads((folder / "manifest.json").read_text())
                    self.assertEqual(manifest["service"], "language-id")
                    for member in manifest["members"]:
                        self.assertEqual(sha256(folder / member["path"]), member["sha256"])
                        self.assertEqual((folder / member["path"]).stat().st_size, member["bytes"])
                    database = folder / "data/ai_api.db"
                    self.assertEqual(query(database, "PRAGMA integrity_check"), [("ok",)])
                    (count, last), = query(database, "SELECT count(*), max(id) FROM acknowledged")
                    self.assertGreaterEqual(count, acknowledged)
                    self.assertEqual(count, last)
                    self.assertEqual((folder / "files/model.bin").read_text(), "a model")
                    self.assertEqual((folder / "nines.yaml").read_text(), (s.folder / "nines.yaml").read_text())
            listed = json.loads(s.nines("backup", "list", "--json", status=0).stdout)["archives"]
            self.assertEqual([a["archive"] for a in listed], [archive for archive, _ in taken])
            self.assertTrue(all(a["verified"] for a in listed))

    def test_a_restore_under_a_running_service(self):
        with service() as s:
            s.up()
            classify(s, 5)
            harness.wait_for(lambda: written(s) == 5, 20, "five rows")
            archive = self.take(s)["archive"]
            s.down(status=0)
            (s.folder / "model.bin").write_text("changed")  # while it runs, its guard would put back the other one
            s.up()
            classify(s, 3)
            harness.wait_for(lambda: written(s) == 8, 20, "eight rows")
            before = s.wait_ready(2)
            done = json.loads(s.nines("restore", "--yes", "--json", status=0).stdout)
            self.assertEqual(done["archive"], archive)
            restored, = done["files"]
            self.assertEqual(restored["rows"]["classifications"], {"before": 8, "after": 5})
            self.assertTrue(done["running"])
            self.assertEqual(query(restored["kept"], "SELECT count(*) FROM classifications"), [(8,)])
            self.assertEqual(query(restored["kept"], "PRAGMA integrity_check"), [("ok",)])
            self.assertEqual((s.folder / "model.bin").read_text(), "changed")  # only with --files

            # It answers, with new processes, and goes on writing.
            after = s.wait_ready(2)
            self.assertFalse({r["pid"] for r in before} & {r["pid"] for r in after})
            classify(s, 2)
            harness.wait_for(lambda: written(s) == 7, 20, "two rows more")
            self.assertEqual(query(s.folder / "data/ai_api.db", "PRAGMA integrity_check"), [("ok",)])
            s.nines("restore", "--yes", "--files", "--from", archive, status=0)
            self.assertEqual((s.folder / "model.bin").read_text(), "a model")
            # The guard takes what was restored for right.
            harness.wait_for(lambda: not (s.state / "trust-files").exists(), 10, "a look of the guard")
            time.sleep(1.5)
            self.assertEqual((s.folder / "model.bin").read_text(), "a model")
            self.assertEqual([e for e in s.events() if e["kind"] == "file_damaged"], [])

    def test_a_restore_without_a_running_service(self):
        with service() as s:
            s.up()
            classify(s, 4)
            harness.wait_for(lambda: written(s) == 4, 20, "four rows")
            archive = pathlib.Path(self.take(s)["archive"])
            s.down(status=0)
            for name in ("ai_api.db", "ai_api.db-wal", "ai_api.db-shm"):
                (s.folder / "data" / name).write_bytes(b"destroyed")
            done = json.loads(s.nines("restore", "--yes", "--json", "--from", archive.name, status=0).stdout)
            self.assertFalse(done["running"])
            names = sorted(p.name for p in (s.folder / "data").iterdir())
            self.assertEqual([n for n in names if n in ("ai_api.db-wal", "ai_api.db-shm")], [])
            self.assertEqual(written(s), 4)
            s.up()
            classify(s, 1)
            harness.wait_for(lambda: written(s) == 5, 20, "one row more")

    def test_a_bad_archive_is_refused_with_the_reason_and_nothing_is_touched(self):
        with service() as s:
            s.up()
            classify(s, 3)
            harness.wait_for(lambda: written(s) == 3, 20, "three rows")
            good = pathlib.Path(self.take(s)["archive"])
            s.down(status=0)  # so that the file's bytes are still
            database = s.folder / "data/ai_api.db"
            whole, before = good.read_bytes(), sha256(database)
            flipped = bytearray(whole)
            flipped[len(flipped) // 2] ^= 0x10
            with unpacked(good) as folder:
                (folder / "files/model.bin").unlink()
                incomplete = subprocess.run(["tar", "--zstd", "-cf", "-", *(p.name for p in folder.iterdir())], cwd=folder,
                                            check=True, capture_output=True).stdout
            cases = {"cut off": whole[:len(whole) // 2], "cut off ": whole[:-1], "damaged": bytes(flipped),
                     "empty": b"", "not a zstd archive": b"hello", "model.bin\" is missing": None}
            for reason, content in cases.items():
                with self.subTest(reason=reason):
                    bad = s.folder / "bad.tar.zst"
                    bad.write_bytes(incomplete_of(incomplete) if content is None else content)
                    done = s.nines("restore", "--yes", "--from", bad)
                    self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                    self.assertIn(reason.strip(), done.stderr)
                    self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
                    self.assertEqual(sha256(database), before)
                    self.assertEqual(s.nines("backup", "verify", bad).returncode, 1)
            self.assertEqual([p.name for p in (s.folder / "data").iterdir() if "restor" in p.name], [])
            s.nines("restore", "--yes", status=0)  # the good one still goes

    def test_a_database_that_somebody_else_has_open_is_left_alone(self):
        with service() as s:
            s.up()
            classify(s, 1)
            harness.wait_for(lambda: written(s) == 1, 20, "a row")
            self.take(s)
            pids = [r["pid"] for r in s.replicas()]
            with contextlib.closing(sqlite3.connect(s.folder / "data/ai_api.db")) as db:
                db.execute("SELECT count(*) FROM classifications").fetchall()
                done = s.nines("restore", "--yes")
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn("is open in process", done.stderr)
            self.assertEqual([r["pid"] for r in s.replicas()], pids)  # not even stopped

    def test_a_restore_starts_whom_a_restore_stopped_and_nobody_else(self):
        with service(3) as s:
            s.up()
            classify(s, 1)
            harness.wait_for(lambda: written(s) == 1, 20, "a row")
            self.take(s)
            note = s.state / "restore.json"

            def interrupt(name):
                """As a restore that was killed between stopping the replica and starting it again."""
                survival.ask(s, f"/v1/replicas/{name}/stop", "POST", json.dumps({"by": "nines restore"}))
                s.wait_state(name, "stopped")
                note.write_text(json.dumps({"archive": "x", "stamp": "20261124-020000", "stopped": [name]}))

            s.nines("stop", "language-id-1", status=0)
            interrupt("language-id-2")
            s.nines("restore", "--yes", status=0)
            s.wait_ready(2)
            self.assertIn("nines stop", s.wait_state("language-id-1", "stopped")["held_by"])
            self.assertFalse(note.exists())

            # Without the service: who is held stays so, and that is said, until a restore under it.
            interrupt("language-id-2")
            s.down(status=0)
            done = s.nines("restore", "--yes", status=0)
            self.assertIn("`nines start language-id-2`", done.stdout)
            self.assertTrue(note.exists())
            s.up()
            self.assertEqual(s.replica("language-id-2")["held_by"], "nines restore")
            s.nines("restore", "--yes", status=0)
            s.wait_ready(2)
            self.assertIn("nines stop", s.replica("language-id-1")["held_by"])
            self.assertFalse(note.exists())

    def test_an_archive_from_the_future_is_not_what_is_restored(self):
        with service(1) as s:
            s.up()
            classify(s, 2)
            harness.wait_for(lambda: written(s) == 2, 20, "two rows")
            archive = pathlib.Path(self.take(s)["archive"])
            future = archive.with_name("backup-21001124-020000.tar.zst")
            future.write_bytes(archive.read_bytes())
            s.nines("backup", "verify", status=0)
            self.assertIn("from the future", s.nines("backup", "list", status=0).stdout)
            done = s.nines("restore", "--yes", "--json", status=0)
            self.assertEqual(json.loads(done.stdout)["archive"], str(archive))
            self.assertIn(future.name, done.stderr)

    def test_mistakes_are_told(self):
        with service() as s:
            self.assertEqual(s.nines("backup", "list", status=0).stdout.strip(),
                             "no archives yet; `nines backup now` makes one")
            done = s.nines("restore", "--yes", status=1)
            self.assertIn("there are no archives", done.stderr)
            done = s.nines("backup", "now", status=0)  # the database does not exist yet: told, and no error
            self.assertIn("without data/ai_api.db: it does not exist", done.stdout)
            self.assertIn("nothing to restore", s.nines("restore", "--yes", status=1).stderr)
            self.assertIn("--yes", s.nines("restore", status=2).stderr)
            self.assertIn("there is no archive x", s.nines("restore", "--yes", "--from", "x", status=1).stderr)
            s.write("nines.yaml", harness.service_yaml([LANGUAGE_ID, "--port", "{port}"], 1))
            self.assertIn("has no backups", s.nines("backup", "now", status=2).stderr)
            self.assertIn("names no database", s.nines("restore", "--yes", status=2).stderr)
            elsewhere = s.folder / "elsewhere"
            s.nines("backup", "now", "--to", elsewhere, status=0)
            self.assertEqual(len(list(elsewhere.iterdir())), 1)


def incomplete_of(archive):
    """GNU tar writes folders as members, too; what nines reads is files. The same files without the folders."""
    with tempfile.TemporaryDirectory(prefix="nines-") as name:
        folder = pathlib.Path(name)
        subprocess.run(["tar", "--zstd", "-xf", "-", "-C", folder], input=archive, check=True)
        files = [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()]
        return subprocess.run(["tar", "--zstd", "-cf", "-", *files], cwd=folder, check=True, capture_output=True).stdout


if __name__ == "__main__":
    harness.main()
