"""The ways in which a VMM can tell a Linux guest of its caches, made of what a bare guest and sysfs say."""

from collections.abc import Sequence
from dataclasses import dataclass

from ccsight.arm64.caches import Layout, Side, geometry, listed
from ccsight.arm64.kvm_ids import of_reading
from ccsight.arm64.registers import CLIDR_EL1, CTR_EL0, ccsidr
from ccsight.errors import ProbeError
from ccsight.evidence.linux import CLIDR, LOWERED, OVERRIDE, SYSFS, Leaf
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Vantage, View

_TYPES = {Side.INSTRUCTION: "Instruction", Side.DATA: "Data", Side.UNIFIED: "Unified"}
_CTYPES = {("Instruction",): 1, ("Data",): 2, ("Data", "Instruction"): 3, ("Unified",): 4}
_PROMISES = ("IDC", "DIC")


@dataclass(frozen=True)
class Way:
    """A way to describe caches: the word for it, those in the device tree, what is written to the vCPUs."""

    device_tree: str
    described: tuple[Leaf, ...]
    override: Hex | None = None
    ctr: Hex | None = None

    @property
    def writes(self) -> list[str]:
        """What ccprobe is to write, as ID=VALUE."""
        asked = {CLIDR_EL1.name: self.override, CTR_EL0.name: self.ctr}
        return [f"{of_reading(name):x}={value:x}" for name, value in asked.items() if value is not None]


def ways(views: Sequence[View], host: tuple[Leaf, ...]) -> tuple[Way, ...]:
    """Return the ways to describe caches: by CLIDR_EL1, and by the host's sysfs where it has any.

    The host's also with a CLIDR_EL1 that fits, unless it fits without; and CLIDR_EL1's with a CTR_EL0 that
    promises less, where it promises anything.
    """
    guest = next(view for view in views if view.vantage is Vantage.GUEST)
    clidr, ctr = guest.value("CLIDR_EL1"), guest.value("CTR_EL0")
    if clidr is None or ctr is None:
        raise ProbeError("no bare guest read CLIDR_EL1 and CTR_EL0, of which a VMM makes a device tree")
    found = [Way(CLIDR, caches_of(guest, clidr))]
    if host:
        found.append(Way(SYSFS, host))
    if host and {leaf.name for leaf in host} != {cache.name for cache in listed(clidr)}:
        made = clidr_of(host, ctr)
        found += [Way(OVERRIDE, host, made)] if made is not None else []
    lowered = _lowered(views)
    return (*found, Way(LOWERED, found[0].described, ctr=lowered)) if lowered is not None else tuple(found)


def _lowered(views: Sequence[View]) -> Hex | None:
    """Return the CTR_EL0 that KVM told a VMM of, without what a migration to a lesser host takes from it."""
    told = (view.value("CTR_EL0") for view in views if view.vantage is Vantage.USERSPACE)
    ctr = next((value for value in told if value is not None), 0)
    mask = sum(1 << CTR_EL0.field(name).lo for name in _PROMISES)
    return Hex(ctr & ~mask) if ctr & mask else None


def caches_of(guest: View, clidr: int) -> tuple[Leaf, ...]:
    """Return the caches that CLIDR_EL1 lists; those whose sizes KVM makes up are without."""
    return tuple(_leaf(guest, cache.level, cache.side, cache.selector) for cache in listed(clidr))


def _leaf(guest: View, level: int, side: Side, selector: int) -> Leaf:
    size = guest.value(ccsidr(selector))
    shape = None if size is None else geometry(size, Layout.of(guest.value("ID_AA64MMFR2_EL1") or 0))
    if shape is None or shape.is_fabricated:
        return Leaf(level=level, type=_TYPES[side])
    return Leaf(
        level=level, type=_TYPES[side], size=shape.size, line=shape.line, ways=shape.ways, sets=shape.sets
    )


def clidr_of(leaves: Sequence[Leaf], ctr: int) -> Hex | None:
    """Return the CLIDR_EL1 that a VMM makes of sysfs, which says nothing of LoC, LoUU and LoUIS.

    None where there is no such value: a level with other caches than there can be.

    As Firecracker does it (its PR 5780): LoC is the last level, LoUU and LoUIS are 0. Where CTR_EL0.IDC is
    0, KVM takes only a value that has them (set_clidr(), 7af0c2534f4c): level 1 then.
    """
    types: dict[int, list[str]] = {}
    for leaf in leaves:
        types.setdefault(leaf.level, []).append(leaf.type)
    if not all(level and tuple(sorted(found)) in _CTYPES for level, found in types.items()):
        return None
    unified = 0 if CTR_EL0.field("IDC").extract(ctr) else 1
    fields = {f"Ctype{level}": _CTYPES[tuple(sorted(found))] for level, found in types.items()}
    fields |= {"LoC": max(types), "LoUU": unified, "LoUIS": unified}
    return Hex(sum(value << CLIDR_EL1.field(name).lo for name, value in fields.items()))
