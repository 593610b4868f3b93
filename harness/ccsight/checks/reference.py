"""CR-018: the observed values are those of the reference model, given what the physical CPUs hold."""

from collections.abc import Iterator
from contextlib import suppress

import msgspec

from ccsight.arm64.registers import REGISTERS, ccsidr, in_short
from ccsight.checks.registry import NotApplicable, NotObserved, law, need_reading, need_vcpus
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import Capture
from ccsight.evidence.record import Hex
from ccsight.evidence.views import LAUNCH, MOVED, PINNED, Reading, View
from ccsight.kvm.behaviour import BEHAVIOURS, NATIVE, Behaviour, observed
from ccsight.kvm.gifts import GIFTS
from ccsight.kvm.hosts import by_guests, by_userspace, cpu_list, physical, told_lists
from ccsight.kvm.physical import MISMATCHED, Physical

_PHASES = (LAUNCH, PINNED, MOVED, *(gift.phase for gift in GIFTS))


@law(
    "CR-018",
    "the observed behaviour is one the reference model knows, value by value",
    "a kernel does something new with the cache registers, and a guest is the first to notice",
)
def behaviour_is_the_models(capture: Capture) -> Iterator[Finding]:
    """CTR_EL0, CLIDR_EL1 and every CCSIDR_EL1 that the model can tell, from every vantage, on every CPU."""
    need_vcpus(capture)
    behaviour, cpus = observed(capture), physical(capture)
    if behaviour.shows is None:
        yield from _stands_out(capture, cpus)
        return
    cpus = _known(capture, behaviour, cpus)
    yield from _mismatch(cpus)
    yield from _values(capture, behaviour, cpus)


def _values(capture: Capture, behaviour: Behaviour, cpus: Physical) -> Iterator[Finding]:
    for view in capture.views:
        if view.phase in _PHASES:
            yield from _unlike_the_model(behaviour, cpus, view)


def _known(capture: Capture, behaviour: Behaviour, cpus: Physical) -> Physical:
    """Return the CPUs with what the model is made of: their own registers, else what leaks of them."""
    unknown = [cpu.number for cpu in cpus.cpus if not {"CTR_EL0", "CLIDR_EL1"} <= cpu.registers.keys()]
    if not unknown:
        return cpus
    if len(unknown) < len(cpus.cpus):
        raise NotObserved(f"what {cpu_list(unknown)} of {capture.cell.machine} holds is not known")
    leaked = by_guests(cpus, capture) if behaviour is NATIVE else by_userspace(cpus)
    if leaked is None:
        raise NotApplicable(
            "what the physical CPUs hold is not known: the host's kernel was not asked (that takes a kernel "
            "that is built here), no silicon table declares it, and KVM traps what guests read"
        )
    return leaked


def _stands_out(capture: Capture, cpus: Physical) -> Iterator[Finding]:
    """No behaviour fits: yield what the nearest one, with the fewest such things, does not explain."""
    odd = {each.name: tuple(_against(capture, each, cpus)) for each in BEHAVIOURS}
    nearest = min(odd, key=lambda name: len(odd[name]))
    for finding in odd[nearest]:
        said = f"no behaviour fits; where a {nearest} kernel is the nearest, this stands out: {finding.said}"
        yield msgspec.structs.replace(finding, said=said)


def _against(capture: Capture, behaviour: Behaviour, cpus: Physical) -> Iterator[Finding]:
    """Yield what is not as one behaviour would have it, as far as the CPUs are known."""
    found, clidr = told_lists(capture)
    right = behaviour.lists(clidr or 0) if behaviour.lists else frozenset()
    for names, said in ((found - right, "is listed"), (right - found, "is not listed")):
        if names:
            subject = in_short(map(ccsidr, sorted(names)))
            yield Finding(subject=subject, where="KVM_GET_REG_LIST", said=said)
    with suppress(NotObserved, NotApplicable):
        yield from _values(capture, behaviour, _known(capture, behaviour, cpus))


def _mismatch(cpus: Physical) -> Iterator[Finding]:
    """Yield when the kernel's word on whether the CPUs match is not what their registers say."""
    if cpus.features is None:
        return
    found = cpus.first_mismatch
    if cpus.mismatched and found is None:
        said = f"the kernel's log says {MISMATCHED!r}, but nothing in them that may not differ does"
        yield Finding(subject="CTR_EL0", where="all CPUs", said=said)
    if not cpus.mismatched and found is not None:
        ctr = cpus.cpus[found].registers["CTR_EL0"]
        said = f"{ctr:#x} does not fit the CPUs before it, but the kernel's log does not say {MISMATCHED!r}"
        yield Finding(subject="CTR_EL0", where=f"CPU {found}", said=said)


def _unlike_the_model(behaviour: Behaviour, cpus: Physical, view: View) -> Iterator[Finding]:
    expected = behaviour.shows(cpus, view) if behaviour.shows else {}
    for name, right in expected.items():
        reading = _reading(view, name)
        if reading not in right:
            words = " or ".join(map(_say, right))
            source = " and ".join(sorted({cpu.source for cpu in cpus.cpus}))
            yield Finding(
                subject=name,
                where=f"{view.vantage}, {view.phase}, {_place(view)}",
                said=f"{_say(reading)}; a {behaviour.name} kernel shows {words} by {source} values",
                before=words,
                after=_say(reading),
            )


def _reading(view: View, name: str) -> Reading:
    """Return what a view has of a register, or of a ``REGISTER.FIELD``. Raises NotObserved."""
    register, _, field = name.partition(".")
    reading = need_reading(view, register)
    if not field or reading.value is None:
        return reading
    return Reading(value=Hex(REGISTERS[register].field(field).extract(reading.value)))


def _place(view: View) -> str:
    return f"vCPU {view.vcpu}" if view.cpu is None else f"CPU {view.cpu}"


def _say(reading: Reading) -> str:
    return reading.problem or f"{reading.value:#x}"
