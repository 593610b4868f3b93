"""Which profiles cannot be: values that no CPU could have, and CPUs that it is not of. Pure."""

from collections.abc import Iterable

from ccsight.arm64.caches import Layout, listed
from ccsight.arm64.parts import core_name
from ccsight.arm64.silicon import Base, Core
from ccsight.arm64.silicon_rules import breaches
from ccsight.arm64.suggest import nearest
from ccsight.errors import UsageError
from ccsight.evidence.model import Cpu
from ccsight.evidence.profile import CoreProfile, Profile, Shown

#: What is known of a machine that is no QEMU model: nothing that would forbid a value.
_ANY = Base("this core", mte=True)


def require_possible(profile: Profile, place: str) -> None:
    """Refuse a profile in which anything cannot be. Raises UsageError that names every broken rule."""
    for core in profile.cores:
        for word, shown in (("userspace", core.userspace), ("guest", core.guest)):
            broken = broken_rules(core, shown)
            if broken:
                raise UsageError(
                    f"{place}: [core.{core.name}] {word} cannot be",
                    evidence="\n".join(broken),
                    next_step="no CPU and no kernel shows such values: capture the profile again",
                )


def broken_rules(core: CoreProfile, shown: Shown) -> tuple[str, ...]:
    """Return each rule that what was shown breaks, and what demands it.

    Kernels that normalise say a size for all fourteen selectors, so only those of listed caches are judged.
    """
    there = {cache.selector for cache in listed(shown.clidr)}
    row = Core(
        name=core.name,
        title=core.name,
        base=_ANY.name,
        midr=core.midr,
        ctr=shown.ctr,
        clidr=shown.clidr,
        ccsidr={selector: value for selector, value in shown.ccsidr.items() if selector in there},
        values="published",
        source="",
        ccidx=shown.layout is Layout.CCIDX,
    )
    found = [breach for breach in breaches(row, _ANY) if breach.key != "midr"]
    return tuple(f"{each.key} = {each.value}: {each.rule} ({each.demanded_by})" for each in found)


def core_for(profile: Profile, cpus: Iterable[Cpu], where: str, name: str = "") -> CoreProfile:
    """Return the one of a profile's cores that a VM on these CPUs shall show; ``name`` chooses among several.

    Raises UsageError where a CPU is none of the profile's, and where it has several and none was named.
    """
    known = {(core.midr, core.revidr) for core in profile.cores}
    for number, cpu in enumerate(cpus):
        if (cpu.midr, cpu.revidr) not in known:
            wanted = ", ".join(f"{core.name} ({_identity(core)})" for core in profile.cores)
            raise UsageError(
                f"the profile is of another core: CPU {number} of {where} is {core_name(cpu.midr)}",
                evidence=f"MIDR_EL1 {cpu.midr:#x}, REVIDR_EL1 {cpu.revidr:#x}; the profile is of {wanted}",
                next_step=f"ccsight profile capture {profile.kernel} --on {where}",
            )
    return chosen_core(profile, name)


def chosen_core(profile: Profile, name: str = "") -> CoreProfile:
    """Return a core by name, or the only one. Raises UsageError naming those that there are."""
    found = {core.name: core for core in profile.cores}
    if name and name not in found:
        raise UsageError(
            f"the profile has no core {name!r}",
            evidence=nearest(name, found),
            next_step=f"it has {', '.join(found)}",
        )
    if not name and len(found) > 1:
        raise UsageError(
            f"the profile has {len(found)} types of CPU: a VM shows one of them",
            evidence=", ".join(found),
            next_step=f"--core {next(iter(found))}, and pin the VM to its CPUs",
        )
    return found[name] if name else profile.cores[0]


def _identity(core: CoreProfile) -> str:
    return f"MIDR_EL1 {core.midr:#x}, REVIDR_EL1 {core.revidr:#x}"
