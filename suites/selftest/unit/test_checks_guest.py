"""CR-011 and CR-012: what is odd for EL0, for AArch32, and where a guest asks for what there is not."""

import msgspec
import pytest
from asymmetric import declared, m2_native, normalised
from recorded import MODELS, SERIES, bent, capture
from test_checks import held, verdict

from ccsight.arm64 import kvm_ids
from ccsight.evidence.guests import AARCH32_GUEST, SELECTORS_GUEST, SETWAY_GUEST, TOO_LONG
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Reading, Vantage
from ccsight.status import Status

EL1, EL0, AARCH32 = Vantage.GUEST, Vantage.GUEST_EL0, Vantage.GUEST_AARCH32
ARM32 = "cortex-a57"
GUESTS = (SELECTORS_GUEST, SETWAY_GUEST, AARCH32_GUEST)


def odd(seen, guest: str, vantage: Vantage, readings: dict[str, int | str | None]):
    """Return a capture in which a guest read something else: a value, a problem, or (None) nothing."""
    views = []
    for view in seen.views:
        new = dict(view.readings)
        if (view.program, view.vantage) == (guest, vantage):
            for name, value in readings.items():
                new.pop(name, None)
                if value is not None:
                    problem = isinstance(value, str)
                    new[name] = Reading(problem=value) if problem else Reading(value=Hex(value))
        views.append(msgspec.structs.replace(view, readings=new))
    return msgspec.structs.replace(seen, views=tuple(views))


def unseen(seen, guest: str, vantage: Vantage):
    views = tuple(view for view in seen.views if (view.program, view.vantage) != (guest, vantage))
    return msgspec.structs.replace(seen, views=views)


def with_guests(seen, model: str, series: str, **registers: int):
    """Return a capture of unlike CPUs, with what the guests said on another machine, and AArch32 on this."""
    views = [view for view in seen.views if view.program not in GUESTS]
    views += [view for view in capture(model, series).views if view.program in GUESTS]
    seen = msgspec.structs.replace(seen, views=tuple(views))
    return odd(seen, AARCH32_GUEST, AARCH32, registers)


def known(case) -> dict[str, str]:
    return {finding.subject: finding.known for finding in case.findings if finding.known}


def test_cr011_knows_that_native_kernels_trap_aarch32():
    case = verdict("CR-011", capture(ARM32, "6.1"))
    assert case.status is Status.PASS
    assert known(case).keys() == {"CCSIDR_EL1[0]", "CCSIDR_EL1[2]"}
    assert all("trapped" in why for why in known(case).values())


def test_cr011_names_the_fault_that_loses_aarch32s_clidr():
    case = verdict("CR-011", capture(ARM32, "6.12"))
    assert case.status is Status.PASS
    assert known(case).keys() == {"CLIDR_EL1"}
    assert known(case)["CLIDR_EL1"].startswith("a fault of the kernel")


def test_cr011_holds_without_any_excuse_where_the_fault_is_mended():
    case = verdict("CR-011", odd(capture(ARM32, "6.12"), AARCH32_GUEST, AARCH32, {"CLIDR_EL1": 0x9200003}))
    assert (case.status, case.findings) == (Status.PASS, ())


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("model", sorted({*MODELS} - {ARM32}))
def test_cr011_is_skipped_where_there_is_no_aarch32(model, series):
    case = verdict("CR-011", capture(model, series))
    assert case.status is Status.SKIP
    assert "EINVAL" in case.reason


def test_cr011_fails_on_el0_also_where_there_is_no_aarch32():
    case = verdict("CR-011", bent(capture("neoverse-n1", "6.12"), EL0, 1, CTR_EL0=0x8444C004))
    assert (case.status, held(case)) == (Status.FAIL, {("CTR_EL0", "guest_el0, vCPU 1")})


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize(
    ("readings", "subject"),
    [
        ({"CTR_EL0": 0x8440C004}, "CTR_EL0"),
        ({"CTR_EL0": "UNDEF"}, "CTR_EL0"),
        ({"CLIDR_EL1": 0x9200002}, "CLIDR_EL1"),
        ({"CLIDR_EL1": "UNDEF"}, "CLIDR_EL1"),
        ({"CCSIDR_EL1[0]": 0x70000003}, "CCSIDR_EL1[0]"),
        ({"CCSIDR_EL1[1]": 0x70000002}, "CCSIDR_EL1[1]"),
        ({"CCSIDR_EL1[13]": 0x1A}, "CCSIDR_EL1[13]"),
    ],
)
def test_cr011_fails_when_aarch32_reads_something_else(series, readings, subject):
    case = verdict("CR-011", odd(capture(ARM32, series), AARCH32_GUEST, AARCH32, readings))
    assert (case.status, held(case)) == (Status.FAIL, {(subject, "guest_aarch32, vCPU 0")})


def test_cr011_says_what_both_levels_read():
    case = verdict("CR-011", bent(capture("neoverse-n1", "6.12"), EL0, 1, CTR_EL0=0x8444C004))
    (found,) = [each for each in case.findings if not each.known]
    assert found.said.startswith("EL1 reads 0x9444c004, ")
    assert found.said.endswith(" 0x8444c004")
    assert (found.before, found.after) == ("0x9444c004", "0x8444c004")


@pytest.mark.parametrize("bit", [0, 33])
def test_cr011_compares_every_bit_at_el0(bit):
    case = verdict("CR-011", bent(capture("neoverse-n1", "6.12"), EL0, 1, CTR_EL0=0x9444C004 ^ 1 << bit))
    assert (case.status, held(case)) == (Status.FAIL, {("CTR_EL0", "guest_el0, vCPU 1")})


def test_cr011_compares_the_low_half_in_aarch32():
    whole = capture(ARM32, "6.12")
    ctr = whole.view(EL1, 0).value("CTR_EL0")
    tagged = bent(bent(whole, EL1, 0, CTR_EL0=ctr | 4 << 32), EL0, 0, CTR_EL0=ctr | 4 << 32)
    assert not {subject for subject, _ in held(verdict("CR-011", tagged))} & {"CTR_EL0"}


def test_cr011_excuses_each_behaviour_only_on_its_own_kernel():
    lost = odd(capture(ARM32, "6.1"), AARCH32_GUEST, AARCH32, {"CLIDR_EL1": 0})
    assert held(verdict("CR-011", lost)) == {("CLIDR_EL1", "guest_aarch32, vCPU 0")}
    sized = bent(capture(ARM32, "6.12"), EL1, 0, CCSIDR_EL1_0=0x700FE01A)
    sized = odd(sized, AARCH32_GUEST, AARCH32, {"CCSIDR_EL1[0]": 0x70000002})
    assert ("CCSIDR_EL1[0]", "guest_aarch32, vCPU 0") in held(verdict("CR-011", sized))


def test_cr011_knows_the_sanitised_ctr_of_a_native_kernels_aarch32():
    seen = bent(capture(ARM32, "6.1"), EL1, 0, CTR_EL0=0x14_8444C004, CLIDR_EL1=0x82000023)
    seen = bent(seen, EL0, 0, CTR_EL0=0x14_8444C004)
    seen = odd(seen, AARCH32_GUEST, AARCH32, {"CTR_EL0": 0x9444C004, "CLIDR_EL1": 0x82000023})
    case = verdict("CR-011", seen)
    assert case.status is Status.PASS
    assert "sanitised" in known(case)["CTR_EL0"]


def test_cr011_fails_when_el0_reads_another_block_size():
    case = verdict("CR-011", odd(capture(ARM32, "6.12"), SELECTORS_GUEST, EL0, {"DCZID_EL0": 0x14}))
    assert held(case) == {("DCZID_EL0", "guest_el0, vCPU 0")}


@pytest.mark.parametrize("seen", [m2_native, normalised])
def test_cr011_fails_on_unlike_cpus_when_a_value_is_that_of_none(seen):
    series = "6.1" if seen is m2_native else "6.12"
    host = with_guests(declared(seen()), "neoverse-n1", series)
    case = verdict("CR-011", bent(host, EL0, 1, CTR_EL0=0x8444C003))
    assert held(case) == {("CTR_EL0", "guest_el0, vCPU 1")}


def test_cr011_knows_that_unlike_cpus_have_their_own():
    """On an M2, the launch ran on one kind of CPU, and AArch32 (which it has not) on the other one."""
    host = with_guests(
        declared(m2_native()),
        ARM32,
        "6.1",
        **{
            "CTR_EL0": 0x9444C004,
            "CLIDR_EL1": 0x81000023,
            "CCSIDR_EL1[0]": 0x70000002,
            "CCSIDR_EL1[1]": 0x203FE01A,
            "CCSIDR_EL1[2]": 0x70000003,
        },
    )
    case = verdict("CR-011", host)
    assert (case.status, held(case)) == (Status.PASS, set())


@pytest.mark.parametrize("check", ["CR-011", "CR-012"])
@pytest.mark.parametrize(
    ("guest", "vantage"),
    [(SELECTORS_GUEST, EL1), (SELECTORS_GUEST, EL0), (AARCH32_GUEST, AARCH32)],
)
def test_what_was_not_looked_at_is_a_miss(check, guest, vantage):
    assert verdict(check, unseen(capture(ARM32, "6.12"), guest, vantage)).status is Status.MISS


@pytest.mark.parametrize(
    ("check", "guest", "vantage", "name"),
    [
        ("CR-011", AARCH32_GUEST, AARCH32, "CCSIDR_EL1[13]"),
        ("CR-011", SELECTORS_GUEST, EL0, "DCZID_EL0"),
        ("CR-012", SELECTORS_GUEST, EL1, "CSSELR_EL1<=18"),
        ("CR-012", SELECTORS_GUEST, EL1, "MSR CTR_EL0"),
        ("CR-012", SELECTORS_GUEST, EL0, "CTR_EL0 UCT=0"),
        ("CR-012", AARCH32_GUEST, AARCH32, "CCSIDR2_EL1"),
    ],
)
def test_a_reading_that_is_not_there_is_a_miss(check, guest, vantage, name):
    assert verdict(check, odd(capture(ARM32, "6.12"), guest, vantage, {name: None})).status is Status.MISS


@pytest.mark.parametrize("check", ["CR-011", "CR-012"])
def test_a_vcpu_that_failed_to_be_made_for_another_reason_is_a_miss(check):
    seen = odd(capture("neoverse-n1", "6.1"), AARCH32_GUEST, AARCH32, {"KVM_ARM_VCPU_INIT": "EIO"})
    case = verdict(check, seen)
    assert case.status is Status.MISS
    assert "EIO" in case.reason


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("model", MODELS)
def test_cr012_holds_on_real_kernels(model, series):
    case = verdict("CR-012", capture(model, series))
    assert (case.status, held(case)) == (Status.PASS, set())
    ccidx = (model, series) == ("neoverse-v1", "6.1")  # QEMU has CCSIDR2_EL1 where it has FEAT_CCIDX
    assert known(case).keys() == ({"CCSIDR2_EL1"} if ccidx else set())


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize(
    ("vantage", "readings"),
    [
        (EL1, {"CSSELR_EL1<=1": 0}),
        (EL1, {"CSSELR_EL1<=2": "UNDEF"}),
        (EL1, {"CSSELR_EL1<=9": "UNDEF"}),
        (EL1, {"CCSIDR_EL1[0]": "UNDEF"}),
        (EL1, {"CCSIDR_EL1[15]": "ESR 0x86000000"}),
        (EL1, {"CCSIDR2_EL1": 0}),
        (EL1, {"CCSIDR2_EL1": "TRAPPED"}),
        (EL1, {"DCZID_EL0": "UNDEF"}),
        (EL1, {"MSR CLIDR_EL1": 0}),
        (EL1, {"MSR CTR_EL0": "TRAPPED"}),
        (EL0, {"CTR_EL0": "TRAPPED"}),
        (EL0, {"CTR_EL0 UCT=0": 0x8444C004}),
        (EL0, {"CTR_EL0 UCT=0": "UNDEF"}),
        (EL0, {"CLIDR_EL1": 0x9200003}),
        (EL0, {"CCSIDR_EL1": 0}),
    ],
)
def test_cr012_fails(series, vantage, readings):
    case = verdict("CR-012", odd(capture(ARM32, series), SELECTORS_GUEST, vantage, readings))
    assert (case.status, held(case)) == (Status.FAIL, {(next(iter(readings)), f"{vantage}, vCPU 0")})


@pytest.mark.parametrize("readings", [{"CSSELR_EL1<=3": 2}, {"CCSIDR2_EL1": 0}, {"CCSIDR_EL1[2]": "UNDEF"}])
def test_cr012_fails_on_aarch32(readings):
    case = verdict("CR-012", odd(capture(ARM32, "6.12"), AARCH32_GUEST, AARCH32, readings))
    assert held(case) == {(next(iter(readings)), "guest_aarch32, vCPU 0")}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("series", SERIES)
def test_cr012_fails_where_kvm_keeps_a_ccsidr2(model, series):
    """Whether the CPU has FEAT_CCIDX or not: without it the CPU refuses, and no guest could tell."""
    real = capture(model, series)
    extra = Hex(kvm_ids.of_encoding((3, 1, 0, 0, 2)))
    lists = tuple(msgspec.structs.replace(each, ids=(*each.ids, extra)) for each in real.register_lists)
    case = verdict("CR-012", msgspec.structs.replace(real, register_lists=lists))
    assert case.status is Status.FAIL
    assert held(case) == {("CCSIDR2_EL1", f"KVM_GET_REG_LIST, vCPU {vcpu}") for vcpu in (0, 1)}


def test_cr012_knows_feat_idst():
    """With ID_AA64MMFR2_EL1.IDS, as on Neoverse V1, an ID register that is not there may say what it was."""
    seen = odd(capture("neoverse-v1", "6.12"), SELECTORS_GUEST, EL1, {"CCSIDR2_EL1": "TRAPPED"})
    assert verdict("CR-012", seen).status is Status.PASS


def test_cr012_takes_the_bit_of_a_tag_cache_that_is_kept_or_not():
    for value, status in ((0, Status.PASS), (0x10, Status.PASS), (0x11, Status.FAIL)):
        seen = odd(capture(ARM32, "6.12"), SELECTORS_GUEST, EL1, {"CSSELR_EL1<=16": value})
        assert verdict("CR-012", seen).status is status


def test_cr012_promises_nothing_of_a_cache_that_is_not_there_on_a_native_kernel():
    readings = {"CSSELR_EL1<=4": 0, "CCSIDR_EL1[4]": "UNDEF", "CSSELR_EL1<=17": 0x1F}
    case = verdict("CR-012", odd(capture(ARM32, "6.1"), SELECTORS_GUEST, EL1, readings))
    assert (case.status, known(case).keys()) == (Status.PASS, readings.keys())
    case = verdict("CR-012", odd(capture(ARM32, "6.12"), SELECTORS_GUEST, EL1, readings))
    assert held(case) == {(name, "guest, vCPU 0") for name in readings}


def test_cr012_fails_when_a_set_way_loop_does_not_end_well():
    for problem, status in (("UNDEF", Status.FAIL), (TOO_LONG, Status.PASS)):
        seen = odd(capture(ARM32, "6.12"), SETWAY_GUEST, EL1, {"DC CISW L1D": problem})
        assert verdict("CR-012", seen).status is status
    assert verdict("CR-012", unseen(capture(ARM32, "6.12"), SETWAY_GUEST, EL1)).status is Status.MISS
