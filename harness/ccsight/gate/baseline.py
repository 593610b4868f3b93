"""What a kernel shows at launch, as a text for review: sorted, decoded, one value a line."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ccsight.arm64.caches import Layout
from ccsight.arm64.registers import REGISTERS, base_name
from ccsight.evidence.model import Capture
from ccsight.evidence.views import Reading, Vantage, View, slug
from ccsight.gate.facts import Fact
from ccsight.gate.policy import Policy
from ccsight.gate.seen import Seen

_VANTAGES = (Vantage.GUEST, Vantage.GUEST_EL0, Vantage.USERSPACE)
_IS = " = "
_REMARK = "#"


def path(folder: Path, member: str, policy: Policy) -> Path:
    """Return where the baseline of the policy's new kernel on a member of the fleet lies."""
    return folder / slug(member) / f"{slug(policy.new.text)}.txt"


def values(capture: Capture) -> tuple[str, ...]:
    """Return what a launch shows: ``guest CLIDR_EL1.LoC = 1``, with the vCPU where they are not all alike."""
    found: set[str] = set()
    for vantage in _VANTAGES:
        views = [view for view in capture.launch if view.vantage is vantage]
        texts = {view.vcpu: tuple(_decoded(view)) for view in views}
        alike = len(set(texts.values())) == 1
        for vcpu, lines in texts.items():
            place = f"{vantage}" if alike else f"{vantage}(vcpu={vcpu})"
            found.update(f"{place} {line}" for line in lines)
    return tuple(sorted(found))


def _decoded(view: View) -> Iterator[str]:
    layout = Layout.of(view.value("ID_AA64MMFR2_EL1") or 0)
    for name, reading in view.readings.items():
        yield f"{name}{_IS}{_say(reading)}"
        base = base_name(name)
        register = layout.register if base == "CCSIDR_EL1" else REGISTERS.get(base)
        if register and reading.value is not None:
            yield from (f"{name}.{field.name}{_IS}{field.say(reading.value)}" for field in register.fields)


def _say(reading: Reading) -> str:
    return reading.problem or f"{reading.value:#x}"


def text(seen: Seen) -> str:
    """Return a baseline: remarks on where it is from, then the values."""
    head = [
        f"{_REMARK} what {seen.release} shows at launch on {seen.machine} ({seen.substrate})",
        f"{_REMARK} kernel {seen.new}",
        f"{_REMARK} run {seen.run} of {seen.created}, ccsight {seen.ccsight}",
    ]
    return "\n".join([*head, *seen.values]) + "\n"


def differences(baseline: str, shown: Iterable[str]) -> tuple[Fact, ...]:
    """Return what a launch shows otherwise than a baseline: fields, and what has none of its own."""
    lines = [line for line in baseline.splitlines() if line.strip() and not line.startswith(_REMARK)]
    before, after = _by_name(lines), _by_name(shown)
    changed = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    return tuple(
        Fact(name.partition(" ")[2], "changed", f"{before.get(name, 'none')} → {after.get(name, 'none')}")
        for name in changed
        if not _has_field(name, changed)
    )


def _has_field(name: str, changed: Iterable[str]) -> bool:
    """Tell whether a field says more precisely what changed of a register."""
    return any(other.startswith(f"{name}.") for other in changed)


def _by_name(lines: Iterable[str]) -> Mapping[str, str]:
    found = {}
    for line in lines:
        name, _, value = line.partition(_IS)
        found[name] = value
    return found
