"""A real machine booted once into another kernel, and back: whatever happens on the way.

Until it goes down, all that was laid out is taken away again when something fails. From there on the machine
sees to its own way back (``way_back``), and what is left there is taken away once it is back.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from ccsight.deadline import Deadline
from ccsight.errors import BootError, CcsightError, HostLost, HostRefused, InfraError, MachineLost
from ccsight.evidence.model import Reboot
from ccsight.machines import admission, equipment, lease_model, power, pstore, staging, waiting, way_back
from ccsight.machines.equipment import Equipment
from ccsight.machines.lease import Lease, Place, mark
from ccsight.machines.methods.model import Staged
from ccsight.machines.model import Booted, Report
from ccsight.machines.root import Root
from ccsight.machines.waiting import LOGIN, Said, awaited
from ccsight.machines.way import Way

#: Seconds to clean up, after which the next run does it.
_CLEANING = 120.0
#: ... and for the power command.
_POWER = 120.0
#: Times its patience that a machine has to be back: its timer may be what ends a boot.
_BACK = 1.5

#: Lays a kernel out: is given root, what the machine is, and what the kernel is told.
LayOut = Callable[[Root, Equipment, tuple[str, ...], Deadline], Staged]


@dataclass(frozen=True)
class Errand:
    """What a machine is booted into: ``purpose`` is for its lease, ``more`` ends its command line."""

    purpose: str
    lay_out: LayOut
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Return:
    """How a machine came back to its own kernel: by its power switch, or without it."""

    powered: bool
    release: str

    def __str__(self) -> str:
        how = "after it was turned off and on" if self.powered else "by itself"
        return f"it is back on {self.release} {how}"


class Trip:
    """One boot of a machine into another kernel, and back.

    ``mark`` is what proves it to be that boot. ``records`` is what its kernel left in persistent storage.
    Raises UsageError for a machine that no method is known of, before it is asked anything.
    """

    def __init__(self, way: Way, report: Report) -> None:
        self._way = way
        self._method = way.method
        self._report = report
        self.mark = mark()
        self.records: Mapping[str, bytes] = {}
        self._before: frozenset[pstore.Left] = frozenset()

    def leave(self, errand: Errand, deadline: Deadline) -> Equipment:
        """Lay the kernel out and begin its boot; return what the machine was before.

        Raises what says why the machine was left alone: nothing of ours is there then.
        """
        with self._way.reached(deadline.within(LOGIN * 3)) as root:
            self._report("look")
            found = equipment.look(root.host, root.name, deadline)
            prove_may_go(self._way, found)
            if found.in_use:
                self._report(f"{self._way.name} is rebooted by force; this hits {'; '.join(found.in_use)}")
            with self._leased(root, errand.purpose, deadline) as lease:
                if kept := self._clean(root):  # what a boot left whose controller was killed
                    raise kept
                try:
                    self._start(root, errand, found, lease, deadline)
                except BaseException:
                    self._clean(root)
                    with suppress(CcsightError):
                        lease.leave(0, Deadline(_CLEANING))
                    raise
        return found

    def _start(self, root: Root, errand: Errand, found: Equipment, lease: Lease, deadline: Deadline) -> None:
        self._report("install")
        with suppress(HostRefused):
            self._before = pstore.left(root.host, deadline)
        patience = self._way.entry.patience
        words = staging.command_line(found, self.mark, patience, errand.more)
        staged = errand.lay_out(root, found, words, deadline)
        lease.leave(int(patience * (_BACK + 1)), deadline)
        self._report("boot")
        with suppress(HostLost):
            self._method.start(root, staged, deadline)

    @contextmanager
    def _leased(self, root: Root, purpose: str, deadline: Deadline) -> Iterator[Lease]:
        with Place(self._way.name, root.host).leased(self.mark, purpose, deadline) as lease:
            if lease is None:
                raise InfraError(
                    f"{self._way.name}: who has it cannot be written down, so it is not rebooted",
                    next_step="see /var/lib/ccsight there, and whether it has flock(1)",
                )
            lease_model.tell(self._way.name, lease, self._report)
            yield lease

    @contextmanager
    def there(self, own: Equipment, deadline: Deadline) -> Iterator[Booted]:
        """Have the machine in the other kernel, until the context ends: then it goes back by itself.

        Raises BootError where it did not come up with it.
        """
        clock = deadline.within(self._way.entry.patience)
        with awaited(self._way, lambda said: _is_after(own, said), clock) as root:
            if root is None:
                raise self._did_not_come_up(f"it does not answer after {self._way.entry.patience} s")
            if not self._is_ours(waiting.said(root, deadline)):
                raise self._did_not_come_up("it panicked, something reset it, or it was never started")
            with self._leased(root, "its boot", deadline) as lease:
                lease.leave(int(self._way.entry.patience * _BACK), deadline)
                with way_back.held(root, deadline):
                    yield Booted(
                        root.host,
                        staging.token(self.mark),
                        int(own.one("cpus")),
                        takes_modules=True,
                        reboot=self._how(own),
                    )

    def _how(self, own: Equipment) -> Reboot:
        """Return how it was booted, and its recovery class as it is written down there."""
        name = self._method.name
        return Reboot(method=name, recovery=admission.recovery(name, admission.parse(own.one("admitted"))))

    def _did_not_come_up(self, how: str) -> BootError:
        return BootError(
            f"{self._way.name} did not come up with that kernel",
            evidence=how,
            next_step="its console says how far it came, where its entry names one",
        )

    def back(self, own: Equipment) -> Return:
        """Wait until the machine runs its own kernel again, and take away what is ours there.

        Raises MachineLost where it does not come back, or with another kernel than it had.
        """
        self._report("return")

        def home(said: Said) -> bool:
            return _is_after(own, said) and not self._is_ours(said)

        patience, powered = self._way.entry.patience * _BACK, False
        with ExitStack() as held:
            root = held.enter_context(awaited(self._way, home, Deadline(patience)))
            if root is None and self._way.entry.power:
                powered = True
                self._turn_off_and_on()
                root = held.enter_context(awaited(self._way, home, Deadline(patience)))
            if root is None:
                raise MachineLost(
                    f"{self._way.name} did not come back within {patience:.0f} s",
                    evidence="it was turned off and on" if powered else "its entry has no power command",
                    next_step="see its console; turn it off and on: its own kernel still is its default",
                )
            return Return(powered, self._arrived(root, own))

    def _turn_off_and_on(self) -> None:
        self._report("power")
        try:
            power.cycle(self._way.entry.power, Deadline(_POWER))
        except InfraError as error:
            raise MachineLost(
                f"{self._way.name} is not back, and its power command fails",
                evidence=f"{error.fact}: {error.evidence}",
                next_step="turn it off and on by hand: its own kernel still is its default",
            ) from error

    def _arrived(self, root: Root, own: Equipment) -> str:
        clock = Deadline(_CLEANING)
        found = equipment.look(root.host, root.name, clock)
        with self._leased(root, "cleaning up", clock):
            self._clean(root)
            with suppress(CcsightError):  # what is of use to some is no reason to lose a machine
                self.records = pstore.collected(root.host, self._before, clock)
        release, before = found.one("release"), own.one("release")
        if release != before:
            raise MachineLost(
                f"{self._way.name} came back with another kernel than it had before",
                evidence=f"{release}, before that {before}",
                next_step="see what its boot loader's default is",
            )
        return release

    def _is_ours(self, said: Said) -> bool:
        return staging.token(self.mark) in said.command_line.split()

    def _clean(self, root: Root) -> CcsightError | None:
        """Take away all that is ours, each part by itself; return why one of them could not be, if so."""
        kept = None
        for part in (self._method.clean, staging.clean):
            try:
                part(root, Deadline(_CLEANING))
            except CcsightError as error:
                self._report(f"{error.fact}: {error.evidence}")
                kept = kept or error
        return kept


def _is_after(own: Equipment, said: Said) -> bool:
    return said.boot_id != own.one("boot-id")


def prove_may_go(way: Way, found: Equipment) -> None:
    """Raise InfraError for a machine that must be left alone: nothing was changed there yet."""
    why = way.method.refuses(found) or _lacks(found)
    if why:
        raise InfraError(
            f"{way.name} is not booted by {way.method.name}: {why}",
            evidence="nothing was changed there",
            next_step=f"mend that, or see which methods work: ccsight machines check {way.name}",
        )
    if found.in_use and not way.force:
        raise InfraError(
            f"{way.name} is in use, and is not rebooted",
            evidence="; ".join(found.in_use),
            next_step=f"ask them; or all the same: --on {way.name},force=on (machines admit: --force)",
        )
    if not way.attended:
        admission.prove(way.name, way.method.name, admission.parse(found.one("admitted")))


def _lacks(found: Equipment) -> str:
    if not found.is_root:
        return f"{found.one('user')} is not root there: sudo = true in its entry, and a line for sudoers"
    return found.no_way_back


@contextmanager
def booted(trip: Trip, errand: Errand, deadline: Deadline) -> Iterator[Booted]:
    """Have a machine run a kernel while the context lasts; then it runs its own one again.

    Raises BootError where it did not come up with it and is back, MachineLost where it is not back, and
    InfraError where it was left alone, with the reason. Whoever is interrupted does not wait for its return:
    it comes back by itself, and the next run takes away what lies there.
    """
    own = trip.leave(errand, deadline)
    try:
        with trip.there(own, deadline) as up:
            yield up
    except BootError as error:
        evidence = f"{error.evidence}; {trip.back(own)}"
        raise type(error)(error.fact, evidence=evidence, next_step=error.next_step) from error
    except Exception:
        trip.back(own)
        raise
    trip.back(own)
