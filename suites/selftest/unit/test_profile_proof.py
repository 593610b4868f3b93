"""What a profile proves, given what was saved and restored: PASS, FAIL with the reason, or MISS."""

import msgspec
import pytest
from profile_samples import changed, core, graviton3, recorded

from ccsight.checks.migration import Moved
from ccsight.checks.profiled import LAUNCH, MOVE, launched, moved, require_vmms
from ccsight.errors import UsageError
from ccsight.evidence.cases import Finding
from ccsight.evidence.migrations import AS_LAUNCHED, PROFILED, SAVED, Saved
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Reading, Vantage, View, Write
from ccsight.kvm.profiles import chosen, with_features
from ccsight.kvm.refusals import refusals
from ccsight.kvm.vmms import VMMS, Outcome
from ccsight.status import Status

CORE = core(graviton3())
FIRST, LAST = VMMS[0].name, VMMS[-1].name


def view(shown, vantage, vcpu):
    readings = {name: Reading(value=value) for name, value in shown.readings().items()}
    readings["ID_AA64MMFR2_EL1"] = Reading(value=Hex(with_features(shown, 0x1011)))
    readings["CCSIDR_EL1[9]"] = Reading(problem="ENOENT")  # nothing of the profile
    return View(vantage=vantage, vcpu=vcpu, program="save", phase=SAVED, readings=readings)


def write(vcpu, name, value, problem=""):
    after = Reading(value=Hex(value))
    return Write(
        vcpu=vcpu, program="save", phase=SAVED, name=name, value=Hex(value), problem=problem, after=after
    )


def saved(core=CORE, **changes):
    """Return a VM of two vCPUs that took and shows all of a profile, with what is said otherwise."""
    state = Saved(
        strategy=PROFILED,
        file="profiled.state",
        sha256="ab",
        size=1,
        cpu=0,
        ids=(),
        writes=tuple(write(n, name, value) for n in (0, 1) for name, value in chosen(core.userspace).items()),
        views=tuple(
            view(shown, vantage, n)
            for n in (0, 1)
            for vantage, shown in ((Vantage.USERSPACE, core.userspace), (Vantage.GUEST, core.guest))
        ),
    )
    return msgspec.structs.replace(state, **changes)


def launch(*states, core=CORE, behaviour="normalised"):
    return launched("cell", core, states, behaviour)


def test_exactly_the_values_is_a_pass():
    case = launch(saved(strategy=AS_LAUNCHED, writes=(), views=()), saved())
    assert (case.status, case.findings) == (Status.PASS, ())
    assert (case.check, case.cells) == (LAUNCH, ("cell",))


def test_another_value_is_told_field_by_field():
    views = list(saved().views)
    views[3] = view(changed(CORE.guest, clidr=0x01000004), Vantage.GUEST, 1)
    case = launch(saved(views=tuple(views)))
    assert case.status is Status.FAIL
    said = {finding.subject: finding.said for finding in case.findings}
    assert said["CLIDR_EL1.LoC"] == "1 instead of 2"
    assert [(each.before, each.after) for each in case.findings if each.subject == "CLIDR_EL1.LoC"] == [
        ("2", "1")
    ]
    assert {finding.where for finding in case.findings} == {"guest, vCPU 1"}


def test_another_layout_is_told():
    views = list(saved().views)
    views[1] = view(changed(CORE.guest, ccidx=0), Vantage.GUEST, 0)
    case = launch(saved(views=tuple(views)))
    assert "ID_AA64MMFR2_EL1.CCIDX" in {finding.subject for finding in case.findings}


def test_a_register_that_cannot_be_read_is_a_difference():
    views = list(saved().views)
    readings = views[0].readings | {"CCSIDR_EL1[2]": Reading(problem="ENOENT")}
    views[0] = msgspec.structs.replace(views[0], readings=readings)
    case = launch(saved(views=tuple(views)))
    assert [finding.said for finding in case.findings] == ["ENOENT instead of 0x3a"]


@pytest.mark.parametrize(
    ("behaviour", "name", "rule"),
    [("normalised", "CLIDR_EL1", "set_clidr()"), ("native", "CCSIDR_EL1[0]", "demux_c15_set()")],
)
def test_a_refused_value_names_the_rule(behaviour, name, rule):
    writes = [
        msgspec.structs.replace(each, problem="EINVAL") if each.name == name else each
        for each in saved().writes
    ]
    case = launch(saved(writes=tuple(writes)), behaviour=behaviour)
    assert case.status is Status.FAIL
    assert all(finding.subject == name and rule in finding.said for finding in case.findings)
    assert [finding.where for finding in case.findings] == ["vCPU 0, saved", "vCPU 1, saved"]


def test_of_several_rules_the_first_is_told():
    first = refusals("CLIDR_EL1", "EINVAL")
    (rule, *others) = [row for row in first if row.behaviour in ("", "normalised")]
    assert others
    writes = [
        msgspec.structs.replace(each, problem="EINVAL") if each.name == "CLIDR_EL1" else each
        for each in saved().writes
    ]
    words = f"KVM refuses 0x82000023 with EINVAL: {rule.rule} ({rule.source})"
    assert {finding.said for finding in launch(saved(writes=tuple(writes))).findings} == {words}


def test_a_refusal_that_no_rule_explains_is_told_without_one():
    first = saved().writes[0]
    odd = msgspec.structs.replace(first, problem="EDOM")
    (finding,) = launch(saved(writes=(odd, *saved().writes[1:]))).findings
    assert (finding.subject, finding.where) == ("CTR_EL0", "vCPU 0, saved")
    assert finding.said == f"KVM refuses {first.value:#x} with EDOM"


def test_each_vcpus_own_writes_are_looked_at():
    """Both were refused, by another errno each."""
    writes = [
        msgspec.structs.replace(each, problem=f"E{each.vcpu}") if each.name == "CLIDR_EL1" else each
        for each in saved().writes
    ]
    found = launch(saved(writes=tuple(writes))).findings
    assert [(each.where, each.said.split()[-1]) for each in found] == [
        ("vCPU 0, saved", "E0"),
        ("vCPU 1, saved", "E1"),
    ]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ((), "no VM was launched with the profile"),
        ((saved(strategy=AS_LAUNCHED),), "no VM was launched with the profile"),
        ((saved(views=()),), "was not looked at"),
        ((saved(views=saved().views[:3]),), "nobody looked from guest on vCPU 1"),
        ((saved(writes=saved().writes[1:]),), "CTR_EL0 of the profile was never written"),
        ((saved(writes=(write(0, "CTR_EL0", 0x8444C004), *saved().writes[1:])),), "was never written"),
    ],
)
def test_what_nobody_saw_is_a_miss(state, reason):
    case = launch(*state)
    assert (case.status, case.check, case.cells) == (Status.MISS, LAUNCH, ("cell",))
    assert reason in case.reason


def test_a_reading_that_nobody_took_is_a_miss():
    views = list(saved().views)
    readings = {name: each for name, each in views[0].readings.items() if name != "CLIDR_EL1"}
    views[0] = msgspec.structs.replace(views[0], readings=readings)
    case = launch(saved(views=tuple(views)))
    assert (case.status, "CLIDR_EL1 was never read" in case.reason) == (Status.MISS, True)


def test_a_raised_idc_shows():
    """Neoverse N1: what a VMM was told, and has to write to go back, is not what the guest read."""
    n1 = core(recorded("neoverse-n1"))
    state = saved(n1)
    views = [view(n1.userspace, each.vantage, each.vcpu) for each in state.views]
    case = launch(msgspec.structs.replace(state, views=tuple(views)), core=n1)
    assert {finding.subject for finding in case.findings} == {"CTR_EL0.IDC"}


def state(*outcomes, strategy=PROFILED, cpu=None):
    names = [vmm.name for vmm in VMMS]
    said = {name: (outcome, "CLIDR_EL1") for name, outcome in zip(names, outcomes, strict=False)}
    return Moved(strategy, cpu, said, (Finding(subject="CLIDR_EL1", said="refused"),), ())


NOBODY = "no VM that was launched with the profile was restored there"
UNASKED = "the evidence lacks a VMM that was asked about"
ALL_WELL = (Outcome.TRANSPARENT,) * len(VMMS)


def test_unnoticed_with_every_vmm_is_a_pass():
    case = moved("a", "b", [state(*ALL_WELL)])
    assert (case.status, case.outcome) == (Status.PASS, "transparent")


@pytest.mark.parametrize("worst", [Outcome.REFUSED, Outcome.LOSSY, Outcome.VISIBLE])
def test_one_vmm_that_fails_is_a_fail(worst):
    case = moved("a", "b", [state(worst, *ALL_WELL[1:])])
    assert (case.status, case.outcome) == (Status.FAIL, worst)
    assert (case.findings[0].subject, case.findings[0].said) == (FIRST, f"{worst}: CLIDR_EL1")
    assert (case.check, case.cells) == (MOVE, ("a", "b"))
    assert case.findings[-1] == Finding(subject="CLIDR_EL1", said="refused")
    assert moved("a", "b", [state(worst, *ALL_WELL[1:])], [LAST]).status is Status.PASS
    assert moved("a", "b", [state(worst, *ALL_WELL[1:])], [FIRST]).status is Status.FAIL


def test_a_vm_that_left_for_another_kind_of_cpu_is_no_answer():
    """It stands first where that CPU has a lower number."""
    elsewhere = state(Outcome.REFUSED, *ALL_WELL[1:], cpu=0)
    assert moved("a", "b", [elsewhere, state(*ALL_WELL)]).status is Status.PASS
    assert moved("a", "b", [elsewhere]).status is Status.MISS


@pytest.mark.parametrize(
    ("found", "vmms", "reason"),
    [
        ([], (), NOBODY),
        ([state(*ALL_WELL, strategy=AS_LAUNCHED)], (), NOBODY),
        ([state()], (), UNASKED),
        ([state(*ALL_WELL[:-1])], (LAST,), UNASKED),
        ([state(*ALL_WELL[:-1])], (FIRST, LAST), UNASKED),
    ],
)
def test_a_way_that_nobody_went_is_a_miss(found, vmms, reason):
    case = moved("a", "b", found, vmms)
    assert (case.status, case.reason) == (Status.MISS, reason)
    assert (case.check, case.cells) == (MOVE, ("a", "b"))


def test_an_outcome_without_a_reason_stands_alone():
    said = {vmm.name: (Outcome.TRANSPARENT, "") for vmm in VMMS}
    case = moved("a", "b", [Moved(PROFILED, None, said, (), ())])
    assert {finding.said for finding in case.findings} == {"transparent"}


def test_a_vmm_that_nobody_knows_is_refused():
    require_vmms(["Firecracker"])
    with pytest.raises(UsageError, match="Firecracker"):
        require_vmms(["firecraker"])
