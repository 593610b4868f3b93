"""Which answers the model of KVM_SET_ONE_REG has for a write, on hosts whose sides and policies differ."""

import pytest

from ccsight.evidence.record import Hex
from ccsight.evidence.views import (
    FRESH,
    LAUNCH,
    RAN,
    UNINITIALISED,
    UNREADABLE,
    Reading,
    Vantage,
    View,
    Write,
)
from ccsight.kvm.writes import native, normalised
from ccsight.kvm.written import Written

#: IminLine is 16 words, DminLine 32; IDC is 0, the policy PIPT.
CTR = 0x8445C004
FEATURES = "ID_AA64MMFR2_EL1"
SIZES = {"CCSIDR_EL1[0]": 0x701FE01B, "CCSIDR_EL1[1]": 0x201FE01A, "CCSIDR_EL1[2]": 0x70FFE03B}
TOLD = {"CTR_EL0": CTR, "CLIDR_EL1": 0x0A200023, FEATURES: 0x1011, **SIZES}
TAKEN, EINVAL, EBUSY, ENOENT = ("",), ("EINVAL",), ("EBUSY",), ("ENOENT",)


def write(name, value, phase=FRESH, problem=""):
    return Write(
        vcpu=0,
        program="writes",
        phase=phase,
        name=name,
        value=Hex(value),
        problem=problem,
        after=Reading(value=Hex(value)),
    )


def host(*writes, told=None, selectors=range(14)):
    shown = TOLD if told is None else told
    readings = {name: Reading(value=Hex(value)) for name, value in shown.items()}
    view = View(vantage=Vantage.USERSPACE, vcpu=0, program="view", phase=LAUNCH, readings=readings)
    return Written({(Vantage.USERSPACE, None): view}, frozenset(selectors), tuple(writes))


@pytest.mark.parametrize(
    ("selector", "line", "answer"),
    [
        (0, 2, EINVAL),
        (0, 3, TAKEN),
        (1, 1, EINVAL),
        (1, 2, TAKEN),
        (2, 2, EINVAL),
        (2, 3, TAKEN),
        (3, 2, TAKEN),
    ],
)
def test_a_line_is_measured_against_the_smallest_of_its_side(selector, line, answer):
    assert normalised(host(), write(f"CCSIDR_EL1[{selector}]", line)) == answer


@pytest.mark.parametrize(
    ("clidr", "ctr", "answer"),
    [
        (0x0A200023, CTR, TAKEN),
        (0x82000023, CTR, EINVAL),
        (0x00200023, CTR, EINVAL),
        (0x82000023, CTR | 1 << 28, TAKEN),
        (0x0A200023 | 1 << 47, CTR, EINVAL),
        (0x0A200023 | 1 << 46, CTR, TAKEN),
    ],
)
def test_a_clidr_that_needs_no_cleaning_needs_a_host_with_idc(clidr, ctr, answer):
    assert normalised(host(told=TOLD | {"CTR_EL0": ctr}), write("CLIDR_EL1", clidr)) == answer


def test_a_native_kernel_takes_what_is_there():
    for name, value in TOLD.items():
        assert native(host(), write(name, value)) == TAKEN
    for name in ("CTR_EL0", "CLIDR_EL1", *SIZES):
        assert native(host(), write(name, TOLD[name] ^ 1)) == EINVAL
    assert native(host(told={}), write("CLIDR_EL1", 1)) == ()


def test_a_native_kernels_features_are_judged_as_others_are():
    """What may be lowered, other writes show: nobody tried, so a lower number has no right answer."""
    assert native(host(), write(FEATURES, 0x1010)) == ()
    assert native(host(), write(FEATURES, 0x1012)) == EINVAL
    assert native(host(), write(FEATURES, 0x1010, RAN)) == EINVAL
    busy = write(FEATURES, 0x1010, RAN, "EBUSY")
    assert native(host(busy), write(FEATURES, 0x1010, RAN)) == EBUSY
    tried = write(FEATURES, 0x1010)
    assert native(host(tried), write(FEATURES, 0x1010)) == TAKEN
    refused = write(FEATURES, 0x1010, problem="EINVAL")
    assert native(host(refused), write(FEATURES, 0x1010)) == EINVAL


@pytest.mark.parametrize("model", [native, normalised])
def test_the_moment_and_the_list_decide_before_the_register(model):
    some = host(selectors=range(3))
    assert model(some, write("CLIDR_EL1", 0, UNINITIALISED)) == ("ENOEXEC",)
    assert model(some, write("CLIDR_EL1", 0, UNREADABLE)) == ("EFAULT",)
    assert model(some, write("CCSIDR_EL1[3]", 3)) == ENOENT
    assert model(some, write("CCSIDR_EL1[3]", 3, UNREADABLE)) == ENOENT
    assert model(host(selectors=range(20)), write("CCSIDR_EL1[14]", 3)) == ENOENT
    assert model(some, write("CSSELR_EL1", 0xFF)) == TAKEN


LOWERED, RAISED, VIPT = CTR - 1, CTR + 1, CTR & ~(1 << 14)
RESERVED = CTR & ~(3 << 14)
FIXED = write("CTR_EL0", LOWERED, problem="EINVAL")
LOWERS = write("CTR_EL0", LOWERED)


@pytest.mark.parametrize(
    ("tried", "value", "answer"),
    [
        ([], CTR, TAKEN),
        ([], LOWERED, ()),
        ([FIXED], LOWERED, EINVAL),
        ([LOWERS], LOWERED, TAKEN),
        ([LOWERS], RAISED, EINVAL),
        ([LOWERS], VIPT, EINVAL),
        ([LOWERS, write("CTR_EL0", VIPT)], VIPT, TAKEN),
        ([LOWERS, write("CTR_EL0", VIPT)], VIPT - 1, TAKEN),
        ([LOWERS, write("CTR_EL0", VIPT)], VIPT + 1, EINVAL),
        ([LOWERS, write("CTR_EL0", VIPT)], RESERVED, EINVAL),
        ([LOWERS, write("CTR_EL0", VIPT)], LOWERED, TAKEN),
        ([LOWERS, write("CTR_EL0", VIPT, problem="EINVAL")], VIPT, EINVAL),
    ],
)
def test_ctr_is_lowered_where_other_writes_were_taken(tried, value, answer):
    assert normalised(host(*tried), write("CTR_EL0", value)) == answer


@pytest.mark.parametrize(
    ("policy", "value", "answer"),
    [
        (write("CTR_EL0", VIPT), RESERVED, EINVAL),
        (write("CTR_EL0", VIPT, problem="EINVAL"), RESERVED, EBUSY),
        (None, RESERVED, ("EINVAL", "EBUSY")),
        (None, LOWERED, EBUSY),
        (write("CTR_EL0", VIPT), LOWERED, EBUSY),
        (write("CTR_EL0", VIPT), VIPT, EBUSY),
    ],
)
def test_after_the_first_run_only_a_reserved_policy_may_be_einval(policy, value, answer):
    tried = [LOWERS] if policy is None else [LOWERS, policy]
    assert normalised(host(*tried), write("CTR_EL0", value, RAN)) == answer


def test_a_host_whose_ctr_is_not_known_has_no_right_answer():
    assert normalised(host(told={}), write("CTR_EL0", CTR)) == ()
    assert normalised(host(told={}), write("CCSIDR_EL1[0]", 0)) == ()
