"""CR-005 on the writes of real boots, for each way in which a kernel could go wrong."""

import msgspec
import pytest
from recorded import MODELS, SERIES, capture

from ccsight.arm64.kvm_ids import of_reading
from ccsight.arm64.registers import CTR_EL0, ID_AA64MMFR2_EL1
from ccsight.checks import judge
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.record import Hex
from ccsight.evidence.views import FRESH, FUZZED, RAN, UNINITIALISED, UNREADABLE, Reading
from ccsight.kvm.behaviour import observed
from ccsight.kvm.written import PROGRAM, written
from ccsight.status import Status


def verdict(capture):
    return judge(PlannedCase(check="CR-005", cells=(capture.cell.id,)), (capture,))


def changed(capture, pick, limit=None, **others):
    """Return a capture in which the writes that ``pick`` says went otherwise: all, or the first few."""
    writes, left = [], limit
    for write in capture.writes:
        hit = write.program == PROGRAM and pick(write) and left != 0
        left = left - 1 if hit and left is not None else left
        new = (
            {key: value(write) if callable(value) else value for key, value in others.items()} if hit else {}
        )
        writes.append(msgspec.structs.replace(write, **new))
    assert writes != list(capture.writes), "nothing was picked"
    return msgspec.structs.replace(capture, writes=tuple(writes))


def of(name, phase=FRESH, problem=None, **others):
    def pick(write):
        same = write.name == name and write.phase == phase and write.kvm_id is None
        rest = all(getattr(write, key) == value for key, value in others.items())
        return same and rest and problem in (None, write.problem)

    return pick


def told(capture, name):
    return next(view for view in capture.launch if view.vantage == "userspace").value(name)


def only(case):
    assert case.status is Status.FAIL
    (finding,) = case.findings
    return finding


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("model", MODELS)
def test_real_kernels_pass_and_the_model_knows_every_answer(model, series):
    real = capture(model, series)
    host, behaviour = written(real), observed(real)
    assert len(host.writes) > 1000
    assert {write.phase for write in host.writes} == {UNINITIALISED, UNREADABLE, FRESH, RAN, FUZZED}
    assert [write for write in host.writes if not behaviour.takes(host, write)] == []
    assert verdict(real).status is Status.PASS


@pytest.mark.parametrize("series", SERIES)
def test_every_kind_of_answer_was_met(series):
    """Else the model would be right about nothing."""
    found = {write.problem for model in MODELS for write in written(capture(model, series)).writes}
    common = {"", "EINVAL", "ENOENT", "EFAULT", "ENOEXEC"}
    assert found == (common if series == "6.1" else common | {"EBUSY"})


def test_what_may_be_lowered_is_read_off_the_writes():
    old, new = (written(capture("neoverse-v1", series)) for series in SERIES)
    assert (old.lowers_ctr, new.lowers_ctr) == (False, True)
    assert (old.busy, new.busy) == (False, True)
    assert old.lowered_features == 0
    assert new.lowered_features & ID_AA64MMFR2_EL1.field("VARange").mask == 0  # 0 there
    assert new.lowered_features & ID_AA64MMFR2_EL1.field("IESB").mask
    assert new.fixed_features & ID_AA64MMFR2_EL1.field("NV").mask


def test_nothing_written_is_a_miss():
    real = capture("neoverse-n1", "6.1")
    swept = tuple(write for write in real.writes if write.program != PROGRAM)
    case = verdict(msgspec.structs.replace(real, writes=swept))
    assert (case.status, "nothing was written" in case.reason) == (Status.MISS, True)


def test_a_native_kernel_that_takes_another_value_fails():
    real = capture("neoverse-n1", "6.1")
    finding = only(
        verdict(
            changed(
                real, of("CLIDR_EL1", problem="EINVAL"), problem="", after=lambda w: Reading(value=w.value)
            )
        )
    )
    assert (finding.subject, finding.where) == ("CLIDR_EL1", FRESH)
    assert "taken where a native kernel says EINVAL" in finding.said


def test_thousands_of_writes_are_one_finding_with_the_smallest_change():
    real = capture("neoverse-n1", "6.12")

    def refused(write):
        return (
            write.name.startswith("CCSIDR")
            and write.kvm_id is None
            and not write.problem
            and bool(write.value >> 31)
        )

    case = verdict(changed(real, refused, problem="EINVAL", after=lambda w: Reading(value=Hex(2))))
    findings = [finding for finding in case.findings if "EINVAL where" in finding.said]
    assert (case.status, len(findings)) == (Status.FAIL, 1)
    assert findings[0].subject.startswith("CCSIDR_EL1[0-")
    assert "= 0x80000002 (UNKNOWN 0 → 8)" in findings[0].said
    assert "more writes" in findings[0].said
    assert {FRESH, FUZZED} <= set(findings[0].where.split(", "))


REFUSED = (
    "EINVAL where a normalised kernel says taken: CLIDR_EL1 = 0x2000021 (as it was), fresh, vCPU 0, CPU 0: "
)


@pytest.mark.parametrize(
    ("count", "more"),
    [(1, ""), (2, "; so does one more write"), (3, "; so do 2 more writes")],
)
def test_a_finding_says_how_many_writes_are_like_it(count, more):
    case = verdict(
        changed(capture("neoverse-n1", "6.12"), of("CLIDR_EL1", problem=""), count, problem="EINVAL")
    )
    finding = case.findings[0]
    assert finding.said == f"{REFUSED}EINVAL instead of taken{more}"
    assert (finding.subject, finding.where) == ("CLIDR_EL1", FRESH)
    assert (finding.before, finding.after) == ("taken", "EINVAL")


@pytest.mark.parametrize(
    ("series", "name", "bit", "words"),
    [
        ("6.12", "CLIDR_EL1", 47, "= 0x800002000021 (bits 0x800000000000)"),
        ("6.1", "CCSIDR_EL1[9]", 0, "= 0x0 (which has no value)"),
        ("6.12", "CSSELR_EL1", 0, "= 0x0 (whatever it had)"),
    ],
)
def test_a_finding_says_what_its_value_changes(series, name, bit, words):
    def picked(write):
        return of(name)(write) and (not bit or bool(write.value >> bit))

    real = capture("neoverse-n1", series)
    wrong = "EINVAL" if name == "CSSELR_EL1" else ""
    case = verdict(changed(real, picked, problem=wrong, after=lambda write: Reading(value=write.value)))
    assert words in next(finding.said for finding in case.findings if not finding.known)


def test_a_write_that_is_taken_and_not_stored_fails():
    real = capture("cortex-a57", "6.12")
    same = told(real, "CLIDR_EL1")

    def lost(write):
        return of("CLIDR_EL1", problem="")(write) and write.value != same

    finding = only(verdict(changed(real, lost, after=Reading(value=Hex(same)))))
    assert "taken, but KVM_GET_ONE_REG says another value" in finding.said
    assert finding.after == f"{same:#x}"


@pytest.mark.parametrize("series", SERIES)
def test_a_refused_write_that_is_stored_fails(series):
    real = capture("neoverse-n1", series)
    case = verdict(changed(real, of("CTR_EL0", problem="EINVAL"), after=lambda w: Reading(value=w.value)))
    assert "refused, and changed all the same" in only(case).said


@pytest.mark.parametrize(("problem", "words"), [("", "taken, but not seen"), ("EINVAL", "refused, but seen")])
def test_what_the_guest_reads_is_looked_at(problem, words):
    real = capture("cortex-a57", "6.12")

    def watched(write):
        return of("CLIDR_EL1", RAN, problem)(write) and write.seen is not None

    case = verdict(changed(real, watched, seen=Reading(value=Hex(0x0A200023))))
    assert words in only(case).said


def test_an_errno_of_another_name_fails():
    real = capture("neoverse-v1", "6.12")
    case = verdict(changed(real, of("CTR_EL0", RAN, "EBUSY"), problem="EINVAL"))
    assert "EINVAL where a normalised kernel says EBUSY" in only(case).said


@pytest.mark.parametrize(
    ("phase", "problem"), [(UNINITIALISED, "ENOENT"), (UNREADABLE, "EINVAL"), (UNREADABLE, "")]
)
@pytest.mark.parametrize("series", SERIES)
def test_the_moment_decides_on_the_errno(series, phase, problem):
    real = capture("neoverse-n1", series)
    bad = changed(real, of("CLIDR_EL1", phase), problem=problem)
    words = "ENOEXEC" if phase == UNINITIALISED else "EFAULT"
    assert any(f"says {words}" in finding.said for finding in verdict(bad).findings)


@pytest.mark.parametrize(("bit", "right"), [(28, "ENOENT"), (32, "EINVAL"), (48, "EINVAL"), (56, "EINVAL")])
def test_an_id_with_stray_bits_is_refused(bit, right):
    real = capture("neoverse-n1", "6.12")
    foreign = of_reading("CLIDR_EL1") ^ 1 << bit
    case = verdict(changed(real, lambda write: write.kvm_id == foreign, problem=""))
    assert any(
        f"says {right}" in finding.said and f"{foreign:#x}" in finding.said for finding in case.findings
    )


def test_a_lowered_ctr_moves_the_other_vcpu_and_nothing_else():
    real = capture("neoverse-n1", "6.12")
    same = told(real, "CTR_EL0")

    def lowered(write):
        return of("CTR_EL0", problem="")(write) and write.value != same

    kept = verdict(changed(real, lowered, moved={}))
    assert "other registers moved" in only(kept).said
    assert only(kept).after == "nothing"
    extra = verdict(
        changed(real, of("CLIDR_EL1", problem=""), 1, moved={"vCPU 1 CLIDR_EL1": Reading(value=Hex(1))})
    )
    assert only(extra).after == "vCPU 1 CLIDR_EL1 0x1"


def _policy(real, problem, after_first_run):
    """As Linux 7.2 answers: PIPT may be called VIPT; a reserved policy is EINVAL even after the first run."""
    field = CTR_EL0.field("L1Ip")

    def vipt(write):
        alone = write.value ^ told(real, "CTR_EL0") == 1 << field.lo
        return of("CTR_EL0")(write) and alone

    def reserved(write):
        return of("CTR_EL0", RAN, "EBUSY")(write) and field.extract(write.value) < 2

    def other(write):
        return {f"vCPU {1 - write.vcpu} CTR_EL0": Reading(value=write.value)}

    taken = changed(real, vipt, problem=problem, after=lambda w: Reading(value=w.value), moved=other)
    return changed(taken, reserved, problem=after_first_run)


def test_a_kernel_whose_instruction_cache_policy_may_be_written_is_known():
    real = capture("neoverse-n1", "6.12")
    host = written(_policy(real, "", "EINVAL"))
    assert host.writes_policy
    ran = [
        write
        for write in host.writes
        if write.name == "CTR_EL0" and write.phase == RAN and write.kvm_id is None
    ]
    takes = observed(real).takes
    assert {takes(host, write) for write in ran if write.problem == "EINVAL"} == {("EINVAL",)}


def test_nv_that_is_taken_and_left_out_is_known():
    real = capture("neoverse-n1", "6.12")
    same = told(real, "ID_AA64MMFR2_EL1")

    def nv(write):
        return of("ID_AA64MMFR2_EL1")(write) and write.value == same | 2 << 24

    ignored = verdict(changed(real, nv, problem="", after=Reading(value=Hex(same))))
    assert ignored.status is Status.PASS
    assert any("FEAT_NV" in finding.known for finding in ignored.findings)
    kept = verdict(changed(real, nv, problem="", after=lambda w: Reading(value=w.value)))
    assert kept.status is Status.FAIL


def test_an_unknown_behaviour_has_no_right_errno_but_must_do_what_it_says():
    real = capture("neoverse-n1", "6.1")
    lists = tuple(msgspec.structs.replace(each, ids=each.ids[:-1]) for each in real.register_lists)
    unknown = msgspec.structs.replace(real, register_lists=lists)
    assert verdict(unknown).status is Status.PASS
    bad = changed(unknown, of("CLIDR_EL1", problem="EINVAL"), after=lambda w: Reading(value=w.value))
    assert "changed all the same" in only(verdict(bad)).said


def test_where_nobody_tried_a_policy_both_answers_are_right():
    """A host whose caches are VIPT has no other policy that a kernel could take."""
    real = capture("neoverse-n1", "6.12")
    assert written(real).writes_policy is False
    vipt = told(real, "CTR_EL0") ^ 1 << CTR_EL0.field("L1Ip").lo
    kept = tuple(write for write in real.writes if (write.name, write.value) != ("CTR_EL0", vipt))
    host = written(msgspec.structs.replace(real, writes=kept))
    reserved = [
        write
        for write in host.writes
        if of("CTR_EL0", RAN)(write) and CTR_EL0.field("L1Ip").extract(write.value) < 2
    ]
    assert host.writes_policy is None
    assert {observed(real).takes(host, write) for write in reserved} == {("EINVAL", "EBUSY")}
