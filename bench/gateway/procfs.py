"""What processes and the machine used, from /proc. Linux, stdlib only."""
import gzip
import os
import pathlib
import platform

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")


def _stat(pid):
    """The fields of /proc/PID/stat from `state` on; None when it has gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2:].split()


def cpu_seconds(pids):
    """User and system time of these processes, threads included."""
    stats = filter(None, map(_stat, pids))
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / TICK


def rss(pids):
    """Bytes; pages that two of them share count twice."""
    stats = filter(None, map(_stat, pids))
    return sum(int(stat[21]) for stat in stats) * PAGE


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []


def descendants(root):
    """root and all below it."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        stat = _stat(entry.name) if entry.name.isdigit() else None
        if stat:
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _irq_time_is_apart():
    """Whether this kernel takes interrupts' time out of the process that they interrupted (CONFIG_IRQ_TIME_ACCOUNTING).
    Where it does not, the kernel's work on loopback TCP is in our processes' own figures already."""
    for path in ("/proc/config.gz", f"/boot/config-{platform.release()}"):
        try:
            raw = pathlib.Path(path).read_bytes()
        except OSError:
            continue
        return b"CONFIG_IRQ_TIME_ACCOUNTING=y" in (gzip.decompress(raw) if path.endswith(".gz") else raw)
    return False


IRQ_TIME_IS_APART = _irq_time_is_apart()
SOFTIRQ_THREADS = [int(p.name) for p in pathlib.Path("/proc").iterdir()
                   if p.name.isdigit() and (p / "comm").exists() and (p / "comm").read_text().startswith("ksoftirqd")]


class Machine:
    """Seconds since boot, of all cores together: busy (without steal), irq and softirq, steal."""

    def __init__(self):
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _idle, _wait, irq, softirq, steal = map(int, file.readline().split()[1:9])
        self.busy = (user + nice + system + irq + softirq) / TICK
        self.irq = (irq + softirq) / TICK
        self.steal = steal / TICK
        self.softirq_threads = cpu_seconds(SOFTIRQ_THREADS)


class Use:
    """What one run used, from construction to end(): of a proxy, of the server behind it and of the load."""

    def __init__(self, proxy_pids, backend_pids):
        self._pids = proxy_pids, backend_pids
        self._before = Machine(), cpu_seconds(proxy_pids), cpu_seconds(backend_pids)

    def end(self, load_seconds):
        machine, proxy, backends = self._before
        after = Machine()
        self.proxy = cpu_seconds(self._pids[0]) - proxy
        self.busy = after.busy - machine.busy
        self.steal = after.steal - machine.steal
        # All that this run kept busy. On a machine with nothing else to do it is `busy`, within the clock's ticks.
        self.ours = (self.proxy + cpu_seconds(self._pids[1]) - backends + load_seconds +
                     after.softirq_threads - machine.softirq_threads +
                     (after.irq - machine.irq if IRQ_TIME_IS_APART else 0))
        return self


def kernel_bytes():
    """Slab, and pages of TCP's buffers: where the kernel keeps connections."""
    slab = 0
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("Slab:"):
                slab = int(line.split()[1]) * 1024
    with open("/proc/net/sockstat", encoding="ascii") as file:
        tcp = next(line.split() for line in file if line.startswith("TCP:"))
    return slab + int(tcp[tcp.index("mem") + 1]) * PAGE
