"""Every 200 ms one of nines' processes or a replica is killed, by a seeded random choice; then what must hold after it.

After a kill of the anchor `nines upgrade` is run at once and waited for: nobody would restart a supervisor before.
"""
import os
import random
import signal
import subprocess
import time

import harness
import survival
from survival import PARTS, pids, settled, status

EVERY = 0.2
# Of a process, over a fresh one: what allocators keep.
RSS_GROWTH_KIB = 8 * 1024
# So many more than a fresh one may be open: of commands that ask, and idle ones to replicas.
SOCKETS = {"anchor": 0, "supervisor": 2, "keeper": 2, "gateway": 48}


class Chaos:
    def __init__(self, seed, seconds, replicas=3, program=None):
        self.seed, self.seconds, self.replicas = seed, seconds, replicas
        self.random = random.Random(seed)
        self.program = program or harness.BIN / "nines"
        self.kills = dict.fromkeys((*PARTS, "replica"), 0)
        # (replica, pid): how it may have ended, as far as that can be known. Two, when it was hit again before it had died
        # of the first, as on a busy machine: the first one counts, unless it was to be heard later (a half-made child).
        self.wanted = {}
        self.orphans = set()  # pids of replicas whose parent is no anchor of theirs any more
        self.failures = []

    def look(self, service):
        """The status, from whichever supervisor there is."""
        return status(service, deadline=30)

    def kill_one(self, service):
        state = self.look(service)
        target = self.random.choice((*PARTS, "replica"))
        if target == "replica":
            living = [r for r in state["replicas"] if r["pid"]]
            if not living:
                return
            victim = self.random.choice(living)
            name, pid = victim["name"], victim["pid"]
        else:
            name, pid = None, state[target]["pid"]
        if not pid or not harness.alive(pid):
            return
        number = self.random.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)) if name else signal.SIGKILL
        os.kill(pid, number)
        self.kills[target] += 1
        if name:
            how = f"killed by SIG{'KILL (9)' if number == signal.SIGKILL else 'TERM (15)'}"
            self.wanted.setdefault((name, pid), set()).add(how)
        if target == "anchor":
            self.orphans |= {r["pid"] for r in state["replicas"] if r["pid"]}
            self.heal(service)
            # Also what the supervisor started before it left: its children went to nobody's anchor.
            self.orphans |= {r["pid"] for r in self.look(service)["replicas"] if r["pid"]}

    def heal(self, service):
        """`nines upgrade`, once the supervisor has seen that its anchor is dead; a supervisor that dies with it would
        end what the test is about, so none is killed before."""
        harness.wait_for(lambda: survival.ask(service, "/v1/status")["degraded"], 20, "the anchor missed")
        done = subprocess.run([self.program, "upgrade"], cwd=service.folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"nines upgrade ended with {done.returncode}: {done.stdout}{done.stderr}")

    def run(self, service):
        survival.say(f"seed {self.seed}")
        end = time.monotonic() + self.seconds
        due = time.monotonic()
        while time.monotonic() < end:
            self.kill_one(service)
            due = max(due + EVERY, time.monotonic())
            while time.monotonic() < due:
                time.sleep(0.005)
        for replica in self.look(service)["replicas"]:  # ends a backoff at once
            service.nines("start", replica["name"])
        return settled(service, self.replicas, deadline=60)

    # What holds afterwards; each check names what is wrong, or returns nothing.

    def wrong_processes(self, service, state):
        survival.one_gateway(service)
        found = survival.tagged(service)
        wanted = {name: [pid] for name, pid in pids(state).items()}
        wanted |= {part: [state[part]["pid"]] for part in PARTS}
        wrong = [] if found == wanted else [f"runs: {found}; should: {wanted}"]
        for part in PARTS:
            zombies = [pid for pid, letter in survival.children(state[part]["pid"]).items() if letter == "Z"]
            wrong += [f"zombies of the {part}: {zombies}"] if zombies else []
        return wrong

    def wrong_exits(self, rows):
        recorded = survival.exits(rows)
        wrong = [f"recorded {len(how)} times: {who}" for who, how in recorded.items() if len(how) != 1]
        for who, how in self.wanted.items():
            got = recorded.get(who)
            # SIGTERM may come right before nines' own SIGKILL, or to one that was just being made.
            unknown_is_right = who[1] in self.orphans
            if got is None:
                wrong.append(f"not recorded: {who} {how}")
            elif got[0] not in how and not (unknown_is_right and got[0] == "exit status unknown"):
                wrong.append(f"{who} was {how}, recorded as {got[0]}")
        return wrong


def footprint(state):
    """{part: (descriptors, resident KiB)}"""
    return {part: (survival.descriptors(state[part]["pid"]), survival.resident_kib(state[part]["pid"]))
            for part in PARTS}


def may_have_more(part, kind):
    """A fresh gateway has had nothing to write into its access log yet, and opens it when it does."""
    return SOCKETS[part] if kind == "socket" else 1 if part == "gateway" and kind.endswith("/logs/access.log") else 0


def grown(fresh, after):
    """What the parts hold more than those of a fresh service, in words."""
    wrong = []
    for part in PARTS:
        extra = after[part][0] - fresh[part][0]
        extra = {kind: count for kind, count in extra.items() if count > may_have_more(part, kind)}
        if extra:
            wrong.append(f"the {part} has descriptors that a fresh one has not: {extra}")
        if after[part][1] > fresh[part][1] + RSS_GROWTH_KIB:
            wrong.append(f"the {part} takes {after[part][1]} KiB, a fresh one {fresh[part][1]} KiB")
    return wrong


def play(seed, seconds):
    """Plays it. Returns what was wrong: nothing, hopefully."""
    with harness.Service(harness.slow_service(extra=harness.REPLAY_SAFE)) as service:
        service.up()
        survival.record(service)  # once the keeper is there, too
        state = settled(service, 3)
        fresh, fresh_memory = footprint(state), survival.memory_files(service, state)
        chaos = Chaos(seed, seconds)
        with survival.mixed_load(service, duration=f"{seconds + 120}s", rate=200) as load:
            state = chaos.run(service)
            load.run_for(0.5)
        result = load.result
        wrong = chaos.wrong_processes(service, state)
        rows = survival.record(service)
        wrong += chaos.wrong_exits(rows)
        lost = survival.gaps(rows)
        wrong += [f"the ledger has gaps: {lost}"] if lost else []
        harness.wait_for(lambda: not survival.ask(service, "/v1/status")["gateway"]["connections"], 20, "no connection")
        state = settled(service, 3)
        wrong += grown(fresh, footprint(state))
        memory = survival.memory_files(service, state)
        wrong += [f"shared memory {memory}, at the start {fresh_memory}"] if memory != fresh_memory else []
        survival.say(f"kills: {chaos.kills}; {result['failed']} of {result['requests']} requests failed, "
                     f"{result['by_kind']}; supervisor back: {survival.in_words(survival.restarts_took(rows))}")
        if result["ok"] < 10 * seconds:
            wrong.append(f"hardly any request was answered: {harness.describe(result)}")
        refused = {kind: n for kind, n in result["by_kind"].items() if kind in ("refused", "connect", "protocol")}
        wrong += [f"failures of a kind that no kill excuses: {refused}"] if refused else []
        if result["failed"] > 24 * chaos.kills["gateway"]:
            wrong.append(f"more failed than the gateways had in flight: {harness.describe(result)}")
        service.down(status=0)
        left = service.stray_processes()
        wrong += [f"left: {left}"] if left else []
        wrong += [f"left: {service.run_folders()}"] if service.run_folders() else []
        return wrong
