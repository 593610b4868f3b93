"""A machine of metal as those see it who boot it: it goes down, comes up, or does not. It is not real."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

from test_machines_check import said

from ccsight.errors import HostLost
from ccsight.machines import equipment, inventory, lease, power, pstore, reboots, staging, waiting, way_back
from ccsight.machines.root import Root, RootFailed
from ccsight.machines.way import Way
from ccsight.process import Completed

OWN, OURS = "6.1-own", "6.12-ours"


@dataclass
class Metal:
    """``comes_up`` says what becomes of a boot of ours: "up", "own" (it fell back), "never" (but for power).

    ``first`` says so of the first one, where that is another.
    ``leaves`` says what becomes of it afterwards: "own", "never" or "other", another kernel than it had.
    """

    comes_up: str = "up"
    first: str = ""
    leaves: str = "own"
    power: bool = False
    power_helps: bool = True
    users: str = ""
    root: str = "root"
    fails: str = ""
    boot: int = 1
    release: str = OWN
    told: tuple = ()
    answers: bool = True
    armed: bool = False
    laid_out: bool = False
    log: list = field(default_factory=list)
    records: dict = field(default_factory=dict)
    leases: list = field(default_factory=list)
    away: int = 0

    @property
    def boot_id(self):
        return f"{self.boot:08}-0000-0000-0000-000000000000"

    # -- what its method does
    name = "kexec"

    def refuses(self, found):
        return found.locked_down

    def start(self, root, staged, deadline):
        self.armed, self.told = True, staged.command_line
        self._may("start")
        fate = (self.first if self.log.count("start") == 1 else "") or self.comes_up
        if fate == "up":
            self._boots(OURS, self.told)
        elif fate == "own":
            self._boots(OWN, ())
        else:
            self.answers = False
        self.armed = False
        raise HostLost("it went")

    def clean(self, root, deadline):
        self._may("clean")
        self.armed = False

    # -- what is laid out there
    def lay_out(self, root, found, words, deadline):
        self._may("lay out")
        self.laid_out = True
        return staging.Staged("/boot/ccsight", words)

    def unlay(self, root, deadline):
        self.laid_out = False

    @contextmanager
    def held(self, root, deadline):
        self.log.append("held")
        try:
            yield
        finally:
            self.answers = self.leaves != "never"
            self._boots(OWN if self.leaves != "other" else "6.99-other", ())

    def cycle(self, argv, deadline):
        self._may("power")
        if self.power_helps:
            self.answers = True
            self._boots(OWN, ())

    def _may(self, what):
        self.log.append(what)
        if what == self.fails:
            raise RootFailed(f"{what} failed", evidence="as it was told to")

    def _boots(self, release, told):
        self.boot, self.release, self.told = self.boot + 1, release, told

    # -- how it is reached
    @contextmanager
    def reached(self, deadline):
        if not self.answers:
            raise HostLost("nobody is there")
        yield Root("metal", SimpleNamespace(run=self._run))

    def _run(self, argv, deadline, *, limit=0):
        assert argv[0] == "cat"
        return Completed(tuple(argv), 0, f"{self.boot_id}\n{' '.join(self.told)}\n".encode(), b"")

    def look(self, host, name, deadline):
        told = said(boot_id=self.boot_id, release=self.release, users=self.users, root=self.root)
        return equipment.parse(told, name)

    @contextmanager
    def leased(self, own, purpose, deadline):
        self.leases.append((own, purpose))
        try:
            yield SimpleNamespace(before=None, leave=self._leave)
        finally:
            self.log.append("lease: away" if self.away else "lease: free")

    def _leave(self, seconds, deadline):
        self.away = seconds

    def way(self, monkeypatch, **changes):
        """Return the way to it, once all that would ask a real one asks this."""
        monkeypatch.setattr(reboots.equipment, "look", self.look)
        monkeypatch.setattr(lease.Place, "leased", lambda place, *words: self.leased(*words))
        monkeypatch.setattr(staging, "clean", self.unlay)
        monkeypatch.setattr(way_back, "held", self.held)
        monkeypatch.setattr(power, "cycle", self.cycle)
        monkeypatch.setattr(pstore, "left", lambda host, deadline: frozenset(self.records))
        monkeypatch.setattr(pstore, "collected", lambda host, before, deadline: self.records)
        monkeypatch.setattr(waiting.process, "pause", lambda seconds, deadline: None)
        monkeypatch.setattr(Way, "reached", lambda way, deadline: self.reached(deadline))
        monkeypatch.setattr(Way, "method", self)
        switch = 'power = ["switch"]' if self.power else ""
        row = f"[metal]\naddress = 'x'\nboot = 'kexec'\npatience = 20\n{switch}\n"
        return Way(inventory.read(row, "machines.toml")["metal"], **{"attended": True} | changes)
