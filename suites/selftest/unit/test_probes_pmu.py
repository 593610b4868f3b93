"""A PMU for VMs that move: asked for before it is given, and missed where a host has none."""

import hashlib
from dataclasses import dataclass, replace

import pytest
from saved_state import CCSIDR0, CLIDR, register, vcpu
from saved_state import Saved as SavedState
from test_probes_capabilities import FakeHost, FakeProbe, answer, state_in
from test_probes_script import HEAD, stream

from ccsight.deadline import Deadline
from ccsight.errors import EvidenceError, InfraError
from ccsight.evidence.migrations import AS_LAUNCHED, Way
from ccsight.probes import restoring, saving, vms
from ccsight.probes.restoring import Target
from ccsight.probes.saving import Launch
from ccsight.probes.script import results
from ccsight.probes.vms import TYPE, WITH_PMU

CONTENT = SavedState(
    vcpus=(vcpu(register(CLIDR, 0x0A20_0023), register(CCSIDR0, 0x701F_E00A), features=0xC),) * 2
).content()


class PmuHost(FakeHost):
    """Gives back a VM that has a PMU."""

    def fetch(self, remote, deadline, *, limit=0):
        return CONTENT


@dataclass
class PmuProbe(FakeProbe):
    """Answers ``check``, too, and keeps the steps of all scripts."""

    says: str = "says=1"

    def script(self, name, script, deadline):
        own = script.text().splitlines()
        self.steps += own
        lines = [line for number, text in enumerate(own, 1) for line in self._answer(number, text)]
        return results(stream(*HEAD, *lines), script)

    def _answer(self, number, text):
        if text.startswith("check"):
            return [f"step n=0 step={number} what=check {self.says}"]
        return answer(number, text)


def with_pmu(folder):
    (folder / "pmu.state").write_bytes(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    return replace(state_in(folder), sha256=digest, path=folder / "pmu.state")


@pytest.mark.parametrize(
    ("says", "made_of"), [("says=1", WITH_PMU), ("says=0", TYPE), ("errno=EINVAL", TYPE)]
)
def test_what_vms_are_made_of_is_asked(says, made_of):
    probe = PmuProbe(says=says)
    assert vms.possible(probe, Deadline(5)) == made_of
    assert probe.steps == ["vm 0 0", "check 0 126", "drop 0"]


def test_a_vm_is_launched_with_a_pmu_behind_its_gic():
    probe = PmuProbe(host=PmuHost())
    saving.save(probe, Launch(AS_LAUNCHED, 0, made_of=WITH_PMU), Deadline(5))
    assert probe.steps[:8] == [
        *("pin 0", "vm 0 0", "vcpu 0", "init 0 0 0xc", "vcpu 0", "init 0 1 0xc"),
        *("gic 0", "pmu 0"),
    ]


def test_a_vm_that_lost_its_pmu_on_the_way_to_its_file_is_none():
    with pytest.raises(EvidenceError, match="another type") as raised:
        saving.save(PmuProbe(), Launch(AS_LAUNCHED, 0, made_of=WITH_PMU), Deadline(5))
    assert "0x4, 0x4 instead of 0xc, 0xc" in raised.value.evidence


def test_a_vm_with_a_pmu_is_restored_into_another_one(tmp_path):
    probe = PmuProbe()
    restoring.restore(probe, with_pmu(tmp_path), [Target(Way.LIST, 0)], Deadline(5))
    assert probe.steps[3:11] == [
        *("pin 0", "vm 0 0", "vcpu 0", "init 0 0 0xc", "vcpu 0", "init 0 1 0xc"),
        *("gic 0", "pmu 0"),
    ]


def test_a_vm_with_a_pmu_is_not_restored_where_there_is_none(tmp_path):
    probe = PmuProbe(says="says=0")
    with pytest.raises(InfraError, match="has a PMU, and KVM has none here"):
        restoring.restore(probe, with_pmu(tmp_path), [Target(Way.LIST, 0)], Deadline(5))
    assert probe.steps == ["vm 0 0", "check 0 126", "drop 0"], "no VM was made for it"


def test_a_vm_without_one_stays_without_wherever_it_goes(tmp_path):
    probe = PmuProbe()
    restoring.restore(probe, state_in(tmp_path), [Target(Way.LIST, 0)], Deadline(5))
    assert not [step for step in probe.steps if step.split()[0] in ("pmu", "check")]
