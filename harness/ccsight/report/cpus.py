"""What each physical CPU of a machine shows: CPUs that are alike in one group, vantage beside vantage."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ccsight.arm64.caches import Layout, geometry, listed
from ccsight.arm64.registers import base_name, ccsidr, in_short
from ccsight.evidence.model import Capture
from ccsight.evidence.views import CARRIED, HOST, MOVED, PINNED, Reading, Vantage, View
from ccsight.kvm.hosts import cpu_list, physical, whole
from ccsight.kvm.meaning import describe
from ccsight.kvm.physical import PhysicalCpu
from ccsight.report.rows import Row, Shown
from ccsight.report.sight import DECLARED

#: What a guest and a VMM are shown; the other sources say why.
_SHOWN = (Vantage.GUEST, Vantage.GUEST_EL0, Vantage.USERSPACE)
_VANTAGES = (Vantage.HARDWARE, Vantage.USERSPACE, Vantage.GUEST, Vantage.GUEST_EL0)


@dataclass(frozen=True)
class Group:
    """CPUs of one kind, on which everything looks the same under every kernel."""

    cpus: tuple[int, ...]
    core: str
    midr: int

    @property
    def first(self) -> int:
        """The CPU that stands for all of them."""
        return self.cpus[0]

    @property
    def label(self) -> str:
        """``CPU 0-1  Cortex-A55``."""
        return f"{cpu_list(self.cpus)}  {self.core}"


@dataclass(frozen=True)
class Column:
    """One source's word on a CPU: a vantage, or :data:`DECLARED`."""

    source: str
    readings: dict[str, Reading]
    layout: Layout

    def say(self, name: str) -> Shown:
        """Return a reading, and of a size its shape."""
        reading = self.readings.get(name)
        if reading is None or reading.value is None:
            return Shown(reading.problem if reading else "")
        if base_name(name) != "CCSIDR_EL1":
            return Shown(f"{reading.value:#x}")
        if self.layout is Layout.CCIDX and self.source == Vantage.USERSPACE:
            return Shown(f"{reading.value:#x}", "NumSets cut off", caution=True)
        return Shown(f"{reading.value:#x}", str(geometry(reading.value, self.layout)))


def groups(captures: Sequence[Capture]) -> tuple[Group, ...]:
    """Return a machine's CPUs, those together that look the same in each of its captures."""
    found: list[tuple[Group, list[object]]] = []
    known = [physical(capture).cpus for capture in captures]
    for each in zip(*known, strict=False):
        looks = [_look(capture, cpu) for capture, cpu in zip(captures, each, strict=True)]
        like = next((number for number, (_, others) in enumerate(found) if others == looks), None)
        if like is None:
            found.append((Group((each[0].number,), each[0].core, each[0].midr), looks))
        else:
            group = found[like][0]
            found[like] = (Group((*group.cpus, each[0].number), group.core, group.midr), looks)
    return tuple(group for group, _ in found)


def _look(capture: Capture, cpu: PhysicalCpu) -> object:
    views = {
        (view.vantage, view.phase): view.readings
        for view in capture.views
        if view.cpu == cpu.number and view.phase in (HOST, PINNED, MOVED)  # where all CPUs were looked at
    }
    return cpu.kind, dict(cpu.registers), views


def columns(capture: Capture, cpu: int) -> tuple[Column, ...]:
    """Return what each source says of a CPU: hardware, userspace, guest, and what is declared of it."""
    views = [_view(capture, vantage, cpu) for vantage in _VANTAGES]
    row = next((row for row in capture.machine.declared if row.cpu == cpu), None)
    found = [
        Column(view.vantage, view.readings, Layout.of(view.value("ID_AA64MMFR2_EL1") or 0))
        for view in views
        if view
    ]
    if row:
        readings = {name: Reading(value=value) for name, value in row.registers.items()}
        layout = Layout.of(whole(row.registers).get("ID_AA64MMFR2_EL1", 0))
        found.append(Column(DECLARED, readings, layout))
    return tuple(found)


def names(found: Sequence[Column]) -> tuple[str, ...]:
    """Return the registers that any of the columns has, without the sizes of caches that none lists."""
    clidrs = [column.readings["CLIDR_EL1"].value or 0 for column in found if "CLIDR_EL1" in column.readings]
    sizes = {ccsidr(cache.selector) for clidr in clidrs for cache in listed(clidr)}
    every = dict.fromkeys(name for column in found for name in column.readings)
    return tuple(name for name in every if base_name(name) != "CCSIDR_EL1" or name in sizes)


def _view(capture: Capture, vantage: Vantage, cpu: int) -> View | None:
    """Return what a vantage saw on a CPU: the host's kernel, or a VM that was made there."""
    return next(
        (
            view
            for view in capture.views
            if (view.vantage, view.cpu) == (vantage, cpu) and view.phase in (HOST, PINNED)
        ),
        None,
    )


def table(captures: Sequence[tuple[str, Capture]], all_groups: Sequence[Group]) -> tuple[Row, ...]:
    """Return what the groups show, one side each: of every capture, by name, what is not the same on all."""
    return tuple(row for name, capture in captures for row in _rows(name, capture, all_groups))


def _rows(name: str, capture: Capture, all_groups: Sequence[Group]) -> Iterator[Row]:
    yield Row(name, tuple(Shown(_caches(capture, group)) for group in all_groups))
    by_group = [{column.source: column for column in columns(capture, group.first)} for group in all_groups]
    changing = {name for vantage in _SHOWN for name in differing(capture, all_groups, vantage)}
    for register in (name for name in names(tuple(by_group[0].values())) if name in changing):
        guest = _sides(by_group, Vantage.GUEST, register)
        yield Row(register, guest, 1)
        for source in (Vantage.GUEST_EL0, Vantage.USERSPACE, Vantage.HARDWARE, DECLARED):
            told = _sides(by_group, source, register)
            if told != guest and any(side.value for side in told):
                yield Row(source, told, 2)
    if any(write.phase == CARRIED for write in capture.writes):
        sides = tuple(Shown(refused(capture, group) or "takes all") for group in all_groups)
        yield Row("carried there", sides, 1)


def _sides(by_group: Sequence[dict[str, Column]], source: str, register: str) -> tuple[Shown, ...]:
    return tuple(found[source].say(register) if source in found else Shown("") for found in by_group)


def _caches(capture: Capture, group: Group) -> str:
    """Return the caches that a guest finds on a group's CPUs."""
    view = _view(capture, Vantage.GUEST, group.first)
    return describe(view) if view else "nobody looked"


def differing(capture: Capture, all_groups: Sequence[Group], vantage: Vantage) -> tuple[str, ...]:
    """Return the registers that a vantage does not see alike on all groups, caches that are listed only."""
    views = [_view(capture, vantage, group.first) for group in all_groups]
    present = [view for view in views if view]
    names = dict.fromkeys(name for view in present for name in view.readings)
    sizes = {ccsidr(cache.selector) for view in present for cache in listed(view.value("CLIDR_EL1") or 0)}
    return tuple(
        name
        for name in names
        if (base_name(name) != "CCSIDR_EL1" or name in sizes)
        and len({view.readings.get(name) for view in present}) > 1
    )


def refused(capture: Capture, group: Group | None = None) -> str:
    """Return what was refused when a VM carried it, to a group or to any: ``CCSIDR_EL1[0-2] EINVAL``."""
    problems: dict[str, dict[str, None]] = {}
    for write in capture.writes:
        if write.phase == CARRIED and write.problem and (group is None or write.cpu in group.cpus):
            problems.setdefault(write.problem, {})[write.name] = None
    return ", ".join(f"{in_short(sorted(names))} {problem}" for problem, names in problems.items())


def sentences(captures: Iterable[tuple[str, Capture]], all_groups: Sequence[Group]) -> Iterator[str]:
    """Yield for each capture, by its name, what changes when a VM leaves the first group's CPUs."""
    for name, capture in captures:
        yield f"{name}: {_sentence(capture, all_groups)}"


def _sentence(capture: Capture, all_groups: Sequence[Group]) -> str:
    if not any(view.phase == PINNED for view in capture.views):
        return "nobody looked CPU by CPU"
    first, *others = all_groups
    said: list[str] = []
    for vantage, words in ((Vantage.GUEST, "guests see"), (Vantage.USERSPACE, "a VMM is told")):
        away = [group for group in others if differing(capture, (first, group), vantage)]
        if away and not said:
            names = {name for group in away for name in differing(capture, (first, group), vantage)}
            what = "another CTR_EL0" if names == {"CTR_EL0"} else "other caches"
            there = " and ".join(cpu_list(group.cpus) for group in away)
            said.append(f"{words} {what} on {there} than on {cpu_list(first.cpus)}")
    problems = refused(capture)
    if problems:
        said.append(f"carrying a VM between them is refused ({problems})")
    return "; ".join(said) or "the same on all"
