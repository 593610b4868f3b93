"""CR-018: the observed values are those of the reference model, given what the physical CPUs hold."""

from collections.abc import Iterator

from ccsight.arm64.kvm_ids import ccsidr_selector
from ccsight.checks.registry import NotApplicable, NotObserved, law, need_reading, need_vcpus
from ccsight.evidence.cases import Finding
from ccsight.evidence.model import LAUNCH, MOVED, PINNED, Capture, Reading, View
from ccsight.kvm.behaviour import NATIVE, Behaviour, observed
from ccsight.kvm.physical import MISMATCHED, Physical, by_guests, by_userspace, cpu_list, physical

_PHASES = (LAUNCH, PINNED, MOVED)


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
        yield _unknown(capture)
        return
    cpus = _known(capture, behaviour, cpus)
    yield from _mismatch(cpus)
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


def _unknown(capture: Capture) -> Finding:
    found = (ccsidr_selector(kvm_id) for kvm_id in capture.register_lists[0].ids)
    selectors = ", ".join(str(selector) for selector in found if selector is not None)
    return Finding(
        subject="CCSIDR_EL1",
        where="KVM_GET_REG_LIST",
        said=f"is listed for the selectors {selectors or 'none'}: neither those of the caches in CLIDR_EL1 "
        "nor all fourteen",
    )


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
        reading = need_reading(view, name)
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


def _place(view: View) -> str:
    return f"vCPU {view.vcpu}" if view.cpu is None else f"CPU {view.cpu}"


def _say(reading: Reading) -> str:
    return reading.problem or f"{reading.value:#x}"
