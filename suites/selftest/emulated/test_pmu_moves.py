"""``ccsight migrate --pmu``: VMs with a PMU carry its registers, and what a kernel loses of them is told."""

import pytest
from command import ccsight

from ccsight.arm64.kvm_ids import name
from ccsight.campaign.compare import SET_UP_SECONDS
from ccsight.checks.migration import upgrade
from ccsight.evidence.run import find_run

pytestmark = [pytest.mark.emulated, pytest.mark.long]

MACHINE, OLD, NEW = "emulated:neoverse-n1", "deb:6.12", "deb:7.3"
#: A host whose own PMU has no driver, so that KVM has none for VMs.
BARE = f"{NEW},append=initcall_blacklist=armv8_pmu_driver_init,name=without"
#: 6.12 takes values for what sets and for what clears bits, one after the other, and acts on both
#: (set_pmreg() in arch/arm64/kvm/sys_regs.c): what a VMM saves of both is the same, so nothing is left.
LOST = {"PMINTENSET_EL1", "PMINTENCLR_EL1", "PMCNTENSET_EL0", "PMCNTENCLR_EL0"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Move VMs between kernels with a PMU, and one without, and return the run."""
    folder = tmp_path_factory.mktemp("pmu")
    said = ccsight("migrate", OLD, NEW, BARE, "--pmu", "--on", MACHINE, cwd=folder, seconds=SET_UP_SECONDS)
    assert said.code in (1, 3), said.stderr
    assert "--pmu" in said.stdout
    return find_run(folder / "results")


def capture(run, kernel):
    found = run.capture(run.plan.cell(MACHINE, kernel))
    assert found is not None
    return found


def registers(saved):
    return {name(kvm_id) for kvm_id in saved.ids}


def test_its_registers_are_saved_and_newer_kernels_have_one_more(run):
    old, new = (capture(run, kernel) for kernel in (OLD, NEW))
    for saved in (*old.saved, *new.saved):
        assert registers(saved) >= {"PMCR_EL0", "PMCCNTR_EL0", "PMCNTENSET_EL0", "PMEVCNTR0_EL0"}
    assert "PMMIR_EL1" in registers(new.saved[0]) - registers(old.saved[0])


@pytest.mark.parametrize(("kernel", "most"), [(OLD, LOST), (NEW, set())])
def test_what_the_very_same_kernel_loses(run, kernel, most):
    found = capture(run, kernel)
    own = [restored for restored in found.restored if restored.source == found.cell]
    assert own
    lost = {name(left.kvm_id) for restored in own for left in restored.left}
    assert {register for register in lost if register.startswith("PM")} <= most


def test_they_move_as_all_others_do(run):
    _, findings = upgrade(capture(run, OLD), capture(run, NEW))
    refused = {finding.subject for finding in findings if "KVM_SET_ONE_REG refuses it" in finding.said}
    assert not {register for register in refused if register.startswith("PM")}


def test_a_host_without_a_pmu_makes_vms_without_and_takes_none_that_has_one(run):
    found = capture(run, BARE)
    assert not any(register.startswith("PM") for saved in found.saved for register in registers(saved))
    assert {restored.source.kernel for restored in found.restored} == {BARE}
    assert found.failures
    assert all("has a PMU, and KVM has none here" in failure.fact for failure in found.failures.values())
    for kernel in (OLD, NEW):
        there = capture(run, kernel)
        assert not there.failures
        assert BARE in {restored.source.kernel for restored in there.restored}
