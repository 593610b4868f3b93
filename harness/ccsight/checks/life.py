"""CR-004: all vCPUs show the same after every moment of their life, and what a VMM chose stays."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

import msgspec

from ccsight.checks.registry import NotObserved, law, need_reading
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import Capture
from ccsight.evidence.views import BEFORE, FRESH, Reading, Vantage, View
from ccsight.kvm.hosts import cpu_list
from ccsight.kvm.lives import OVERRIDES, SIZES, Life, was_reset

#: What every reset of a vCPU does to a CLIDR_EL1 that was written, from Linux 7af0c2534f4c (v6.3) on.
_RESET_CLIDR = (
    "as Linux v6.3 to v6.9 lose it with each reset of a vCPU, as CPU_ON is one (Firecracker issue 6139); "
    "e016333745c7, v6.10, is the fix"
)
#: So many different values are told one by one.
_TOLD = 2

#: The views of one life, by vantage, moment and vCPU; what one shows, by vantage and register.
_Views = Mapping[tuple[Vantage, str, int], View]
_Shown = Mapping[tuple[Vantage, str], Reading]
#: What was written, by vCPU and register.
_Written = Mapping[tuple[int, str], Reading]
#: What was right, by moment and vCPU.
_Places = dict[tuple[str, int], Reading]


@dataclass(frozen=True)
class _Odd:
    """A register that reads, from one vantage, what it must not."""

    vantage: Vantage
    name: str
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
        yield from _judged(plain, shown, began, {})
        if chooses:
            yield from _judged(chosen, _needed(capture, chosen), began, _written(capture, chosen))


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


def _written(capture: Capture, life: Life) -> _Written:
    """Return what was written to each vCPU of a life. Raises NotObserved when some was not."""
    found = {
        (write.vcpu, write.name): Reading(value=write.value)
        for write in capture.writes
        if write.program == life.program and write.phase in (FRESH, "late")
    }
    vcpus = life.vcpus(life.moments[-1])
    if found.keys() != {(vcpu, name) for vcpu in vcpus for name in OVERRIDES}:
        raise NotObserved(f"{life.program}: nothing was written to some vCPUs on {capture.cell.title}")
    return found


def _judged(life: Life, views: _Views, began: _Shown, written: _Written) -> Iterator[Finding]:
    """Yield each reading that is not the right one, once, with all places and what was right there."""
    odd: dict[_Odd, _Places] = {}
    names = {each: [name for where, name in began if where is each] for each, _, _ in views}
    for (vantage, moment, vcpu), view in views.items():
        for name in names[vantage]:
            reading, right = need_reading(view, name), written.get((vcpu, name), began[vantage, name])
            if reading != right:
                odd.setdefault(_Odd(vantage, name, reading), {})[moment, vcpu] = right
    for each, places in odd.items():
        finding = _finding(life, each, places, chosen=(0, each.name) in written)
        cause = _cause(life, each, places.keys(), began, written)
        yield msgspec.structs.replace(finding, said=finding.said + cause)


def _finding(life: Life, odd: _Odd, places: _Places, *, chosen: bool) -> Finding:
    rights = list(dict.fromkeys(map(_say, places.values())))
    right = " or ".join(rights) if len(rights) <= _TOLD else f"{rights[0]} … {rights[-1]}"
    moments: dict[str, list[int]] = {}
    for moment, vcpu in places:
        moments.setdefault(moment, []).append(vcpu)
    where = "; ".join(f"{moment} (v{cpu_list(vcpus)})" for moment, vcpus in moments.items())
    source = "the VMM wrote" if chosen else "the VM began with"
    return Finding(
        subject=odd.name,
        where=f"{life.program}, {odd.vantage}",
        said=f"{_say(odd.reading)}, where {source} {right}: {where}",
        before=right,
        after=_say(odd.reading),
    )


def _cause(life: Life, odd: _Odd, places: Set[tuple[str, int]], began: _Shown, written: _Written) -> str:
    """Return in words from where a wrong value is, as far as that can be told."""
    if (0, odd.name) not in written:
        return ""
    owners = [vcpu for (vcpu, name), value in written.items() if (name, value) == (odd.name, odd.reading)]
    if owners:
        return f", which it wrote to v{cpu_list(owners)}"
    wiped = {
        (moment, vcpu)
        for vantage, moment, vcpu in life.places()
        if vantage is odd.vantage and was_reset(moment, vcpu)
    }
    as_begun = odd.reading == began[odd.vantage, odd.name]
    return f", {_RESET_CLIDR}" if odd.name == "CLIDR_EL1" and as_begun and places == wiped else ""


def _say(reading: Reading) -> str:
    return reading.problem or f"{reading.value:#x}"
