#!/usr/bin/python3
"""The model guard: guarded files are put back, who loaded a damaged one is replaced, another one is a deploy."""
import json
import pathlib
import shutil
import time
import unittest

import harness

SERVER = pathlib.Path(__file__).resolve().parent / "model_server.py"


def yaml(port, count=2, files="[model.txt]", deploy="{bake: 2s}"):
    return harness.service_yaml([harness.PYTHON, SERVER, "{port}", "--model=model.txt"], count=count, port=port, name="model",
                                extra=f"""\
  canary: {{get: /answer, expect: {{pointer: "", equals: 42}}}}
  files: {files}
  deploy: {deploy}
""") + harness.REPLAY_SAFE


class Guard(unittest.TestCase):
    def service(self, model="the answer is 42\n", **options):
        self.port = harness.free_port()
        return harness.Service(yaml(self.port, **options), {"model.txt": model})

    def up(self, service):
        service.up()
        self.wait_known(service)

    def wait_known(self, service):
        """The keeper has read the files, and the supervisor knows what they are."""
        def known():
            book = json.loads((service.state / "releases.json").read_text())
            return next(r for r in book["releases"] if r["number"] == book["active"])["files"]
        return harness.wait_for(known, 30, "the guarded files to be known")

    def model(self, service):
        return service.folder / "model.txt"

    def served(self, service):
        """What each replica has loaded."""
        return {r["name"]: harness.http(f"http://{r['address']}", "/model")[2].decode() for r in service.ready()}

    def wait_content(self, service, content, deadline=5):
        harness.wait_for(lambda: self.model(service).exists() and self.model(service).read_text() == content, deadline,
                         "the model as it was")

    def test_deleted_or_changed_it_is_put_back_within_five_seconds(self):
        with self.service() as service:
            self.up(service)
            good = self.model(service).read_text()
            with harness.Load(service.url, get=["/answer"], rate=100, connections=8) as load:
                harms = {"deleted": lambda m: m.unlink(), "cut": lambda m: m.write_text("the"),
                         "another": lambda m: (m.rename(m.with_suffix(".old")), m.write_text("something else"))}
                for why, harm in harms.items():
                    with self.subTest(why):
                        before = service.last_event()
                        harm(self.model(service))
                        self.wait_content(service, good)
                        kinds = harness.wait_for(lambda: "file_put_back" in (k := [e["kind"] for e in service.events(before)]) and k,
                                                 5, "its record")
                        self.assertIn("file_damaged", kinds)
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            displaced = sorted(path.name for path in (service.state / "displaced").iterdir())
            self.assertEqual(displaced, ["1-model.txt", "2-model.txt"])

    def test_who_has_loaded_a_damaged_one_is_replaced(self):
        with self.service() as service:
            self.up(service)
            good = self.model(service).read_text()
            with harness.Load(service.url, get=["/answer"], rate=100, connections=8) as load:
                self.model(service).write_text("as good as 42, says somebody")
                victim = service.replicas()[0]
                harness.kill9(victim["pid"])
                self.wait_content(service, good)
                harness.wait_for(lambda: self.served(service) == {"model-1": good, "model-2": good}, 30, "the right model everywhere")
                harness.wait_for(lambda: json.loads(service.nines("deploy", "--history", "--json").stdout)["deploy"] is None, 30,
                                 "the replacement to end")
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
            self.assertEqual(len(service.replicas()), 2)

    def test_a_keeper_that_was_killed_guards_on(self):
        with self.service() as service:
            self.up(service)
            good = self.model(service).read_text()
            harness.kill9(service.status()[1]["keeper"]["pid"])
            self.model(service).unlink()
            self.wait_content(service, good)

    def test_what_a_person_changes_while_the_service_is_down_is_right(self):
        with self.service() as service:
            self.up(service)
            service.down(status=0)
            self.model(service).write_text("another 42\n")
            self.up(service)
            time.sleep(2.5)
            self.assertEqual(self.model(service).read_text(), "another 42\n")
            self.model(service).unlink()
            self.wait_content(service, "another 42\n")
            service.down(status=0)
            self.model(service).unlink()  # nobody means that
            service.up_background()
            self.wait_content(service, "another 42\n", deadline=10)
            service.wait_ready(2)

    def test_another_model_is_a_deploy(self):
        """Beside the model the server reads a file that nothing names, as servers do with tokenizers and checksums."""
        with self.service(files="[model.txt, model.txt.note]") as service:
            service.write("model.txt.note", "one\n")
            self.up(service)
            service.write("next.txt", "a newer 42\n")
            service.write("next.note", "two\n")
            with harness.Load(service.url, get=["/answer"], rate=200, connections=24) as load:
                done = service.nines("deploy", "--file", "model.txt=next.txt", "--file", "model.txt.note=next.note", status=0)
                self.assertIn("release 2 is the one now", done.stdout)
                self.assertEqual(self.served(service), {"model-1": "a newer 42\ntwo\n", "model-2": "a newer 42\ntwo\n"})
                self.wait_content(service, "a newer 42\n")
                # Whoever is started from now on finds it in its place.
                harness.kill9(service.replicas()[0]["pid"])
                service.wait_ready(1, deadline=5)
                service.wait_ready(2)
                service.nines("rollback", status=0)
                self.wait_content(service, "the answer is 42\n")
                self.assertEqual(set(self.served(service).values()), {"the answer is 42\none\n"})
            self.assertEqual(load.result["failed"], 0, harness.describe(load.result))

    def test_a_bad_model_never_takes_over(self):
        bad = {"corrupt": ("garbage", "does not stay up"), "wrong": ("the answer is 41\n", "answers its canary wrongly"),
               "slow": ("slow 42\n", "latency is")}
        with self.service() as service:
            self.up(service)
            good = self.model(service).read_text()
            for why, (content, said) in bad.items():
                with self.subTest(why), harness.Load(service.url, get=["/answer"], connections=24, rate=300) as load:
                    service.write("bad.txt", content)
                    began = time.monotonic()
                    done = service.nines("deploy", "--file", "model.txt=bad.txt", status=1)
                    self.assertLess(time.monotonic() - began, 30)
                    self.assertIn(said, done.stderr)
                    load.stop()
                    self.assertEqual(load.result["failed"], 0, harness.describe(load.result))
                    self.assertEqual(self.served(service), {"model-1": good, "model-2": good})
                    self.assertEqual(self.model(service).read_text(), good)

    def test_mistakes(self):
        with self.service() as service:
            self.up(service)
            service.write("next.txt", "a newer 42\n")
            self.assertIn("not PATH=NEW", service.nines("deploy", "--file", "next.txt", status=2).stderr)
            self.assertIn("none.txt", service.nines("deploy", "--file", "model.txt=none.txt", status=1).stderr)
            self.assertIn("not (yet) one of the files", service.nines("deploy", "--file", "other.txt=next.txt", status=2).stderr)
            shutil.copy(self.model(service), service.folder / "same.txt")
            self.assertIn("nothing to deploy", service.nines("deploy", "--file", "model.txt=same.txt", status=1).stderr)


if __name__ == "__main__":
    harness.main()
