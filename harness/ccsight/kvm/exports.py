"""Cache registers in the forms that VMMs take: a row for each form. Pure."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ccsight.arm64.kvm_ids import SIZE_MASK, of_reading
from ccsight.arm64.registers import ID_AA64MMFR2_EL1
from ccsight.evidence.profile import Shown
from ccsight.kvm.profiles import chosen

#: Firecracker's bitmaps of ARM registers have 128 characters; ``x`` leaves a bit as it is.
_BITMAP = 128
_CCIDX = ID_AA64MMFR2_EL1.field("CCIDX")


@dataclass(frozen=True)
class Setting:
    """One KVM_SET_ONE_REG: the bits of ``mask`` become those of ``value``, all others stay."""

    kvm_id: int
    name: str
    value: int
    mask: int


def settings(shown: Shown) -> Iterator[Setting]:
    """Yield what a VMM sets on every vCPU, after KVM_ARM_VCPU_INIT and before the first KVM_RUN, in order."""
    for name, value in chosen(shown).items():
        yield Setting(of_reading(name), name, value, (1 << 8 * _size(of_reading(name))) - 1)
    yield Setting(of_reading("ID_AA64MMFR2_EL1"), "ID_AA64MMFR2_EL1", shown.ccidx << _CCIDX.lo, _CCIDX.mask)


def _size(kvm_id: int) -> int:
    return 1 << ((kvm_id & SIZE_MASK) >> 52)


def ids(shown: Shown, title: str) -> str:
    """Return a line ``ID = VALUE`` for each register; ``& MASK`` where only some bits are meant."""
    lines = [f"# {title}"]
    for each in settings(shown):
        whole = each.mask == (1 << 8 * _size(each.kvm_id)) - 1
        part = "" if whole else f" & {each.mask:#x}"
        lines.append(f"{each.kvm_id:#018x}{part} = {each.value:#x}  # {each.name}")
    return "\n".join(lines) + "\n"


def firecracker(shown: Shown, title: str) -> str:
    """Return a custom CPU template (Firecracker, docs/cpu_templates/schema.json).

    ``title`` goes nowhere: the format has no room for it, and unknown keys are refused.
    """
    modifiers = [
        {"addr": f"{each.kvm_id:#x}", "bitmap": _bitmap(each.value, each.mask)} for each in settings(shown)
    ]
    return json.dumps({"reg_modifiers": modifiers}, indent=2) + "\n"


def _bitmap(value: int, mask: int) -> str:
    bits = ("x" if not mask >> bit & 1 else str(value >> bit & 1) for bit in reversed(range(_BITMAP)))
    return "0b" + "".join(bits)


#: The formats by name. A new one is a row here.
FORMATS: dict[str, Callable[[Shown, str], str]] = {"ids": ids, "firecracker": firecracker}
