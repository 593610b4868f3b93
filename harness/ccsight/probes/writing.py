"""From experiments to a script, and from what came of it to evidence: writes to KVM's cache registers.

Every VM has two vCPUs: the second one shows what a write does to a vCPU that was not meant.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ccsight.arm64.kvm_ids import of_reading
from ccsight.deadline import Deadline
from ccsight.evidence.record import Hex
from ccsight.evidence.views import PINNED, RAN, UNINITIALISED, UNREADABLE, Vantage, View, Write
from ccsight.kvm.written import PROGRAM
from ccsight.probes import fuzz
from ccsight.probes.outcome import Ran, Wrote
from ccsight.probes.runner import Probe
from ccsight.probes.script import Results, Script, Step
from ccsight.probes.writes import Attempt, Trial, trials

_GUEST = "sweep"
_VCPUS = 2
#: Random values in one script: each is two steps, a line for each, and one more where CTR_EL0 moves.
_VALUES = 2000
#: What a guest is asked for beside CTR_EL0, where that was written: Linux takes them together.
_BESIDE = ("CTR_EL0", "CLIDR_EL1")


@dataclass(frozen=True)
class _Asked:
    """A write as it was asked for, and the steps that have its results."""

    phase: str
    cpu: int
    attempt: Attempt
    wrote: Step[Wrote]
    ran: Step[Ran] | None = None


@dataclass
class Writing:
    """A script of trials; once its results are there, the writes that they tell of."""

    script: Script = field(default_factory=Script)
    _asked: list[_Asked] = field(default_factory=list)

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> "Writing":
        """Return the script of all trials, one VM after the other."""
        writing = cls()
        for trial in trials:
            writing._add(trial)
        return writing

    def writes(self, results: Results) -> tuple[Write, ...]:
        """Return the writes in the order in which they were made."""
        return tuple(_write(asked, results) for asked in self._asked)

    def _add(self, trial: Trial) -> None:
        script = self.script
        script.pin(trial.made)
        script.vm(_VCPUS)
        if trial.phase != UNINITIALISED:
            for vcpu in range(_VCPUS):
                script.init(vcpu)
        if any(attempt.watched for attempt in trial.attempts) or trial.phase == RAN:
            script.load(_GUEST)
            script.start(0)
        if trial.phase == RAN:
            script.run(0)
        if trial.cpu != trial.made:
            script.pin(trial.cpu)
        for attempt in trial.attempts:
            self._attempt(trial, attempt)
        script.drop()

    def _attempt(self, trial: Trial, attempt: Attempt) -> None:
        kvm_id = of_reading(attempt.name) if attempt.kvm_id is None else attempt.kvm_id
        if trial.phase == UNREADABLE:
            wrote = self.script.set_bad_pointer(attempt.vcpu, kvm_id)
        else:
            wrote = self.script.set(attempt.vcpu, kvm_id, attempt.value)
        ran = self.script.run(0) if attempt.watched else None
        self._asked.append(_Asked(trial.phase, trial.cpu, attempt, wrote, ran))
        if attempt.back not in (None, attempt.value):
            back = Attempt(attempt.name, attempt.back or 0, attempt.vcpu)
            wrote = self.script.set(attempt.vcpu, kvm_id, back.value)
            self._asked.append(_Asked(trial.phase, trial.cpu, back, wrote))


def observe(
    probe: Probe, views: Iterable[View], seed: str, values: int, deadline: Deadline
) -> tuple[Write, ...]:
    """Make every write of the table, then random ones from a seed; ``views`` has those of the sweep.

    Raises as ``Probe.script`` does.
    """
    pinned = [view for view in views if (view.vantage, view.phase) == (Vantage.USERSPACE, PINNED)]
    told = {view.cpu: view for view in pinned if view.cpu is not None}
    found: tuple[Write, ...] = ()
    for number, own in enumerate(_scripts(told, fuzz.trial(told, seed, values)), 1):
        writing = Writing.of(own)
        name = PROGRAM if number == 1 else f"{PROGRAM}-{number}"
        found += writing.writes(probe.script(name, writing.script, deadline))
    return found


def _scripts(told: Mapping[int, View], random: Trial) -> Iterator[list[Trial]]:
    """Yield what goes into each script: none has more steps than ccprobe takes, or lines than are read."""
    pieces = [random.attempts[at : at + _VALUES] for at in range(0, len(random.attempts), _VALUES)]
    first, *others = [replace(random, attempts=piece) for piece in pieces] or [replace(random, attempts=())]
    yield [*trials(told), first]
    yield from ([each] for each in others)


def _write(asked: _Asked, results: Results) -> Write:
    attempt, wrote = asked.attempt, results[asked.wrote]
    read = results[asked.ran].el1 if asked.ran else {}
    return Write(
        vcpu=attempt.vcpu,
        program=PROGRAM,
        phase=asked.phase,
        name=attempt.name,
        value=Hex(attempt.value),
        problem=wrote.problem,
        after=wrote.after,
        cpu=asked.cpu,
        kvm_id=None if attempt.kvm_id is None else Hex(attempt.kvm_id),
        seen=read.get(attempt.name),
        moved=wrote.moved,
        beside={name: read[name] for name in _BESIDE if name in read and attempt.name == "CTR_EL0"},
    )
