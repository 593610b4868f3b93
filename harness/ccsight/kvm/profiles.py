"""From a capture to a profile, and from a profile to what a VMM writes. Pure."""

import re
from collections.abc import Iterator

from ccsight.arm64.registers import ID_AA64MMFR2_EL1, SELECTORS, ccsidr
from ccsight.errors import EvidenceError
from ccsight.evidence.model import Capture
from ccsight.evidence.profile import CoreProfile, Profile, Shown
from ccsight.evidence.record import Hex
from ccsight.evidence.views import PINNED, Vantage, View
from ccsight.kvm.hosts import physical
from ccsight.kvm.physical import PhysicalCpu

_CCIDX = ID_AA64MMFR2_EL1.field("CCIDX")
#: KVM's id of a CCSIDR_EL1 has 32 bits (include/uapi/linux/kvm.h, KVM_REG_ARM_DEMUX).
_U32 = 0xFFFF_FFFF
_PLAIN = re.compile(r"[^a-z0-9]+")


def made_of(capture: Capture, digest: str) -> Profile:
    """Return the profile of a capture, whose SHA-256 is given: for each type of CPU what was shown on it.

    Raises EvidenceError where a CPU was not looked at, and where CPUs of one type show different values.
    """
    kinds: dict[tuple[str, int, int], list[PhysicalCpu]] = {}
    for cpu in physical(capture).cpus:
        kinds.setdefault(cpu.kind, []).append(cpu)
    return Profile(
        kernel=capture.kernel.spec,
        release=capture.kernel.release,
        build_id=capture.kernel.build_id,
        machine=capture.machine.spec,
        substrate=str(capture.machine.substrate),
        emulator=capture.machine.emulator,
        capture=digest,
        cores=tuple(_named(_core(capture, cpus) for cpus in kinds.values())),
    )


def _named(cores: Iterator[CoreProfile]) -> Iterator[CoreProfile]:
    """Yield cores under names that no two of them share."""
    taken: set[str] = set()
    for core in cores:
        name = core.name
        while name in taken:
            name += f"-{core.midr:x}"
        taken.add(name)
        yield CoreProfile(name, core.midr, core.revidr, core.cpus, core.userspace, core.guest, core.values)


def _core(capture: Capture, cpus: list[PhysicalCpu]) -> CoreProfile:
    first, *others = (_both(capture, cpu.number) for cpu in cpus)
    for cpu, other in zip(cpus[1:], others, strict=True):
        if other != first:
            raise EvidenceError(
                f"CPU {cpus[0].number} and CPU {cpu.number} of {capture.cell.title} are of one type, "
                "and show different caches",
                evidence=f"both are {cpu.core}, MIDR_EL1 {cpu.midr:#x}",
                next_step="there is no profile for such a machine: see CR-003 of its capture",
            )
    declared = {row.cpu: row.values for row in capture.machine.declared}
    return CoreProfile(
        name=_PLAIN.sub("-", cpus[0].core.lower()).strip("-"),
        midr=Hex(cpus[0].midr),
        revidr=Hex(cpus[0].revidr),
        cpus=tuple(cpu.number for cpu in cpus),
        userspace=first[0],
        guest=first[1],
        values=declared.get(cpus[0].number, ""),
    )


def _both(capture: Capture, cpu: int) -> tuple[Shown, Shown]:
    told, seen = (_view(capture, vantage, cpu) for vantage in (Vantage.USERSPACE, Vantage.GUEST))
    # A guest reads something of every selector; what of it is a cache, KVM's list says.
    selectors = [selector for selector in SELECTORS if told.value(ccsidr(selector)) is not None]
    return _shown(told, selectors), _shown(seen, selectors)


def _view(capture: Capture, vantage: Vantage, cpu: int) -> View:
    for view in capture.views:
        if (view.vantage, view.phase, view.cpu) == (vantage, PINNED, cpu):
            return view
    failure = capture.failures.get("sweep")
    raise EvidenceError(
        f"nobody looked from {vantage} on CPU {cpu} of {capture.cell.title}",
        evidence=failure.fact if failure else "",
        next_step="a profile is what was read, never a guess: capture it again",
    )


def _shown(view: View, selectors: list[int]) -> Shown:
    return Shown(
        ctr=_value(view, "CTR_EL0"),
        clidr=_value(view, "CLIDR_EL1"),
        ccidx=_CCIDX.extract(_value(view, "ID_AA64MMFR2_EL1")),
        ccsidr={selector: _value(view, ccsidr(selector)) for selector in selectors},
    )


def _value(view: View, name: str) -> Hex:
    reading = view.readings.get(name)
    if reading is None or reading.value is None:
        raise EvidenceError(
            f"{name} could not be read from {view.vantage} on CPU {view.cpu}",
            evidence=reading.problem if reading else "never asked for",
            next_step="a profile is what was read, never a guess: capture it again",
        )
    return reading.value


def chosen(shown: Shown) -> dict[str, int]:
    """Return what a VMM writes to show the same, by reading, in the order in which KVM takes it best.

    CTR_EL0 first: it is the VM's, and since 2843cae26644 (v6.11) refused once a vCPU has run. A CCSIDR_EL1
    has 32 bits here, so of FEAT_CCIDX's layout the sets are lost.
    """
    return {
        name: value & _U32 if name.startswith("CCSIDR_EL1") else int(value)
        for name, value in shown.readings().items()
    }


def with_features(shown: Shown, features: int) -> int:
    """Return a host's ID_AA64MMFR2_EL1 as a VMM writes it to show the profile's CCIDX."""
    return features & ~_CCIDX.mask | shown.ccidx << _CCIDX.lo
