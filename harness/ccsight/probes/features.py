"""VMs that are given what KVM has to give, each asked as the plain one is: a script, and its views.

What there is, is asked first: what KVM does not have is not given. All on one physical CPU. Complete or
not at all: what KVM says it has, but does not give, is an error.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from ccsight.arm64.kvm_ids import of_encoding
from ccsight.arm64.registers import ccsidr
from ccsight.deadline import Deadline
from ccsight.errors import ProbeError
from ccsight.evidence.guests import TND, selected
from ccsight.evidence.views import Reading, RegisterList, Vantage, View
from ccsight.kvm.gifts import ASKED, CAPABILITIES, NOTHING, OTHERS, Gift
from ccsight.probes.outcome import GIVEN_BACK, Checked, Given, Got, GotId, Initialised, Listed, Ran
from ccsight.probes.runner import Probe
from ccsight.probes.script import Results, Script, Step
from ccsight.probes.stream import Line
from ccsight.probes.sweep import read_in_guest
from ccsight.probes.views import READINGS, guest_reading

PROGRAM = "features"
#: The register that says whether there is MTE.
PFR1 = "ID_AA64PFR1_EL1"
_PFR1_ID = of_encoding((3, 0, 0, 4, 1))
_VCPU = 0
#: What the guest reads with CSSELR_EL1.TnD set: of the levels 1 and 2, on which KVM may put the tags.
TAGS = tuple(name for selector in (TND, TND | 2) for name in (selected(selector), ccsidr(selector)))


@dataclass(frozen=True)
class Gave:
    """What was seen of VMs that were given something, and which registers KVM lists for each."""

    views: tuple[View, ...]
    lists: tuple[RegisterList, ...]


@dataclass(frozen=True)
class _Vm:
    """The steps of one VM that have something to say."""

    gift: Gift
    given: tuple[Step[Given], ...]
    init: Step[Initialised]
    listed: Step[Listed]
    told: Step[Got]
    pfr1: Step[GotId]
    ran: Step[Ran]

    @classmethod
    def add(cls, script: Script, gift: Gift) -> "_Vm":
        """Add the steps of a VM, from its making to its end."""
        script.vm(vcpus=0)
        given = tuple(script.give(capability.number) for capability in gift.enabled)
        script.late_vcpu()
        init = script.init(_VCPU, features=gift.features)
        if gift.has_el2:
            script.gic()
        listed, told, pfr1 = script.list(_VCPU), script.get(_VCPU), script.get_id(_VCPU, _PFR1_ID)
        script.load(PROGRAM)
        script.start(_VCPU)
        ran = script.run(_VCPU)
        script.drop()
        return cls(gift, given, init, listed, told, pfr1, ran)

    def views(self, results: Results, cpu: int) -> Iterator[View]:
        """Yield what userspace and the guest saw, at each of its exception levels."""
        self._require(results)
        ran = results[self.ran]
        told = results[self.told].readings | {PFR1: results[self.pfr1].reading}
        el1, el2 = self._heard(ran.said)
        found = {
            Vantage.USERSPACE: told,
            Vantage.GUEST: ran.el1 | el1,
            Vantage.GUEST_EL0: ran.el0,
            Vantage.GUEST_EL2: el2,
        }
        for vantage, readings in found.items():
            if readings:
                yield _view(vantage, self.gift.phase, readings, cpu)

    def list(self, results: Results) -> RegisterList:
        """Return the registers that KVM lists for the vCPU."""
        return RegisterList(vcpu=_VCPU, ids=results[self.listed].ids, phase=self.gift.phase)

    def _require(self, results: Results) -> None:
        """Raise unless KVM has given what it has, and the guest has come to its end."""
        problems = [results[step].problem for step in self.given]
        problems += [results[self.init].problem, results[self.listed].problem]
        ran = results[self.ran]
        if any(problems) or ran.end != GIVEN_BACK or ran.values or not ran.el1:
            _refuse(self.gift, f"errnos {problems}, ended as {ran.end}")

    def _heard(self, said: tuple[Line, ...]) -> tuple[dict[str, Reading], dict[str, Reading]]:
        """Return what the guest read beside a round: more at EL1, and all again at EL2 where it has that."""
        at_el2 = READINGS if self.gift.has_el2 else ()
        if len(said) != 2 + len(at_el2):
            _refuse(self.gift, f"the guest sent {len(said)} lines behind its round")
        pfr1, tags, *lines = said
        tags.keys("values")
        items = [read_in_guest(item) for item in tags.items("values")]
        if tags.kind != "tags" or len(items) != len(TAGS):
            tags.refuse("is not what the guest reads of tags")
        el1 = {PFR1: _reading(pfr1, "1", PFR1), **dict(zip(TAGS, items, strict=True))}
        return el1, {name: _reading(line, "2", name) for name, line in zip(at_el2, lines, strict=True)}


def observe(probe: Probe, cpu: int, deadline: Deadline) -> Gave:
    """Return what VMs show that were given something, on a physical CPU. Raises as ``Probe.script`` does."""
    asking, steps = asked()
    results = probe.script(f"{PROGRAM}-{ASKED}", asking, deadline)
    says = {name: results[step].says for name, step in steps.items()}
    script, read = giving(says, cpu)
    return read(probe.script(PROGRAM, script, deadline) if script.steps else Results(()))


def asked() -> tuple[Script, dict[str, Step[Checked]]]:
    """Return a script that asks what KVM can give, and its steps by the name of the capability."""
    script = Script()
    script.vm(vcpus=0)
    return script, {capability.name: script.check(capability.number) for capability in CAPABILITIES}


def giving(says: dict[str, Reading], cpu: int) -> tuple[Script, Callable[[Results], Gave]]:
    """Return a script, and what reads its results: a VM with nothing, and one with each that can be given.

    There is nothing to do where KVM has nothing to give.
    """
    script = Script()
    possible = [gift for gift in OTHERS if all(says[taken.name].value for taken in gift.takes)]
    if possible:
        script.pin(cpu)
    vms = [_Vm.add(script, gift) for gift in (NOTHING, *possible) if possible]

    def gave(results: Results) -> Gave:
        answers = _view(Vantage.USERSPACE, ASKED, says, cpu)
        views = (view for vm in vms for view in vm.views(results, cpu))
        return Gave((answers, *views), tuple(vm.list(results) for vm in vms))

    return script, gave


def _reading(line: Line, level: str, name: str) -> Reading:
    if (line.kind, line.values.get("el"), line.values.get("name")) != ("reg", level, name):
        line.refuse(f"is not the reading of {name} at EL{level} that was expected")
    return guest_reading(line, ("el",))


def _view(vantage: Vantage, phase: str, readings: dict[str, Reading], cpu: int) -> View:
    return View(vantage=vantage, vcpu=_VCPU, program=PROGRAM, phase=phase, readings=readings, cpu=cpu)


def _refuse(gift: Gift, evidence: str) -> NoReturn:
    words = "a plain VM" if gift is NOTHING else f"a VM with {gift.says}"
    raise ProbeError(
        f"{words} did not come to its end",
        evidence=evidence,
        next_step="look at features.stream of this boot: guests/README.md says what each line means",
    )
