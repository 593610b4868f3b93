"""From a capture to the host's CPUs: what its own kernel read of them, or the table declares, or what leaks.

The host's own kernel is believed first (vantage ``hardware``); without it, what the silicon table
declares. What a guest or a VMM was shown is no source, but for CR-018, which then says so.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ccsight.arm64.kvm_ids import ccsidr_selector
from ccsight.arm64.parts import core_name
from ccsight.arm64.registers import REGISTERS, ranges
from ccsight.evidence.model import Capture
from ccsight.evidence.views import LAUNCH, PINNED, Evidence, Vantage, View
from ccsight.kvm.physical import Physical, PhysicalCpu


def physical(capture: Capture) -> Physical:
    """Return what a capture tells of its host's CPUs."""
    told = {
        view.cpu: view
        for view in capture.views
        if (view.vantage, view.phase) == (Vantage.USERSPACE, PINNED)
        if view.cpu is not None and view.cpu < len(capture.machine.cpus)
    }
    return Physical(tuple(_cpus(capture)), told, capture.machine.cpu_features)


def by_guests(cpus: Physical, capture: Capture) -> Physical | None:
    """Return a host of which nothing is known, with what untrapped guests read on each CPU as its registers.

    For kernels that show the physical CPU. None where they trap instead, or the log does not say.
    """
    views = {
        view.cpu: view for view in capture.views if (view.vantage, view.phase) == (Vantage.GUEST, PINNED)
    }
    if cpus.mismatched is not False or not all(cpu.number in views for cpu in cpus.cpus):
        return None
    found = {number: _values(view) for number, view in views.items() if number is not None}
    return replace(
        cpus,
        cpus=tuple(replace(cpu, source="guests'", registers=found[cpu.number]) for cpu in cpus.cpus),
    )


def by_userspace(cpus: Physical) -> Physical | None:
    """Return a host of which nothing is known, with the CTR_EL0 that a VMM is told.

    For kernels that make everything of that. None where it is not the same on all CPUs.
    """
    told = {view.value("CTR_EL0") for view in cpus.told.values()}
    ctr = told.pop() if len(told) == 1 else None
    if ctr is None:
        return None
    return replace(cpus, kept_ctr=ctr, cpus=tuple(replace(cpu, source="userspace's") for cpu in cpus.cpus))


def _values(view: View) -> dict[str, int]:
    found = {name: reading.value for name, reading in view.readings.items()}
    return {name: value for name, value in found.items() if value is not None}


def told_lists(capture: Evidence) -> tuple[frozenset[int], int | None]:
    """Return the selectors of the CCSIDR_EL1 ids that KVM lists, and the CLIDR_EL1 that it tells a VMM."""
    places = (Vantage.USERSPACE, LAUNCH)
    views = [view for view in capture.views if (view.vantage, view.phase) == places]
    if not views or not capture.register_lists:
        return frozenset(), None
    found = map(ccsidr_selector, capture.register_lists[0].ids)
    return frozenset(each for each in found if each is not None), views[0].value("CLIDR_EL1")


def _cpus(capture: Capture) -> Iterator[PhysicalCpu]:
    hardware = {view.cpu: view for view in capture.views if view.vantage is Vantage.HARDWARE}
    declared = {row.cpu: row for row in capture.machine.declared}
    for number, cpu in enumerate(capture.machine.cpus):
        row, view = declared.get(number), hardware.get(number)
        registers = whole(row.registers) if row else {}
        if view:
            registers = _values(view)
        yield PhysicalCpu(
            number=number,
            core=row.core if row else core_name(cpu.midr),
            midr=cpu.midr,
            revidr=cpu.revidr,
            source="hardware" if view else "declared" if row else "",
            registers=registers,
        )


def whole(declared: Mapping[str, int]) -> dict[str, int]:
    """Return declared registers; one of which only fields are given has these fields and nothing else."""
    found: dict[str, int] = {}
    for name, value in declared.items():
        register, _, field = name.partition(".")
        shift = REGISTERS[register].field(field).lo if field and register in REGISTERS else 0
        found[register] = found.get(register, 0) | value << shift
    return found


def cpu_list(numbers: Iterable[int]) -> str:
    """Return CPUs in short: ``CPU 0-3, 6``."""
    return f"CPU {', '.join(ranges(sorted(set(numbers))))}"
