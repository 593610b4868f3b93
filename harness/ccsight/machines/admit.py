"""Proves that a machine comes back to its own kernel whatever its boot comes to, by having it come to that.

Each trial boots the machine's own kernel once more, with an initramfs that does harm.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from ccsight.deadline import Deadline
from ccsight.errors import BootError, InfraError
from ccsight.machines import admission, equipment, staging
from ccsight.machines.admission import Admission
from ccsight.machines.equipment import Equipment
from ccsight.machines.lease import me
from ccsight.machines.leasing import lent
from ccsight.machines.model import Report
from ccsight.machines.reboots import Errand, Return, Trip, booted, prove_may_go
from ccsight.machines.way import Way

#: Seconds after which nobody having connected ends a trial.
_SILENCE = 30
_HANGS = "panic=0"
_PANICS = "ccsight.trial=panic"


@dataclass(frozen=True)
class Trial:
    """A way to go wrong, and what has to bring the machine back: a part of its recovery class.

    ``later`` hangs the kernel once somebody has connected. ``wanted`` tells for which machines it is.
    ``needed`` is whether no machine is admitted without.
    """

    recovery: str
    title: str
    more: tuple[str, ...]
    wanted: Callable[[Way, Equipment], bool] = lambda way, found: True
    later: bool = False
    needed: bool = False


TRIALS = (
    Trial("panic", "a kernel that panics", (_PANICS,), needed=True),
    Trial("timer", "a kernel to which nobody connects", (f"ccsight.patience={_SILENCE}",), needed=True),
    Trial(
        "watchdog",
        "a kernel that hangs once it is up",
        (_HANGS,),
        lambda way, found: bool(found.one("watchdog-file")),
        later=True,
    ),
    Trial(
        "power",
        "a kernel that hangs from its start",
        (_PANICS, _HANGS),
        lambda way, found: bool(way.entry.power),
    ),
)


def admit(way: Way, deadline: Deadline, report: Report) -> Admission:
    """Carry out each trial, and write down on the machine what brought it back; ``report`` hears of each.

    Before them a boot without any harm has to come up: a machine whose boot loader goes past ours without a
    word would come back from all of them.

    Raises what says why it was left alone, BootError where that one did not come up, MachineLost where the
    machine did not come back, and InfraError where it came back but not by itself.
    """
    with lent(way.entry, "admitting it", deadline, report):
        with way.reached(deadline) as root:
            found = equipment.look(root.host, root.name, deadline)
            prove_may_go(way, found)
        with booted(*_trip(way, "its own kernel, booted once", (), report), deadline):
            pass
        wanted = [trial for trial in TRIALS if trial.wanted(way, found)]
        proved = tuple(trial.recovery for trial in wanted if _proved(way, trial, deadline, report))
        at = datetime.now(UTC).isoformat(timespec="seconds")
        admitted = Admission(way.method.name, proved, found.one("release"), me(), at)
        with way.reached(deadline) as root:
            admission.write(root, admitted, deadline)
    return admitted


def _proved(way: Way, trial: Trial, deadline: Deadline, report: Report) -> bool:
    """Return whether a machine came back from a trial by what was to be proved."""
    returned = _returned(way, trial, deadline, report)
    proved = returned.powered == (trial.recovery == "power")
    unlike = "" if proved else f", which is not what was to be proved: {trial.recovery}"
    report(f"{way.name}: {trial.title}: {returned}{unlike}")
    if trial.needed and not proved:
        raise InfraError(
            f"{way.name} did not come back by itself from {trial.title}",
            evidence=str(returned),
            next_step=f"it is not admitted; boots that somebody looks on at: --on {way.name},attended=on",
        )
    return proved


def _returned(way: Way, trial: Trial, deadline: Deadline, report: Report) -> Return:
    trip, errand = _trip(way, trial.title, trial.more, report)
    own = trip.leave(errand, deadline)
    if trial.later:
        with suppress(BootError), trip.there(own, deadline) as up:
            with suppress(InfraError):
                up.host.run(["sh", "-c", "echo c >/proc/sysrq-trigger"], Deadline(_SILENCE))
    return trip.back(own)


def _trip(way: Way, title: str, more: tuple[str, ...], report: Report) -> tuple[Trip, Errand]:
    """Return what boots its own kernel once, told ``more``."""
    trip = Trip(way, lambda stage: report(f"{way.name}: {title}: {stage}"))
    return trip, Errand(f"admitting it: {title}", staging.own, more)
