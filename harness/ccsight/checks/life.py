"""CR-004: all vCPUs show the same after every moment of their life, and what a VMM chose stays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ccsight.checks.registry import NotObserved, law, need_reading
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import BEFORE, FRESH, Capture, Reading, Vantage, View
from ccsight.evidence.record import Hex
from ccsight.kvm.lives import OVERRIDES, SIZES, Life
from ccsight.kvm.physical import cpu_list

#: What every reset of a vCPU does to a CLIDR_EL1 that was written, from Linux 7af0c2534f4c (v6.3) on.
_RESET_CLIDR = (
    "as Linux v6.3 to v6.9 lose it with each reset of a vCPU, as CPU_ON is one (Firecracker issue 6139); "
    "e016333745c7, v6.10, is the fix"
)

#: The views of one life, by vantage, moment and vCPU; what one shows, by vantage and register.
_Views = Mapping[tuple[Vantage, str, int], View]
_Shown = Mapping[tuple[Vantage, str], Reading]


@dataclass(frozen=True)
class _Odd:
    """A register that reads, from one vantage, what it must not."""

    vantage: Vantage
    name: str
    right: Reading
    reading: Reading


@law(
    "CR-004",
    "all vCPUs agree at launch and after every moment of their life, and what a VMM chose stays",
    "vCPUs that are turned on, reset or made later see other caches than the one that booted",
)
def vcpus_agree_all_their_life(capture: Capture) -> Iterator[Finding]:
    """VMs of several sizes: CPU_ON, CPU_OFF, resets, a VM beside, a vCPU that comes late."""
    programs = {view.program for view in capture.views}
    if not any(Life(size, overridden=False).program in programs for size in SIZES):
        raise NotObserved(f"no life of a vCPU was observed on {capture.cell.title}")
    chooses = _chooses(capture)
    for size in SIZES:
        plain, chosen = (Life(size, overridden=overridden) for overridden in (False, True))
        shown = _needed(capture, plain)
        began = _began(shown)
        yield from _judged(plain, shown, began)
        if chooses:
            wanted = {(vantage, name): _wanted(name, reading) for (vantage, name), reading in began.items()}
            yield from _judged(chosen, _needed(capture, chosen), wanted, began)


def _chooses(capture: Capture) -> bool:
    """Tell whether this kernel lets a VMM choose: whether it took what was written to the smallest VM."""
    program = Life(SIZES[0], overridden=True).program
    asked = [write for write in capture.writes if (write.program, write.phase) == (program, FRESH)]
    if {write.name for write in asked} != set(OVERRIDES):
        raise NotObserved(f"it was not tried what a VMM may choose on {capture.cell.title}")
    return not any(write.problem for write in asked)


def _needed(capture: Capture, life: Life) -> _Views:
    """Return all views of a life. Raises NotObserved when one is missing."""
    found = {
        (view.vantage, view.phase, view.vcpu or 0): view
        for view in capture.views
        if view.program == life.program
    }
    missing = next((place for place in life.places() if place not in found), None)
    if missing:
        vantage, moment, vcpu = missing
        raise NotObserved(f"{life.program}: no {vantage} view of vCPU {vcpu} at the moment {moment}")
    return found


def _began(views: _Views) -> _Shown:
    """Return what the boot vCPU of a life begins with."""
    first = [view for (_, moment, vcpu), view in views.items() if (moment, vcpu) == (BEFORE, 0)]
    return {(view.vantage, name): reading for view in first for name, reading in view.readings.items()}


def _wanted(name: str, reading: Reading) -> Reading:
    return Reading(value=Hex(OVERRIDES[name])) if name in OVERRIDES else reading


def _judged(life: Life, views: _Views, right: _Shown, default: _Shown | None = None) -> Iterator[Finding]:
    """Yield each reading that is not the right one, once, with all places where it was made."""
    places: dict[_Odd, dict[str, list[int]]] = {}
    for (vantage, moment, vcpu), view in views.items():
        for name in (name for where, name in right if where is vantage):
            reading = need_reading(view, name)
            if reading != right[vantage, name]:
                odd = _Odd(vantage, name, right[vantage, name], reading)
                places.setdefault(odd, {}).setdefault(moment, []).append(vcpu)
    for odd, found in places.items():
        lost = odd.name in OVERRIDES and default is not None and odd.reading == default[odd.vantage, odd.name]
        yield _finding(life, odd, found, lost=lost)


def _finding(life: Life, odd: _Odd, places: Mapping[str, list[int]], *, lost: bool) -> Finding:
    where = "; ".join(f"{moment} (v{cpu_list(vcpus)})" for moment, vcpus in places.items())
    source = "the VMM wrote" if life.overridden and odd.name in OVERRIDES else "the VM began with"
    said = f"{_say(odd.reading)}, where {source} {_say(odd.right)}: {where}"
    if lost and odd.name == "CLIDR_EL1":
        said += f", {_RESET_CLIDR}"
    return Finding(
        subject=odd.name,
        where=f"{life.program}, {odd.vantage}",
        said=said,
        before=_say(odd.right),
        after=_say(odd.reading),
    )


def _say(reading: Reading) -> str:
    return reading.problem or f"{reading.value:#x}"
