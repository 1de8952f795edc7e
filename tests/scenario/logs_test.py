"""What the replicas wrote, by when they wrote it: `nines logs -f --since --replica`."""
import datetime
import json
import os
import pathlib
import signal
import struct
import time
import unittest

import harness

FILE_BYTES = 10 << 20  # of each log file
WRONG = 2


def moment(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat().replace("+00:00", "Z")


def say(replica, text, count=1):
    """Makes the replica write lines: "TEXT 0", "TEXT 1", …"""
    harness.http(f"127.0.0.1:{replica['port']}", f"/say?{count}", "POST", text, timeout=60)


def numbered(text, count):
    return [f"{text} {i}" for i in range(count)]


class LogsTest(unittest.TestCase):
    def lines(self, service, *arguments):
        """What `nines logs` prints, without what the server says of itself."""
        out = service.nines("logs", *arguments, status=0).stdout
        return [line for line in out.splitlines() if " listens" not in line]

    def wait_for_line(self, service, line, deadline=10):
        harness.wait_for(lambda: line in self.lines(service, "--since", "1h"), deadline, f"the line {line!r}")

    def a_moment(self, service):
        """One after everything that is in the logs, told apart from it by its times, which are kept to 100 ms."""
        times = [path.read_bytes() for path in (service.state / "logs").glob("*.log.times")]
        last = max(struct.unpack("<q", records[-8:])[0] / 1e9 for records in times if records)
        harness.wait_for(lambda: time.time() > last + 0.25, 10, "the clock")
        return moment(last + 0.25)


class Since(LogsTest):
    def test_lines_before_and_after_a_moment(self):
        with harness.Service(harness.odd_service(count=1)) as service:
            service.up()
            replica = service.wait_ready(1)[0]
            say(replica, "before", 100)
            self.wait_for_line(service, "before 99")
            then = self.a_moment(service)
            say(replica, "after", 100)
            self.wait_for_line(service, "after 99")
            self.assertEqual(self.lines(service, "--since", then), numbered("after", 100))
            self.assertEqual(self.lines(service, "--since", then, "--lines", "3"), numbered("after", 100)[-3:])
            self.assertEqual(self.lines(service, "--until", then), numbered("before", 100))
            self.assertEqual(self.lines(service, "--since", "10m", "--until", then), numbered("before", 100))
            self.assertEqual(self.lines(service, "--until", then, "--lines", "2"), numbered("before", 100)[-2:])
            self.assertEqual(self.lines(service, "--since", "10m"), numbered("before", 100) + numbered("after", 100))
            self.assertEqual(len(self.lines(service)), 50)
            # The file itself is what the replica wrote, and nothing else.
            raw = pathlib.Path(replica["log"]).read_text().splitlines()
            self.assertEqual(raw[1:], numbered("before", 100) + numbered("after", 100))
            service.down(status=0)
            self.assertEqual(self.lines(service, "--since", then), numbered("after", 100), "also of a service that is down")

    def test_each_line_has_its_time(self):
        with harness.Service(harness.odd_service(count=2)) as service:
            service.up()
            first, second = service.wait_ready(2)
            began = time.time()
            say(first, "one")
            self.wait_for_line(service, "odd-1 | one 0")
            then = self.a_moment(service)
            say(second, "two")
            self.wait_for_line(service, "odd-2 | two 0")
            wanted = [("odd-1", "one 0"), ("odd-2", "two 0")]
            lines = [json.loads(line) for line in self.lines(service, "--json", "--since", moment(began - 0.1))]
            self.assertEqual([(line["replica"], line["line"]) for line in lines], wanted)
            at = [datetime.datetime.fromisoformat(line["at"].replace("Z", "+00:00")).timestamp() for line in lines]
            self.assertTrue(began - 0.2 <= at[0] < at[1] <= time.time(), f"{began} {at}")
            self.assertLess(lines[0]["at"], then)
            shown = self.lines(service, "--timestamps", "--since", moment(began - 0.1))
            self.assertEqual(shown, [f"{name} | {line['at']} {text}" for (name, text), line in zip(wanted, lines)])

    def test_the_lines_of_several_replicas_come_in_the_order_they_were_written(self):
        with harness.Service(harness.odd_service(count=3)) as service:
            service.up()
            replicas = service.wait_ready(3)
            wanted = []
            for turn in (2, 0, 1, 0):
                say(replicas[turn], f"turn-{len(wanted)}")
                wanted.append(f"odd-{turn + 1} | turn-{len(wanted)} 0")
                self.wait_for_line(service, wanted[-1])
                self.a_moment(service)
            self.assertEqual(self.lines(service), wanted)
            self.assertEqual(self.lines(service, "--since", "1h"), wanted)
            some = [line for line in wanted if not line.startswith("odd-3")]
            for arguments in (["--replica", "odd-1", "--replica", "odd-2"], ["--replica", "odd-1", "odd-2"]):
                self.assertEqual(self.lines(service, *arguments), some)
            self.assertEqual(self.lines(service, "--replica", "odd-3"), ["turn-0 0"])

    def test_lines_across_rotations(self):
        with harness.Service(harness.odd_service(count=1)) as service:
            service.up()
            replica = service.wait_ready(1)[0]
            say(replica, "old", 10)
            self.wait_for_line(service, "old 9")
            then = self.a_moment(service)
            text, portion = "x" * 1000, 5000  # 5 MB
            portions = 3 * FILE_BYTES // (portion * len(text))
            for i in range(portions):
                say(replica, f"{i} {text}", portion)
            log = pathlib.Path(replica["log"])
            harness.wait_for(lambda: log.read_text().endswith(f"{portions - 1} {text} {portion - 1}\n"), 60, "all of it")
            self.assertTrue(log.with_name(log.name + ".2").exists(), "it was to be rotated")
            for path in log.parent.glob("odd-1.log*"):
                self.assertLessEqual(path.stat().st_size, FILE_BYTES, path)
            wanted = [f"{i} {text} {j}" for i in range(portions) for j in range(portion)]
            self.assertTrue(self.lines(service, "--since", then) == wanted, "lines lost, doubled or in another order")
            self.assertEqual(self.lines(service, "--until", then), numbered("old", 10))
            self.assertTrue(self.lines(service, "--lines", "20000")[-len(wanted):] == wanted[-20000:])

    def test_follow_begins_since_then_and_goes_on_through_a_rotation(self):
        with harness.Service(harness.odd_service(count=1)) as service:
            service.up()
            replica = service.wait_ready(1)[0]
            say(replica, "before", 10)
            self.wait_for_line(service, "before 9")
            then = self.a_moment(service)
            say(replica, "since", 10)
            self.wait_for_line(service, "since 9")
            follower = service.start("logs", "-f", "--since", then, "--replica", "odd-1")
            followed = lambda: (service.folder / "up.log").read_text().splitlines()
            harness.wait_for(lambda: "since 9" in followed(), 10, "what is there")
            text = "y" * 1000
            say(replica, text, 11_000)
            log = pathlib.Path(replica["log"])
            harness.wait_for(lambda: log.with_name(log.name + ".1").exists(), 30, "a rotation")
            say(replica, "end")
            harness.wait_for(lambda: followed()[-1] == "end 0", 30, "the last line")
            follower.send_signal(signal.SIGINT)
            self.assertEqual(follower.wait(timeout=30), 0)
            self.assertTrue(followed() == [*numbered("since", 10), *numbered(text, 11_000), "end 0"])


class KilledKeeper(LogsTest):
    def test_no_line_is_lost_or_doubled_and_moments_stay_right(self):
        with harness.Service(harness.odd_service(count=1)) as service:
            service.up()
            replica = service.wait_ready(1)[0]
            follower = service.start("logs", "-f", "--since", "1h")
            wanted, moments = [], []
            for turn in range(3):
                say(replica, f"alive-{turn}", 200)
                self.wait_for_line(service, f"alive-{turn} 199")
                moments.append((self.a_moment(service), len(wanted) + 200))
                _, status = service.status()
                supervisor, keeper = status["supervisor"]["pid"], status["keeper"]["pid"]
                # Halted, so that the keeper stays dead for as long as we want.
                os.kill(supervisor, signal.SIGSTOP)
                try:
                    harness.kill9(keeper)
                    harness.wait_for(lambda k=keeper: not harness.alive(k), 10, "the keeper to die")
                    say(replica, f"dead-{turn}", 200)
                finally:
                    os.kill(supervisor, signal.SIGCONT)
                self.wait_for_line(service, f"dead-{turn} 199", 30)
                wanted += numbered(f"alive-{turn}", 200) + numbered(f"dead-{turn}", 200)
                harness.wait_for(lambda k=keeper: service.status()[1]["keeper"]["pid"] not in (None, k), 10, "a keeper")
            self.assertEqual(self.lines(service, "--since", "1h"), wanted)
            for then, count in moments:
                self.assertEqual(self.lines(service, "--since", then), wanted[count:])
                self.assertEqual(self.lines(service, "--until", then), wanted[:count])
            followed = lambda: [line for line in (service.folder / "up.log").read_text().splitlines()
                                if " listens" not in line]
            harness.wait_for(lambda: len(followed()) >= len(wanted), 10, "the follower")
            follower.send_signal(signal.SIGINT)
            self.assertEqual(follower.wait(timeout=30), 0)
            self.assertEqual(followed(), wanted)

    def test_times_that_are_gone_cost_no_line(self):
        with harness.Service(harness.odd_service(count=1)) as service:
            service.up()
            replica = service.wait_ready(1)[0]
            say(replica, "before", 10)
            self.wait_for_line(service, "before 9")
            then = self.a_moment(service)
            say(replica, "after", 10)
            self.wait_for_line(service, "after 9")
            times = pathlib.Path(replica["log"] + ".times")
            whole = times.read_bytes()
            for damage in (b"", whole[:-7], b"\xff" * 100, whole[16:] + whole[:16]):
                times.write_bytes(damage)
                self.assertEqual(self.lines(service, "--since", then)[-10:], numbered("after", 10))
                self.assertEqual(self.lines(service, "--lines", "20"), numbered("before", 10) + numbered("after", 10))
            times.unlink()
            self.assertEqual(self.lines(service, "--since", then), numbered("before", 10) + numbered("after", 10))
            later = moment(time.time() + 0.2)
            harness.wait_for(lambda: moment(time.time()) > later, 10, "the clock")
            say(replica, "later", 10)
            self.wait_for_line(service, "later 9")
            self.assertEqual(self.lines(service, "--since", later)[-10:], numbered("later", 10))


class Mistakes(LogsTest):
    def test_each_says_what_to_do(self):
        with harness.Service(harness.odd_service(count=2)) as service:
            service.up()
            service.wait_ready(2)
            for arguments, words in ((["--replica", "odd-7"], ["no replica `odd-7`", "odd-"]),
                                     (["--replica", "nobody"], ["no replica `nobody`", "odd-1, odd-2"]),
                                     (["--since", "yesterday"], ["--since", "yesterday", "10m", "22:30"]),
                                     (["--since", "10"], ["--since", "no unit", "10s"]),
                                     (["--since", "-5m"], ["--since", "negative"]),
                                     (["--since", "2026-02-30 10:00"], ["--since", "2026-02-30 10:00"]),
                                     (["--since", "2150-01-01"], ["--since", "still to come"]),
                                     (["--since", "5m", "--until", "10m"], ["--until", "before --since"]),
                                     (["-f", "--until", "10m"], ["--follow", "--until"])):
                with self.subTest(arguments=arguments):
                    done = service.nines("logs", *arguments, status=WRONG)
                    self.assertEqual(done.stdout, "")
                    self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
                    for word in words:
                        self.assertIn(word, done.stderr)


if __name__ == "__main__":
    harness.main()
