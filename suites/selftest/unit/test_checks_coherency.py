"""CR-010 where a VMM took IDC and DIC from a VM: which IDC its guest then acts upon."""

import msgspec
import pytest
from recorded import MODELS, SERIES, capture

from ccsight.arm64.registers import CTR_EL0
from ccsight.checks import judge
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.record import Hex
from ccsight.evidence.views import FRESH, Reading
from ccsight.kvm.written import PROGRAM
from ccsight.status import Status

IDC = CTR_EL0.field("IDC").mask
#: With these a guest has no level to clean to, or one: LoC, LoUU and LoUIS of CLIDR_EL1.
NEEDLESS, NEEDED = 0x01000004, 0x09200003


def verdict(capture):
    return judge(PlannedCase(check="CR-010", cells=(capture.cell.id,)), (capture,))


def is_watched(write):
    own = (write.program, write.phase, write.name) == (PROGRAM, FRESH, "CTR_EL0")
    return own and write.seen is not None and not write.problem


def changed(capture, **readings):
    """Return a capture in which guests of a VM with another CTR_EL0 read something else beside it."""
    new = {name: Reading(value=Hex(value)) for name, value in readings.items()}
    writes = tuple(
        msgspec.structs.replace(write, beside=write.beside | new) if is_watched(write) else write
        for write in capture.writes
    )
    assert writes != capture.writes, "nothing to change"
    return msgspec.structs.replace(capture, writes=writes)


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("model", MODELS)
def test_cr010_passes_on_real_kernels(model, series):
    case = verdict(capture(model, series))
    assert case.status is Status.PASS
    assert all(finding.subject == "CTR_EL0.IDC" and finding.known for finding in case.findings)
    has_idc = model != "cortex-a57"
    assert bool(case.findings) == (has_idc and series == "6.12")


@pytest.mark.parametrize("model", ["neoverse-n1", "neoverse-v1"])
def test_cr010_knows_that_a_lowered_idc_does_nothing(model):
    """The VMM writes IDC 0, Linux finds IDC by CLIDR_EL1 (2843cae26644, v6.11)."""
    case = verdict(capture(model, "6.12"))
    assert case.findings
    for finding in case.findings:
        assert (finding.subject, finding.before, finding.after) == ("CTR_EL0.IDC", "0", "1")
        assert "2843cae26644" in finding.known
        assert "acts as if IDC were 1" in finding.said


@pytest.mark.parametrize("model", ["neoverse-n1", "neoverse-v1"])
def test_cr010_has_nothing_to_say_of_a_kernel_that_makes_clidr_of_the_vms_ctr(model):
    case = verdict(changed(capture(model, "6.12"), CLIDR_EL1=NEEDED))
    lowered = [
        write for write in capture(model, "6.12").writes if is_watched(write) and not write.value & IDC
    ]
    assert lowered
    assert not [finding for finding in case.findings if finding.before == "0"]


def test_cr010_fails_for_another_clidr_by_which_idc_is_in_effect():
    """Neither what the VM began with nor what fits its CTR_EL0: no known kernel does that."""
    case = verdict(changed(capture("neoverse-n1", "6.12"), CLIDR_EL1=NEEDLESS))
    assert case.status is Status.FAIL
    assert all(not finding.known for finding in case.findings)


def test_cr010_fails_where_the_guest_reads_another_ctr_than_was_written():
    real = capture("neoverse-n1", "6.12")
    case = verdict(changed(real, CTR_EL0=0x9444C004))
    assert case.status is Status.FAIL


def test_cr010_fails_where_a_host_without_idc_gives_a_guest_more_than_it_was_written():
    real = capture("cortex-a57", "6.12")
    case = verdict(changed(real, CLIDR_EL1=NEEDLESS))
    assert case.status is Status.FAIL
    assert {finding.after for finding in case.findings} == {"1"}


def test_cr010_misses_a_kernel_to_which_nobody_wrote():
    real = capture("neoverse-n1", "6.12")
    writes = tuple(write for write in real.writes if write.program != PROGRAM)
    case = verdict(msgspec.structs.replace(real, writes=writes))
    assert (case.status, "nobody wrote CTR_EL0" in case.reason) == (Status.MISS, True)


def test_cr010_misses_runs_that_did_not_note_what_the_guest_read_beside_it():
    real = capture("neoverse-n1", "6.12")
    writes = tuple(msgspec.structs.replace(write, beside={}) for write in real.writes)
    case = verdict(msgspec.structs.replace(real, writes=writes))
    assert (case.status, "was not noted" in case.reason) == (Status.MISS, True)
