"""What a gate decides, and why: ADVANCE, HOLD or REVERT, each reason pointing at its evidence."""

from enum import StrEnum

from ccsight.evidence.record import Record
from ccsight.status import ExitCode

#: Raised with every change of the types below.
DECISION_SCHEMA = 1


class Verdict(StrEnum):
    """What to do with a roll-out, worst first."""

    REVERT = "REVERT"  #: evidence that counts shows that the new kernel does harm now
    HOLD = "HOLD"  #: something else that the policy asks for is not met; no evidence is that, too
    ADVANCE = "ADVANCE"  #: all that the policy asks for is met, by evidence


class Kind(StrEnum):
    """What is not met, most important first."""

    LAW = "law"  #: a law fails on the new kernel
    UPGRADE = "upgrade"  #: running guests do not get to the new kernel as the policy accepts
    ROLLBACK = "rollback"  #: guests do not get back to the old kernel so
    CROSSING = "crossing"  #: guests do not get from one machine to another so
    LAUNCH = "launch"  #: a fresh launch shows what the policy does not accept
    REGISTERS = "registers"  #: a VMM has to carry other registers than the policy accepts
    LAYOUT = "layout"  #: CCSIDR_EL1 is not in the layout that the policy accepts
    BASELINE = "baseline"  #: it shows something else than what was committed, or nothing was committed
    PREDICATE = "predicate"  #: what the policy asks of captures is not so
    ELSEWHERE = "elsewhere"  #: harm, but in evidence that does not count, or on a machine of no fleet
    UNOBSERVED = "unobserved"  #: MISS or ERROR: nothing was seen
    SKIPPED = "skipped"  #: nothing applied
    KERNELS = "kernels"  #: more than one kernel goes by the same name
    DAMAGED = "damaged"  #: a run cannot be read
    LOG = "log"  #: a run's own log has other verdicts than its captures give, or none
    SUBSTRATE = "substrate"  #: evidence is there, but of lesser machines
    AGE = "age"  #: evidence is there, but too old, or from the future
    OBSERVATIONS = "observations"  #: too few boots saw it
    CONTROL = "control"  #: no control run proves that checks can fail
    WAIVER = "waiver"  #: a waiver has expired, is not used, or is too broad


class Pointer(Record, frozen=True):
    """Where evidence lies: a run, a cell of it, the check, and the file."""

    run: str
    file: str
    cell: str = ""
    check: str = ""


class Reason(Record, frozen=True):
    """Why not ADVANCE. ``verdict`` is what this alone comes to, ``machines`` are members of the fleet."""

    verdict: Verdict
    kind: Kind
    said: str
    check: str = ""
    machines: tuple[str, ...] = ()
    evidence: tuple[Pointer, ...] = ()
    next_step: str = ""


class Waived(Record, frozen=True):
    """What a waiver took out of the account, and until when."""

    waiver: str
    said: str
    check: str
    machine: str
    owner: str
    expires: str
    reason: str


class Tally(Record, frozen=True):
    """Of how many members of the fleet something is as the policy wants it."""

    kind: Kind
    met: int
    of: int


class GatedKernel(Record, frozen=True):
    """A kernel as the policy names it, and every build-id that counted as it."""

    name: str
    build_ids: tuple[str, ...] = ()


class Decision(Record, frozen=True):
    """What came of a policy and runs at a time. ``notes`` are of no weight. ``exit_code`` is the shell's."""

    schema: int
    verdict: Verdict
    now: str
    policy: str
    old: GatedKernel
    new: GatedKernel
    runs: tuple[str, ...]
    reasons: tuple[Reason, ...]
    waived: tuple[Waived, ...]
    tallies: tuple[Tally, ...]
    notes: tuple[str, ...]
    exit_code: int


def exit_code(verdict: Verdict) -> ExitCode:
    """Return 0 for ADVANCE, and for nothing else."""
    return ExitCode.OK if verdict is Verdict.ADVANCE else ExitCode.FAIL
