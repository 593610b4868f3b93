"""CR-004 on recorded lives of vCPUs, for each status that it can give."""

import msgspec
import pytest
from recorded import MODELS, SERIES, capture

from ccsight.checks import judge
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.record import Hex
from ccsight.evidence.views import BEFORE, FRESH, LIFE, Reading, Vantage
from ccsight.kvm.lives import OVERRIDES, SIZES, Life, overrides, was_reset
from ccsight.status import Status

GUEST, USERSPACE, EL0 = Vantage.GUEST, Vantage.USERSPACE, Vantage.GUEST_EL0
PLAIN, CHOSEN = "life-8", "life-8-overridden"


def verdict(seen):
    return judge(PlannedCase(check="CR-004", cells=(seen.cell.id,)), (seen,))


def changed(seen, about, **readings):
    """Return a capture in which views read something else: those for which ``about`` is true."""
    new = {
        name.replace("_EL1_", "_EL1[") + "]" * name.startswith("CCSIDR"): v for name, v in readings.items()
    }
    new = {name: Reading(value=Hex(value)) for name, value in new.items()}
    views = tuple(
        msgspec.structs.replace(view, readings=view.readings | new) if about(view) else view
        for view in seen.views
    )
    return msgspec.structs.replace(seen, views=views)


def at(program, vantage, phase, *vcpus):
    return lambda view: (
        (view.program, view.vantage, view.phase) == (program, vantage, phase) and view.vcpu in vcpus
    )


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("model", MODELS)
def test_cr004_passes_on_real_kernels(model, series):
    case = verdict(capture(model, series))
    assert (case.status, case.findings) == (Status.PASS, ())


def test_lives_have_every_moment_of_every_vcpu():
    seen = capture("neoverse-n1", "6.12")
    assert {view.phase for view in seen.views if view.program.startswith("life-")} == {BEFORE, *LIFE}
    for size in SIZES:
        for overridden in (False, True):
            life = Life(size, overridden=overridden)
            own = [view for view in seen.views if view.program == life.program]
            assert {(view.vantage, view.phase, view.vcpu) for view in own} == set(life.places())
            assert len(own) == len(list(life.places()))


def test_a_native_kernel_lets_nobody_choose_and_is_recorded_as_such():
    seen = capture("neoverse-n1", "6.1")
    assert not any("overridden" in view.program for view in seen.views)
    asked = [write for write in seen.writes if (write.program, write.phase) == ("life-1-overridden", FRESH)]
    assert [(write.name, write.problem) for write in asked] == [(name, "EINVAL") for name in OVERRIDES]


@pytest.mark.parametrize("vantage", [GUEST, USERSPACE])
@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("phase", LIFE[:6])
def test_cr004_fails_where_one_vcpu_differs_at_one_moment(phase, series, vantage):
    odd = changed(capture("neoverse-n1", series), at(PLAIN, vantage, phase, 5), CLIDR_EL1=0x123)
    case = verdict(odd)
    assert case.status is Status.FAIL
    (finding,) = case.findings
    assert (finding.subject, finding.where) == ("CLIDR_EL1", f"life-8, {vantage}")
    assert finding.after == "0x123"
    assert f"0x123, where the VM began with {finding.before}: {phase} (vCPU 5)" in finding.said


@pytest.mark.parametrize(
    ("vcpus", "right"),
    [((1,), "{1}"), ((1, 2), "{1} or {2}"), ((1, 2, 3), "{1} … {3}")],
)
def test_cr004_says_what_was_written_to_whom_in_short(vcpus, right):
    odd = changed(capture("neoverse-n1", "6.12"), at(CHOSEN, GUEST, "second-run", *vcpus), CCSIDR_EL1_0=0x123)
    (finding,) = verdict(odd).findings
    written = [f"{overrides(vcpu)['CCSIDR_EL1[0]']:#x}" for vcpu in range(4)]
    assert finding.before == right.format(*written)
    assert f"where the VMM wrote {finding.before}: second-run" in finding.said


def test_a_moment_that_is_none_of_a_life_resets_nobody():
    assert not was_reset(BEFORE, 1)
    assert not was_reset("second-run", 0)
    assert was_reset("second-run", 1)


def test_cr004_fails_where_a_vcpu_that_comes_late_differs():
    odd = changed(capture("neoverse-n1", "6.12"), at("life-2", EL0, "late", 2), CTR_EL0=0x123)
    assert [finding.where for finding in verdict(odd).findings] == ["life-2, guest_el0"]


def test_cr004_fails_where_what_was_chosen_never_arrived():
    seen = capture("neoverse-n1", "6.12")
    odd = changed(seen, lambda view: view.program == CHOSEN and view.vantage is GUEST, CCSIDR_EL1_2=0x2)
    (finding,) = verdict(odd).findings
    first, last = (overrides(vcpu)["CCSIDR_EL1[2]"] for vcpu in (0, 7))
    assert finding.said.startswith(
        f"0x2, where the VMM wrote {first:#x} … {last:#x}: before (vCPU 0); cpu-on (vCPU 0-7)"
    )
    assert "Firecracker" not in finding.said


def test_cr004_names_what_kernels_did_from_v6_3_to_v6_9():
    """CLIDR_EL1 is made up again by each reset of a vCPU; CCSIDR_EL1 is kept."""
    seen = capture("neoverse-n1", "6.12")
    made_up = next(view for view in seen.views if view.program == PLAIN).value("CLIDR_EL1")

    def lost(view):
        return "overridden" in view.program and view.vantage is not EL0 and was_reset(view.phase, view.vcpu)

    case = verdict(changed(seen, lost, CLIDR_EL1=made_up))
    assert case.status is Status.FAIL
    assert {(finding.subject, finding.where.split(",")[0]) for finding in case.findings} == {
        ("CLIDR_EL1", f"life-{size}-overridden") for size in SIZES
    }
    assert all("Firecracker issue 6139" in finding.said for finding in case.findings)
    assert all(not finding.known for finding in case.findings)


@pytest.mark.parametrize("spared", [("cpu-on", 1), ("re-init", 0), ("late", 2)])
def test_cr004_does_not_take_another_loss_for_that_of_v6_3_to_v6_9(spared):
    """A kernel that loses CLIDR_EL1 by some resets only does what no release did."""
    seen = capture("neoverse-n1", "6.12")
    made_up = next(view for view in seen.views if view.program == PLAIN).value("CLIDR_EL1")

    def lost(view):
        own = view.program == "life-2-overridden" and view.vantage is USERSPACE
        return own and was_reset(view.phase, view.vcpu) and (view.phase, view.vcpu) != spared

    (finding,) = verdict(changed(seen, lost, CLIDR_EL1=made_up)).findings
    assert "Firecracker" not in finding.said


@pytest.mark.parametrize("size", SIZES)
def test_cr004_fails_where_vcpus_share_one_store(size):
    """Each vCPU is given its own values, so one that shows a neighbour's is noticed."""
    seen = capture("neoverse-n1", "6.12")
    own = [write for write in seen.writes if write.program == f"life-{size}-overridden"]
    assert len({(write.name, write.value) for write in own}) == len(own)

    def shared(view):
        return view.program == f"life-{size}-overridden" and view.vantage is GUEST and view.vcpu

    case = verdict(changed(seen, shared, CCSIDR_EL1_0=overrides(0)["CCSIDR_EL1[0]"]))
    assert case.status is Status.FAIL
    (finding,) = case.findings
    assert (finding.subject, finding.where) == ("CCSIDR_EL1[0]", f"life-{size}-overridden, guest")
    assert finding.said.endswith(", which it wrote to vCPU 0")


def test_cr004_judges_lives_of_old_runs_by_what_was_written_then():
    """Before, all vCPUs were given the same: that such a run shows the same on all is no fault."""
    seen = capture("neoverse-n1", "6.12")
    same = {name: Reading(value=Hex(value)) for name, value in overrides(0).items()}
    writes = tuple(
        msgspec.structs.replace(write, value=Hex(overrides(0)[write.name]))
        if write.program.endswith("-overridden") and write.phase in (FRESH, "late")
        else write
        for write in seen.writes
    )
    views = tuple(
        msgspec.structs.replace(view, readings=view.readings | same)
        if view.program.endswith("-overridden") and view.vantage is not EL0
        else view
        for view in seen.views
    )
    case = verdict(msgspec.structs.replace(seen, writes=writes, views=views))
    assert (case.status, case.findings) == (Status.PASS, ())


def test_cr004_misses_a_life_in_which_one_vcpu_was_given_nothing():
    seen = capture("neoverse-n1", "6.12")
    writes = tuple(write for write in seen.writes if (write.program, write.vcpu) != (CHOSEN, 5))
    case = verdict(msgspec.structs.replace(seen, writes=writes))
    assert (case.status, "nothing was written to some vCPUs" in case.reason) == (Status.MISS, True)


def test_cr004_misses_captures_without_lives():
    seen = capture("neoverse-n1", "6.12")
    views = tuple(view for view in seen.views if not view.program.startswith("life-"))
    case = verdict(msgspec.structs.replace(seen, views=views))
    assert (case.status, "no life of a vCPU" in case.reason) == (Status.MISS, True)


@pytest.mark.parametrize("series", SERIES)
def test_cr004_misses_lives_in_which_nobody_tried_to_choose(series):
    seen = capture("neoverse-n1", series)
    writes = tuple(write for write in seen.writes if write.name != "CCSIDR_EL1[0]")
    case = verdict(msgspec.structs.replace(seen, writes=writes))
    assert (case.status, "not tried" in case.reason) == (Status.MISS, True)


@pytest.mark.parametrize("gone", [at(PLAIN, GUEST, "cpu-on", 7), at(CHOSEN, USERSPACE, "re-init", 0)])
def test_cr004_misses_a_vcpu_that_was_not_looked_at(gone):
    seen = capture("neoverse-n1", "6.12")
    views = tuple(view for view in seen.views if not gone(view))
    case = verdict(msgspec.structs.replace(seen, views=views))
    assert (case.status, "view of vCPU" in case.reason) == (Status.MISS, True)


def test_cr004_misses_a_register_that_was_never_read():
    seen = capture("neoverse-n1", "6.12")
    views = tuple(
        msgspec.structs.replace(view, readings={"CTR_EL0": view.readings["CTR_EL0"]})
        if at(PLAIN, GUEST, "cpu-on", 7)(view)
        else view
        for view in seen.views
    )
    assert verdict(msgspec.structs.replace(seen, views=views)).status is Status.MISS
