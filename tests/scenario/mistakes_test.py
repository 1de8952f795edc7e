"""What people get wrong, and what servers do that they should not. A start that fails ends by itself with one clear
message and leaves nothing, in the foreground as with --detach."""
import os
import pathlib
import re
import socket
import time
import unittest

import harness

NEVER_READY, WRONG = 1, 2


class Mistakes(unittest.TestCase):
    def assert_one_message(self, done, status, begin="nines: "):
        """One message, which may go on in indented lines; returns it."""
        self.assertEqual(done.returncode, status, f"{done.stdout}{done.stderr}")
        said = [line for line in done.stderr.splitlines() if line and not line.startswith(" ")]
        self.assertEqual(len(said), 1, done.stderr)
        self.assertTrue(said[0].startswith(begin), done.stderr)
        return said[0]

    def assert_refused(self, service, status, *words, begin="nines: "):
        """Both ways to start it end with that status and one message that contains the words, and leave no process."""
        for arguments in (["up"], ["up", "--detach"]):
            with self.subTest(arguments=arguments):
                done = service.nines(*arguments)
                message = self.assert_one_message(done, status, begin)
                for word in words:
                    self.assertIn(word, message)
                self.assertEqual(service.stray_processes(), {})
                self.assertEqual(service.nines("status").returncode, 3)
        return done


class Configuration(Mistakes):
    def test_a_typo_is_shown_where_it_is_with_the_key_that_was_meant(self):
        yaml = harness.slow_service().replace("interval:", "intervall:")
        number, line = next((i, line) for i, line in enumerate(yaml.splitlines(), 1) if "intervall" in line)
        column = line.index("intervall") + 1
        with harness.Service(yaml) as service:
            done = self.assert_refused(service, WRONG, '"intervall"', '"interval"',
                                       begin=f"nines.yaml:{number}:{column}: ")
            quoted, caret = done.stderr.splitlines()[1:3]
            self.assertEqual(quoted[caret.index("^"):].split(":")[0], "intervall")
            self.assertEqual(service.nines("check").stderr, done.stderr)
            self.assertFalse(service.state.exists())

    def test_what_is_no_yaml_is_shown_where_it_ends_being_it(self):
        with harness.Service("service: a\nreplicas: {count: 2\nlisten: [\n") as service:
            done = self.assert_refused(service, WRONG, begin="nines.yaml:")
            self.assertTrue(re.match(r"nines\.yaml:\d+:\d+: ", done.stderr), done.stderr)

    def test_a_page_that_cannot_be_shown_is_found_by_check(self):
        with harness.Service(harness.slow_service(extra="gateway: {unavailable_page: sorry.html}\n")) as service:
            done = service.nines("check")
            self.assertEqual((done.returncode, done.stdout), (WRONG, ""), done)
            for words in ("gateway.unavailable_page", "sorry.html"):
                self.assertIn(words, done.stderr)
            (service.folder / "sorry.html").write_text("<p>sorry")
            service.nines("check", status=0)

    def test_a_missing_file_is_named(self):
        with harness.Service(harness.slow_service()) as service:
            os.unlink(service.folder / "nines.yaml")
            self.assert_refused(service, WRONG, "nines.yaml", "nines run", begin="nines.yaml: ")

    def test_a_port_in_use_is_named(self):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", harness.free_port()))
            taken.listen()
            port = taken.getsockname()[1]
            with harness.Service(harness.slow_service(port=port)) as service:
                self.assert_refused(service, NEVER_READY, f"127.0.0.1:{port}", "in use")

    def test_a_start_that_was_refused_leaves_no_run_folder(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", harness.free_port()))
            taken.listen()
            with harness.Service(harness.slow_service(port=taken.getsockname()[1])) as service:
                self.assertEqual(service.nines("up").returncode, 1)
                self.assertEqual(service.run_folders(), [])


class CommandsOfReplicas(Mistakes):
    def test_a_command_that_does_not_exist_is_named(self):
        for command in ("no-such-server", "./no-such-server"):
            with self.subTest(command), harness.Service(harness.service_yaml([command, "{port}"])) as service:
                self.assert_refused(service, WRONG, "no-such-server")

    def test_a_command_that_cannot_be_executed_is_named(self):
        with harness.Service(harness.service_yaml(["./server", "{port}"]), {"server": "#!/bin/sh\n"}) as service:
            self.assert_refused(service, WRONG, "server", "chmod +x")

    def test_a_server_that_exits_at_once_is_given_up_with_the_last_lines_of_its_log(self):
        script = "echo cannot open model.bin >&2; exit 3"
        with harness.Service(harness.service_yaml(["sh", "-c", script, "{port}"])) as service:
            done = self.assert_refused(service, NEVER_READY, "`sh`", "again and again")
            self.assertIn("    cannot open model.bin", done.stderr.splitlines())

    def test_a_server_that_never_gets_ready_is_given_up_when_its_startup_time_is_over(self):
        with harness.Service(harness.odd_service("--never-ready", startup="1s")) as service:
            self.assert_refused(service, NEVER_READY, "ready", "1.0 s", "startup")

    def test_a_server_that_listens_elsewhere_is_given_up_too(self):
        elsewhere = harness.free_port()
        with harness.Service(harness.odd_service("--elsewhere", elsewhere, count=1, startup="1s")) as service:
            self.assert_refused(service, NEVER_READY)

    def test_servers_that_all_want_the_same_port_are_given_up(self):
        elsewhere = harness.free_port()
        with harness.Service(harness.odd_service("--elsewhere", elsewhere, count=3, startup="2s")) as service:
            self.assert_refused(service, NEVER_READY)

    def test_a_server_that_others_can_reach_is_served_with_a_warning(self):
        with harness.Service(harness.odd_service("--bind", "0.0.0.0", count=1)) as service:
            up = service.up_background()
            service.wait_ready(1)
            self.assertEqual(harness.http(service.url, "/pid")[0], 200)
            up.terminate()
            self.assertEqual(up.wait(timeout=30), 0)
            warnings = [line for line in service.logs().splitlines() if "warning:" in line]
            self.assertEqual(len(warnings), 1, service.logs())
            self.assertIn("odd-1", warnings[0])
            self.assertIn("127.0.0.1", warnings[0])
            service.up()
            self.assertEqual(harness.http(service.url, "/pid")[0], 200)
            service.down(status=0)
            self.assertEqual(service.stray_processes(), {})


class Typing(Mistakes):
    def test_an_unknown_command_or_option_is_told_with_the_one_that_was_meant(self):
        with harness.Service(harness.slow_service()) as service:
            for arguments, meant in ((["upp"], "`nines up`"), (["stauts"], "`nines status`"),
                                     (["up", "--detatch"], "`--detach`")):
                with self.subTest(arguments=arguments):
                    self.assertIn(meant, self.assert_one_message(service.nines(*arguments), WRONG))
            self.assertFalse(service.state.exists())

    def test_an_unknown_replica_is_told_with_the_one_that_was_meant(self):
        with harness.Service(harness.slow_service()) as service:
            service.up()
            for arguments in (["stop", "slow1"], ["start", "slow1"], ["restart", "slow1"], ["logs", "slow1"]):
                with self.subTest(arguments=arguments):
                    message = self.assert_one_message(service.nines(*arguments), WRONG)
                    self.assertIn("`slow1`", message)
                    self.assertIn("`slow-1`", message)
            self.assertIn("slow-1, slow-2, slow-3", service.nines("stop", "elephant").stderr)
            self.assertEqual([r["restarts"] for r in service.wait_ready(3)], [0, 0, 0])


class ServersThatDoNotEnd(unittest.TestCase):
    def test_a_server_that_ignores_sigterm_is_killed_when_its_grace_is_over(self):
        with harness.Service(harness.odd_service("--ignore-sigterm", extra="  stop: {grace: 1s}\n")) as service:
            service.up()
            pids = [replica["pid"] for replica in service.wait_ready(2)]
            began = time.monotonic()
            service.down(status=0)
            took = time.monotonic() - began
            self.assertTrue(1 <= took < 10, took)
            self.assertEqual([pid for pid in pids if harness.alive(pid)], [])
            self.assertEqual(service.stray_processes(), {})

    def workers(self, service, name):
        """Processes of a replica but for its first, that answer requests."""
        leader = service.replica(name)["pid"]
        return {pid for pid in service.stray_processes() if tag_part(pid) == name and pid != leader}

    def test_down_leaves_no_worker_of_a_server_that_forks(self):
        for options in (["--workers", "3"], ["--workers", "3", "--ignore-sigterm"]):
            with self.subTest(options), \
                 harness.Service(harness.odd_service(*options, extra="  stop: {grace: 1s}\n")) as service:
                service.up()
                service.wait_ready(2)
                harness.wait_for(lambda: len(self.workers(service, "odd-1")) == 3, 10, "three workers")
                service.down(status=0)
                self.assertEqual(service.stray_processes(), {})

    def test_workers_of_a_killed_server_are_gone_before_its_successor_begins(self):
        yaml = harness.odd_service("--workers", "3", "--ignore-sigterm", count=1, extra="  stop: {grace: 1s}\n")
        with harness.Service(yaml) as service:
            service.up()

            def all_workers():
                found = self.workers(service, "odd-1")
                return found if len(found) == 3 else None

            for end in ("kill", "kill", "restart"):
                before = harness.wait_for(all_workers, 10, "three workers")
                leader = service.replica("odd-1")["pid"]
                if end == "kill":
                    harness.kill9(leader)
                else:
                    service.nines("restart", "odd-1", status=0)
                service.wait_replaced("odd-1", leader, deadline=30)
                self.assertEqual([pid for pid in before if harness.alive(pid)], [])
                self.assertNotIn(int(harness.http(service.url, "/pid")[2]), before)
            # Each successor looked for the workers of the one before, as its first act.
            overlaps = service.folder / "overlaps"
            self.assertFalse(overlaps.exists(), overlaps.exists() and overlaps.read_text())

    def test_down_leaves_no_background_process_of_a_shell_script(self):
        script = f'sleep 10001 & sleep 10002 & exec {harness.PYTHON} {harness.ODD_SERVER} "$0"'
        with harness.Service(harness.service_yaml(["sh", "-c", script, "{port}"], count=2)) as service:
            service.up()
            service.wait_ready(2)

            def sleeping():
                return [pid for pid, command in service.stray_processes().items() if command.startswith("sleep")]

            self.assertEqual(len(sleeping()), 4)
            leader = service.replica("service-1")["pid"]
            before = sleeping()
            harness.kill9(leader)
            service.wait_replaced("service-1", leader)
            self.assertEqual(len(sleeping()), 4)
            self.assertEqual(len(set(sleeping()) & set(before)), 2)
            service.down(status=0)
            self.assertEqual(service.stray_processes(), {})


def tag_part(pid):
    """Which replica, or "gateway" or "keeper", a process belongs to; None for others."""
    try:
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    tags = [variable for variable in environment if variable.startswith(b"NINES_TAG=")]
    return tags[0].split(b"/")[1].decode() if tags else None


if __name__ == "__main__":
    harness.main()
