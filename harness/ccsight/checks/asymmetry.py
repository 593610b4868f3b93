"""CR-003: what a guest and a VMM see does not depend on the physical CPU that they are on."""

from collections.abc import Iterator
from dataclasses import dataclass

from ccsight.checks.registry import NotApplicable, NotObserved, law, need, need_reading, need_vcpus
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import Capture
from ccsight.evidence.views import CARRIED, MOVED, PINNED, Reading, Vantage, View, Write
from ccsight.kvm.behaviour import Behaviour, observed
from ccsight.kvm.hosts import cpu_list, physical
from ccsight.kvm.known import Difference
from ccsight.kvm.pairs import carried
from ccsight.kvm.physical import Physical

_CHECK = "CR-003"
_VANTAGES = (Vantage.USERSPACE, Vantage.GUEST, Vantage.GUEST_EL0)


@dataclass(frozen=True)
class _Bench:
    """What the judgements of one capture share."""

    capture: Capture
    behaviour: Behaviour
    cpus: Physical

    def views(self, vantage: Vantage, phase: str) -> dict[int, list[View]]:
        """Return the views of a phase by CPU; a CPU may be visited twice. Raises NotObserved."""
        found: dict[int, list[View]] = {cpu.number: [] for cpu in self.cpus.cpus}
        for view in self.capture.views:
            if (view.vantage, view.phase) == (vantage, phase) and view.cpu in found:
                found[view.cpu].append(view)
        unseen = [number for number, views in found.items() if not views]
        if unseen:
            raise NotObserved(
                f"no {vantage} view of {cpu_list(unseen)} ({phase}) on {self.capture.cell.title}: "
                "the capture has no complete sweep of its CPUs"
            )
        return found

    def excuse(self, name: str, one: View, other: View, write: Write | None = None) -> str:
        return self.behaviour.excuse(_CHECK, Difference(name, one, other, self.cpus, write))

    def name(self, cpu: int) -> str:
        """Return a CPU with its core, for people."""
        found = self.cpus.cpus[cpu]
        return f"{cpu_list([cpu])} ({found.core}, MIDR {found.midr:#x})"


@law(
    _CHECK,
    "the view is the same whichever physical CPU runs the vCPU or the ioctl",
    "a VM that moves between clusters sees other caches, or its state is refused: failed to boot CPU1",
)
def view_does_not_depend_on_the_cpu(capture: Capture) -> Iterator[Finding]:
    """Pinned to each CPU, moved over all of them, and as launched; what one CPU says is taken on another."""
    need_vcpus(capture)
    if not capture.machine.cpus:
        raise NotObserved(f"no CPU of {capture.cell.machine} was identified")
    if len(capture.machine.cpus) == 1:
        raise NotApplicable("the machine has one CPU")
    bench = _Bench(capture, observed(capture), physical(capture))
    found: list[Finding] = []
    for vantage in _VANTAGES:
        pinned = {cpu: views[0] for cpu, views in bench.views(vantage, PINNED).items()}
        found += [*_across(bench, pinned), *_moved(bench, pinned, vantage)]
        found += _launched(bench, pinned, vantage)
    found += _carried(bench)
    if all(finding.known for finding in found):
        _need_all_pairs(bench)
    yield from found


def _need_all_pairs(bench: _Bench) -> None:
    """Raise NotObserved unless all was carried that the sweep of such CPUs carries."""
    made = {
        (write.origin, write.cpu, write.name, write.value)
        for write in bench.capture.writes
        if write.phase == CARRIED
    }
    lost = [each for each in carried(list(bench.cpus.told.values())) if each not in made]
    if lost:
        origin, here, name, _ = lost[0]
        raise NotObserved(
            f"{name} was not carried from CPU {origin} to CPU {here} on {bench.capture.cell.title}; "
            f"so many such writes are missing: {len(lost)}"
        )


def _across(bench: _Bench, pinned: dict[int, View]) -> Iterator[Finding]:
    """Yield where VMs that each know one CPU do not see what those on the first CPU see."""
    reference = next(iter(pinned.values()))
    for name in reference.readings:
        readings = {cpu: need_reading(view, name) for cpu, view in pinned.items()}
        here = _where(readings, readings[_cpu(reference)])
        for reading in dict.fromkeys(readings.values()):
            there = _where(readings, reading)
            if there == here:
                continue
            # each with each: a CPU that shows what the first does may be alike to one that does not
            excuses = {bench.excuse(name, pinned[one], pinned[other]) for one in here for other in there}
            yield Finding(
                subject=name,
                where=f"{reference.vantage}, {cpu_list(here)} against {cpu_list(there)}",
                said=f"{_say(readings[here[0]])} on {cpu_list(here)}, {_say(reading)} on {cpu_list(there)}",
                before=_say(readings[here[0]]),
                after=_say(reading),
                known=excuses.pop() if len(excuses) == 1 else "",
            )


def _where(readings: dict[int, Reading], wanted: Reading) -> list[int]:
    return [cpu for cpu, reading in readings.items() if reading == wanted]


def _moved(bench: _Bench, pinned: dict[int, View], vantage: Vantage) -> Iterator[Finding]:
    """Yield where a VM that came from another CPU does not see what one sees that was made there."""
    for cpu, views in bench.views(vantage, MOVED).items():
        for name, made_there in pinned[cpu].readings.items():
            for reading in dict.fromkeys(need_reading(view, name) for view in views):
                if reading != made_there:
                    yield Finding(
                        subject=name,
                        where=f"{vantage}, CPU {cpu}",
                        said=f"{_say(reading)} in a VM that came there, {_say(made_there)} in one made there",
                        before=_say(made_there),
                        after=_say(reading),
                    )


def _launched(bench: _Bench, pinned: dict[int, View], vantage: Vantage) -> Iterator[Finding]:
    """Yield where a VM that is pinned to no CPU sees what none of the CPUs shows."""
    for view in (need(bench.capture, vantage, vcpu) for vcpu in bench.capture.vcpus()):
        for name in next(iter(pinned.values())).readings:
            swept = list(dict.fromkeys(need_reading(there, name) for there in pinned.values()))
            reading = need_reading(view, name)
            if reading not in swept:
                yield Finding(
                    subject=name,
                    where=f"{vantage}, vCPU {view.vcpu}",
                    said=f"{_say(reading)} at launch, {' or '.join(map(_say, swept))} CPU by CPU",
                    before=" or ".join(map(_say, swept)),
                    after=_say(reading),
                )


def _carried(bench: _Bench) -> Iterator[Finding]:
    """Yield what is not taken, or not kept, on a CPU of the host on another CPU of which it was read."""
    writes = [write for write in bench.capture.writes if write.phase == CARRIED]
    for write in writes:
        if not write.problem and write.after.value == write.value:
            continue
        origin, here = _told(bench, write.origin), _told(bench, write.cpu)
        verb = f"refused on CPU {write.cpu}: {write.problem}" if write.problem else _lost(write)
        yield Finding(
            subject=write.name,
            where=f"CPU {write.origin} → CPU {write.cpu}",
            said=f"read on {bench.name(_cpu(origin))}, {verb}",
            before=f"{write.value:#x}",
            after=_say(write.after),
            known=bench.excuse(write.name, origin, here, write),
        )


def _lost(write: Write) -> str:
    return f"taken on CPU {write.cpu}, where it then reads {_say(write.after)}"


def _told(bench: _Bench, cpu: int | None) -> View:
    view = bench.cpus.told.get(-1 if cpu is None else cpu)
    if view is None:
        raise NotObserved(f"a register was carried from or to CPU {cpu}, on which nobody looked")
    return view


def _cpu(view: View) -> int:
    if view.cpu is None:
        raise NotObserved(f"a {view.vantage} view ({view.phase}) does not say on which CPU it was made")
    return view.cpu


def _say(reading: Reading) -> str:
    return reading.problem or f"{reading.value:#x}"
