"""The lives of vCPUs: the steps of each as a script, and the views and writes that come of them.

Complete or not at all: a vCPU that does not run, stop or end as it was told to is an error.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ccsight.arm64.kvm_ids import of_reading
from ccsight.deadline import Deadline
from ccsight.errors import ProbeError
from ccsight.evidence.record import Hex
from ccsight.evidence.views import BEFORE, FRESH, Reading, Vantage, View, Write
from ccsight.kvm.lives import BESIDE, SIZES, Life, overrides
from ccsight.probes.outcome import GIVEN_BACK, PARKED, RESET, Got, Initialised, Ran, Wrote
from ccsight.probes.runner import Probe
from ccsight.probes.script import Results, Script, Step

_GUEST = "life"
#: What the guest is told to do, see guests/bare/life.c.
_CPU_ON, _CPU_OFF, _SYSTEM_RESET = 1, 2, 3
#: The slot of the VM that is made beside the one that is looked at.
_OTHER = 1


@dataclass(frozen=True)
class Lived:
    """What was seen of lives, and what was written in them."""

    views: tuple[View, ...]
    writes: tuple[Write, ...]


@dataclass(frozen=True)
class _Run:
    """A run of a vCPU: how it must end, and which other vCPUs its guest must have turned on."""

    step: Step[Ran]
    end: str
    turned_on: tuple[int, ...]

    def require(self, results: Results) -> None:
        ran = results[self.step]
        said = [(line.kind, line.values) for line in ran.said]
        if ran.end == self.end and said == [("psci", {"on": f"{n}", "said": "0x0"}) for n in self.turned_on]:
            return
        raise ProbeError(
            f"a vCPU did not do what it was told in the step {' '.join(self.step.words)!r}",
            evidence=f"ended as {ran.end}, not {self.end}; said {said}",
            next_step="look at life.stream of this boot: guests/README.md says what each line means",
        )


@dataclass(frozen=True)
class _Asked:
    """A write as it was asked for."""

    moment: str
    vcpu: int
    name: str
    value: int
    step: Step[Wrote]


@dataclass
class _Living:
    """One life: its steps in a script, and which of them have something to tell."""

    life: Life
    cpu: int
    script: Script
    inits: list[Step[Initialised]] = field(default_factory=list)
    runs: list[_Run] = field(default_factory=list)
    told: list[tuple[str, int, Step[Got]]] = field(default_factory=list)
    seen: list[tuple[str, int, Step[Ran]]] = field(default_factory=list)
    asked: list[_Asked] = field(default_factory=list)

    def add(self) -> None:
        """Add all steps of the life to the script."""
        does: dict[str, Callable[[str], None]] = {
            BEFORE: self._launch,
            "cpu-on": self._turn_on,
            "cpu-off-on": self._turn_off_and_on,
            "second-run": self._run_all,
            "re-init": self._initialise_again,
            "system-reset": self._reset,
            "beside": self._make_another,
            "late": self._come_late,
        }
        self.script.vm(self.life.size)
        for moment in self.life.moments:
            does[moment](moment)
            self.told += [(moment, vcpu, self.script.get(vcpu)) for vcpu in self.life.vcpus(moment)]
        self.script.drop()

    def _launch(self, moment: str) -> None:
        self._initialise()
        if self.life.overridden:
            for vcpu in range(self.life.size):
                self._set(FRESH, vcpu, overrides(vcpu))
        self.script.load(_GUEST)
        self.script.start(0)
        self._look(moment, 0)

    def _turn_on(self, moment: str) -> None:
        """Boot as a guest does: vCPU 0 runs, and turns all others on."""
        others = range(1, self.life.size)
        self._look(moment, 0, others)
        for vcpu in others:
            self._look(moment, vcpu)

    def _turn_off_and_on(self, moment: str) -> None:
        for vcpu in range(1, self.life.size):
            self._run(vcpu, _CPU_OFF, PARKED)
        self._turn_on(moment)

    def _run_all(self, moment: str) -> None:
        for vcpu in range(self.life.size):
            self._look(moment, vcpu)

    def _initialise_again(self, moment: str) -> None:
        self._initialise()
        self.script.start(0)
        self._turn_on(moment)

    def _reset(self, moment: str) -> None:
        self._run(0, _SYSTEM_RESET, RESET)
        self._initialise_again(moment)

    def _make_another(self, moment: str) -> None:
        self.script.vm(1, slot=_OTHER)
        self.inits.append(self.script.init(0, slot=_OTHER))
        self._set(moment, 0, BESIDE, slot=_OTHER)
        self.script.load(_GUEST, slot=_OTHER)
        self.script.start(0, slot=_OTHER)
        self.runs.append(_Run(self.script.run(0, slot=_OTHER), GIVEN_BACK, ()))
        self._run_all(moment)
        self.script.drop(slot=_OTHER)

    def _come_late(self, moment: str) -> None:
        late = self.life.size
        self.script.late_vcpu()
        self.inits.append(self.script.init(late, off=True))
        if self.life.overridden:
            self._set(moment, late, overrides(late))
        self._look(moment, 0, (late,))
        for vcpu in range(1, late + 1):
            self._look(moment, vcpu)

    def _initialise(self) -> None:
        """Initialise all, as a VMM does: those that do not boot wait powered off."""
        self.inits += [self.script.init(vcpu, off=vcpu > 0) for vcpu in range(self.life.size)]

    def _set(self, moment: str, vcpu: int, values: Mapping[str, int], slot: int = 0) -> None:
        for name, value in values.items():
            step = self.script.set(vcpu, of_reading(name), value, slot)
            self.asked.append(_Asked(moment, vcpu, name, value, step))

    def _look(self, moment: str, vcpu: int, turn_on: Iterable[int] = ()) -> None:
        others = tuple(turn_on)
        command = _CPU_ON | sum(1 << other for other in others) << 8 if others else 0
        self.seen.append((moment, vcpu, self._run(vcpu, command, GIVEN_BACK, others)))

    def _run(self, vcpu: int, command: int, end: str, turned_on: tuple[int, ...] = ()) -> Step[Ran]:
        step = self.script.run(vcpu, command)
        self.runs.append(_Run(step, end, turned_on))
        return step

    def lived(self, results: Results) -> Lived:
        """Return the evidence: of a life with values that were not taken, just that."""
        for init in self.inits:
            if results[init].problem:
                raise ProbeError(
                    f"KVM does not initialise a vCPU in the step {' '.join(init.words)!r}",
                    evidence=results[init].problem,
                )
        for run in self.runs:
            run.require(results)
        writes = tuple(self._write(asked, results[asked.step]) for asked in self.asked)
        refused = any(write.problem and write.phase == FRESH for write in writes)
        return Lived(() if refused else tuple(self._views(results)), writes)

    def _views(self, results: Results) -> Iterator[View]:
        for moment, vcpu, told in self.told:
            yield self._view(Vantage.USERSPACE, moment, vcpu, results[told].readings)
        for moment, vcpu, seen in self.seen:
            yield self._view(Vantage.GUEST, moment, vcpu, results[seen].el1)
            yield self._view(Vantage.GUEST_EL0, moment, vcpu, results[seen].el0)

    def _view(self, vantage: Vantage, moment: str, vcpu: int, readings: dict[str, Reading]) -> View:
        return View(
            vantage=vantage,
            vcpu=vcpu,
            program=self.life.program,
            phase=moment,
            readings=readings,
            cpu=self.cpu,
        )

    def _write(self, asked: _Asked, wrote: Wrote) -> Write:
        return Write(
            vcpu=asked.vcpu,
            program=self.life.program,
            phase=asked.moment,
            name=asked.name,
            value=Hex(asked.value),
            problem=wrote.problem,
            after=wrote.after,
            cpu=self.cpu,
            moved=wrote.moved,
        )


def script(lives: Iterable[Life], cpu: int) -> tuple[Script, Callable[[Results], Lived]]:
    """Return a script of lives, one after the other on one physical CPU; and what reads its results."""
    steps = Script()
    steps.pin(cpu)
    living = [_Living(life, cpu, steps) for life in lives]
    for each in living:
        each.add()

    def lived(results: Results) -> Lived:
        found = [each.lived(results) for each in living]
        return Lived(
            tuple(view for each in found for view in each.views),
            tuple(write for each in found for write in each.writes),
        )

    return steps, lived


def observe(probe: Probe, cpu: int, deadline: Deadline) -> Lived:
    """Return all lives, on one physical CPU. Raises as ``Probe.script`` does.

    Whether a kernel takes what a VMM chooses, the smallest VM tells: if not, larger ones are not made.
    """
    smallest, *larger = (Life(size, overridden=True) for size in SIZES)
    steps, read = script([*(Life(size, overridden=False) for size in SIZES), smallest], cpu)
    first = read(probe.script("life", steps, deadline))
    if any(write.problem and write.phase == FRESH for write in first.writes):
        return first
    steps, read = script(larger, cpu)
    rest = read(probe.script("life-overridden", steps, deadline))
    return Lived(first.views + rest.views, first.writes + rest.writes)
