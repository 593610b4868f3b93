"""CR-004 on recorded lives of vCPUs, for each status that it can give."""

import msgspec
import pytest
from recorded import MODELS, SERIES, capture

from ccsight.checks import judge
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.model import BEFORE, FRESH, LIFE, Reading, Vantage
from ccsight.evidence.record import Hex
from ccsight.kvm.lives import OVERRIDES, SIZES, Life
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
    assert f"0x123, where the VM began with {finding.before}: {phase} (vCPU 5)" in finding.said


def test_cr004_fails_where_a_vcpu_that_comes_late_differs():
    odd = changed(capture("neoverse-n1", "6.12"), at("life-2", EL0, "late", 2), CTR_EL0=0x123)
    assert [finding.where for finding in verdict(odd).findings] == ["life-2, guest_el0"]


def test_cr004_fails_where_what_was_chosen_never_arrived():
    seen = capture("neoverse-n1", "6.12")
    odd = changed(seen, lambda view: view.program == CHOSEN and view.vantage is GUEST, CCSIDR_EL1_2=0x2)
    (finding,) = verdict(odd).findings
    assert finding.said.startswith("0x2, where the VMM wrote 0x7fe03c: before (vCPU 0); cpu-on (vCPU 0-7)")
    assert "Firecracker" not in finding.said


def test_cr004_names_what_kernels_did_from_v6_3_to_v6_9():
    """CLIDR_EL1 is made up again by each reset of a vCPU; CCSIDR_EL1 is kept."""
    seen = capture("neoverse-n1", "6.12")
    made_up = next(view for view in seen.views if view.program == PLAIN).value("CLIDR_EL1")

    def lost(view):
        woken = view.phase != BEFORE and view.vcpu
        return "overridden" in view.program and view.vantage is not EL0 and woken

    case = verdict(changed(seen, lost, CLIDR_EL1=made_up))
    assert case.status is Status.FAIL
    assert {finding.subject for finding in case.findings} == {"CLIDR_EL1"}
    assert all("Firecracker issue 6139" in finding.said for finding in case.findings)
    assert all(not finding.known for finding in case.findings)


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
