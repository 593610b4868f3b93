"""Each check on recorded evidence, for each status that it can give."""

import msgspec
import pytest
from asymmetric import with_hardware
from recorded import MODELS, SERIES, bent, capture, without

from ccsight.checks import COMPARISONS, LAWS, judge, named
from ccsight.errors import UsageError
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.views import Vantage
from ccsight.kvm.behaviour import NATIVE, NORMALISED, UNKNOWN, observed
from ccsight.status import Status

GUEST, USERSPACE = Vantage.GUEST, Vantage.USERSPACE
#: Laws about the views of a launch or a sweep; the others look at something else.
OF_VIEWS = sorted(LAWS.keys() - {"CR-004", "CR-005", "CR-017"})


def verdict(check, *captures):
    return judge(PlannedCase(check=check, cells=tuple(c.cell.id for c in captures)), captures)


def held(case):
    return {(finding.subject, finding.where) for finding in case.findings if not finding.known}


@pytest.mark.parametrize("check", sorted(LAWS))
@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("model", MODELS)
def test_laws_pass_on_real_kernels(model, series, check):
    case = verdict(check, capture(model, series))
    skipped = check == "CR-011" and model != "cortex-a57"
    judged = Status.SKIP if skipped else Status.PASS  # there is no AArch32
    assert (case.status, held(case)) == (judged, set())


@pytest.mark.parametrize("check", sorted(LAWS))
@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("model", ["neoverse-n1", "neoverse-v1"])
def test_laws_pass_on_real_kernels_whose_cpus_are_known(model, series, check):
    case = verdict(check, with_hardware(model, series))
    judged = Status.SKIP if check == "CR-011" else Status.PASS  # there is no AArch32
    assert (case.status, held(case)) == (judged, set())


@pytest.mark.parametrize("model", MODELS)
def test_the_behaviour_is_observed(model):
    assert observed(capture(model, "6.1")) is NATIVE
    assert observed(capture(model, "6.12")) is NORMALISED


def test_a_behaviour_that_fits_no_row_is_unknown():
    real = capture("neoverse-n1", "6.1")
    fewer = tuple(kvm_id for kvm_id in real.register_lists[0].ids if kvm_id != 0x6020000000110002)
    lists = (msgspec.structs.replace(real.register_lists[0], ids=fewer),)
    assert observed(msgspec.structs.replace(real, register_lists=lists)) is UNKNOWN
    assert observed(msgspec.structs.replace(real, register_lists=())) is UNKNOWN
    assert observed(without(real, USERSPACE)) is UNKNOWN


def test_cr001_knows_the_sanitised_ctr_of_a_native_kernel():
    case = verdict("CR-001", capture("neoverse-n1", "6.1"))
    known = {finding.subject for finding in case.findings if finding.known}
    assert "CTR_EL0" in known


def test_cr001_knows_that_the_ioctl_cuts_ccidx():
    case = verdict("CR-001", capture("neoverse-v1", "6.1"))
    known = {finding.subject for finding in case.findings if "32 bits" in finding.known}
    assert {"CCSIDR_EL1[0]", "CCSIDR_EL1[1]", "CCSIDR_EL1[2]"} <= known


@pytest.mark.parametrize("vcpu", [0, 1])
@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize(
    ("reading", "value"),
    [
        ("CTR_EL0", 0x8444C003),
        ("CLIDR_EL1", 0x0A200022),
        ("CLIDR_EL1", "UNDEF"),
        ("CCSIDR_EL1_0", 0x700FE01B),
        ("CCSIDR_EL1_2", 0x70FFE07B),
    ],
)
def test_cr001_fails_when_one_vcpus_guest_sees_another_value(series, reading, value, vcpu):
    case = verdict("CR-001", bent(capture("cortex-a57", series), GUEST, vcpu, **{reading: value}))
    if value == "UNDEF":
        assert case.status is Status.MISS
        return
    name = reading.replace("_EL1_", "_EL1[") + ("]" if "CCSIDR" in reading else "")
    assert case.status is Status.FAIL
    assert held(case) == {(name, f"vCPU {vcpu}")} or name == "CLIDR_EL1"


def test_cr001_excuses_nothing_that_only_looks_like_the_known_deviation():
    real = capture("neoverse-v1", "6.1")
    other_low_half = bent(real, USERSPACE, 0, CCSIDR_EL1_2=0x3B)
    assert held(verdict("CR-001", other_low_half)) == {("CCSIDR_EL1[2]", "vCPU 0")}
    other_ctr = bent(capture("neoverse-n1", "6.1"), USERSPACE, 0, CTR_EL0=0xB444C004)
    assert held(verdict("CR-001", other_ctr)) == {("CTR_EL0", "vCPU 0")}
    listed_but_refused = bent(capture("neoverse-n1", "6.1"), USERSPACE, 0, CCSIDR_EL1_2="ENOENT")
    assert held(verdict("CR-001", listed_but_refused)) == {("CCSIDR_EL1[2]", "vCPU 0")}


def test_cr001_excuses_a_native_deviation_only_on_a_native_kernel():
    case = verdict("CR-001", bent(capture("neoverse-n1", "6.12"), GUEST, 0, CTR_EL0=0x8444C004))
    assert held(case) == {("CTR_EL0", "vCPU 0")}


def test_cr001_knows_the_tag_line_that_an_untrapped_ctr_shows():
    case = verdict("CR-001", bent(capture("neoverse-v1", "6.12"), GUEST, 0, CTR_EL0=0x4B444C004))
    assert case.status is Status.PASS
    assert any("TminLine" in finding.known for finding in case.findings)


@pytest.mark.parametrize(
    ("check", "vantage"),
    [
        ("CR-001", GUEST),
        ("CR-001", USERSPACE),
        ("CR-002", GUEST),
        ("CR-002", USERSPACE),
        ("CR-010", GUEST),
    ],
)
def test_laws_miss_when_nobody_looked(check, vantage):
    case = verdict(check, without(capture("neoverse-n1", "6.1"), vantage))
    assert case.status is Status.MISS
    assert case.reason


@pytest.mark.parametrize("check", [check for check in OF_VIEWS if check not in ("CR-011", "CR-012")])
def test_laws_miss_when_a_size_was_never_read(check):
    case = verdict(check, bent(with_hardware("neoverse-n1", "6.1"), GUEST, 1, CCSIDR_EL1_1=None))
    assert case.status is Status.MISS


def test_cr010_misses_a_line_that_could_not_be_read():
    case = verdict("CR-010", bent(capture("neoverse-n1", "6.1"), GUEST, 0, CCSIDR_EL1_1="UNDEF"))
    assert case.status is Status.MISS


@pytest.mark.parametrize("check", [*OF_VIEWS, *sorted(COMPARISONS)])
def test_a_vcpu_that_only_one_side_saw_is_a_miss(check):
    real = capture("neoverse-n1", "6.1")
    lists = real.register_lists[:1]
    views = tuple(view for view in real.views if view.vcpu == 0)
    for blind in (
        msgspec.structs.replace(real, views=views),
        msgspec.structs.replace(real, register_lists=lists),
    ):
        cells = (blind,) if check in LAWS else (real, blind)
        assert verdict(check, *cells).status is Status.MISS
    alone = msgspec.structs.replace(real, views=views, register_lists=lists)
    if check in COMPARISONS:
        assert verdict(check, alone, real).status is Status.MISS


def test_cr014_names_the_vcpu_whose_list_differs():
    real = capture("neoverse-v1", "6.1")
    first, second = real.register_lists
    fewer = msgspec.structs.replace(second, ids=second.ids[:-1])
    case = verdict("CR-014", real, msgspec.structs.replace(real, register_lists=(first, fewer)))
    assert case.outcome == "shrank"
    assert {finding.where for finding in case.findings} == {"vCPU 1"}


@pytest.mark.parametrize(("lost", "subject"), [(1, "1 register lost"), (2, "2 registers lost")])
def test_cr014_counts_the_registers_in_words(lost, subject):
    real = capture("neoverse-v1", "6.1")
    fewer = tuple(msgspec.structs.replace(each, ids=each.ids[:-lost]) for each in real.register_lists)
    (finding,) = verdict("CR-014", real, msgspec.structs.replace(real, register_lists=fewer)).findings
    assert finding.subject == subject


@pytest.mark.parametrize("check", OF_VIEWS)
def test_laws_miss_without_any_view(check):
    nothing = msgspec.structs.replace(capture("neoverse-n1", "6.1"), views=())
    assert verdict(check, nothing).status is Status.MISS


@pytest.mark.parametrize(
    ("readings", "subject"),
    [
        ({"CCSIDR_EL1_2": "UNDEF"}, "L2"),
        ({"CCSIDR_EL1_1": "ENOENT"}, "L1I"),
        ({"CCSIDR_EL1_2": 0x0FFFFFFF}, "L2"),  # 32768 sets of 1024 ways of 2 KiB: no DC CISW can name them
        ({"CCSIDR_EL1_0": 0xFF0000001A}, "L1D"),  # 64-bit value, but CCIDX says 32-bit layout
        ({"CLIDR_EL1": 0x82000025}, "CLIDR_EL1.Ctype1"),
    ],
)
def test_cr002_fails(readings, subject):
    case = verdict("CR-002", bent(capture("neoverse-n1", "6.1"), GUEST, 1, **readings))
    assert case.status is Status.FAIL
    assert (subject, "guest, vCPU 1") in held(case)


def test_cr010_fails_when_a_line_is_smaller_than_ctr_promises():
    case = verdict("CR-010", bent(capture("cortex-a57", "6.12"), GUEST, 0, CCSIDR_EL1_1=0x1))
    assert case.status is Status.FAIL
    assert held(case) == {("L1I", "guest, vCPU 0")}


def test_cr010_fails_when_vcpus_disagree_on_the_effective_idc():
    case = verdict("CR-010", bent(capture("cortex-a57", "6.1"), GUEST, 1, CLIDR_EL1=0x82000023))
    assert ("CTR_EL0.IDC", "guest") in held(case)


@pytest.mark.parametrize(
    ("model", "cr007", "cr015"),
    [
        ("cortex-a57", "visible", "same"),
        ("neoverse-n1", "visible", "same"),
        ("neoverse-v1", "refused", "changes"),
    ],
)
def test_comparisons_of_real_kernels(model, cr007, cr015):
    pair = capture(model, "6.1"), capture(model, "6.12")
    cases = {check: verdict(check, *pair) for check in sorted(COMPARISONS)}
    assert {case.status for case in cases.values()} == {Status.DONE}
    assert {check: case.outcome for check, case in cases.items()} == {
        "CR-007": cr007,
        "CR-008": "refused",
        "CR-009": "differs",
        "CR-014": "grew",
        "CR-015": cr015,
    }


@pytest.mark.parametrize("check", sorted(c for c, each in COMPARISONS.items() if not each.program))
def test_a_kernel_compared_with_itself_is_the_same(check):
    real = capture("neoverse-v1", "6.1")
    case = verdict(check, real, real)
    assert (case.status, case.outcome, case.findings) == (Status.DONE, "same", ())


def test_cr009_names_fields_and_says_what_they_mean():
    case = verdict("CR-009", capture("neoverse-v1", "6.1"), capture("neoverse-v1", "6.12"))
    changes = {(f.subject, f.before, f.after) for f in case.findings if f.where == "guest, all vCPUs"}
    assert ("CLIDR_EL1.LoC", "2", "1") in changes
    assert ("CLIDR_EL1.Ctype1", "separate I and D", "unified") in changes
    assert ("ID_AA64MMFR2_EL1.CCIDX", "1", "0") in changes
    said = " ".join(f.said for f in case.findings if f.subject == "guest")
    assert "3 caches become 1" in said
    assert "sizes are gone" in said
    assert "CCIDX 1 → 0" in said


def test_cr009_names_the_vcpu_when_they_differ():
    old = capture("cortex-a57", "6.12")
    case = verdict("CR-009", old, bent(old, GUEST, 1, CLIDR_EL1=0x09200002))
    assert case.outcome == "differs"
    assert {f.where for f in case.findings if f.subject == "CLIDR_EL1.Ctype1"} == {"guest, vCPU 1"}


def test_cr014_tells_what_was_lost_and_whom_it_stops():
    new, old = capture("neoverse-v1", "6.1"), capture("neoverse-v1", "6.12")
    case = verdict("CR-014", old, new)
    lost = next(finding for finding in case.findings if "lost" in finding.subject)
    assert "CCSIDR_EL1[3-13]" in lost.said
    assert "from deb:6.12 to deb:6.1" in lost.said


def test_cr015_contradicts_when_values_use_the_other_layout():
    real = capture("neoverse-v1", "6.1")
    case = verdict("CR-015", real, bent(real, GUEST, 0, ID_AA64MMFR2_EL1=0x0220011102001011))
    assert case.outcome == "contradicts"


@pytest.mark.parametrize("check", sorted(COMPARISONS))
def test_comparisons_miss_what_was_not_observed(check):
    real = capture("neoverse-v1", "6.1")
    blind = msgspec.structs.replace(real, views=(), register_lists=())
    assert verdict(check, real, blind).status is Status.MISS
    assert verdict(check, blind, real).status is Status.MISS


def test_an_unknown_check_names_its_neighbour():
    with pytest.raises(UsageError) as caught:
        named("CR-01")
    assert "CR-01" in caught.value.evidence
