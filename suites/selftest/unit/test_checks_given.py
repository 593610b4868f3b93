"""CR-013 and CR-018 of VMs that were given MTE or EL2: what may differ, what must not, what was not seen."""

import msgspec
import pytest
from given import MTE, NESTED, given
from recorded import capture

from ccsight.arm64.registers import CLIDR_EL1
from ccsight.campaign.planning import twins
from ccsight.checks import judge
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Reading, Vantage
from ccsight.kvm.gifts import ASKED, NOTHING, gift
from ccsight.kvm.model import fabricated_clidr, tags_shifted_as_int
from ccsight.kvm.modes import excuse_given, excuse_listed, expected_clidr, says_of
from ccsight.status import Status

POR = Hex(0x603000000013C514)
TFSR = Hex(0x603000000013C2B0)
PLAIN, TAGGED = 0x1000004, 0x401000004


def verdict(seen, check="CR-013"):
    """Judge a machine by itself."""
    seen = msgspec.structs.replace(seen, console=msgspec.structs.replace(seen.console, mode="VHE"))
    cells = (seen.cell.id, seen.cell.id) if check == "CR-013" else (seen.cell.id,)
    return judge(PlannedCase(check=check, cells=cells), (seen, seen)[: len(cells)])


def shown(seen, phase, **readings):
    """Return a capture in which whoever looks at the VM of a phase reads this."""

    def changed(view):
        new = {name: Reading(value=Hex(value)) for name, value in readings.items() if name in view.readings}
        return msgspec.structs.replace(view, readings=view.readings | new) if view.phase == phase else view

    return msgspec.structs.replace(seen, views=tuple(map(changed, seen.views)))


def without(seen, phase, vantage):
    views = tuple(view for view in seen.views if (view.phase, view.vantage) != (phase, vantage))
    return msgspec.structs.replace(seen, views=views)


def bad(case):
    return [finding for finding in case.findings if not finding.known]


@pytest.mark.parametrize("boot", [MTE, NESTED])
def test_what_was_given_on_real_kernels_changes_nothing_else(boot):
    case = verdict(given(boot))
    assert (case.status, bad(case)) == (Status.PASS, [])
    subjects = {finding.subject for finding in case.findings}
    assert {"CLIDR_EL1", "ID_AA64PFR1_EL1", "4 registers"} <= subjects
    assert verdict(given(boot), "CR-018").status is Status.PASS


@pytest.mark.parametrize("phase", ["given-mte", "given-el2", "given-mte-el2"])
@pytest.mark.parametrize("name", ["CTR_EL0", "CCSIDR_EL1[0]", "CLIDR_EL1", "ID_AA64MMFR2_EL1"])
def test_another_value_fails(phase, name):
    case = verdict(shown(given(NESTED), phase, **{name: 0x3}))
    assert case.status is Status.FAIL
    assert {(found.subject, found.where.split(", ")[1]) for found in bad(case)} == {(name, phase)}


def test_tags_that_are_not_told_fail():
    case = verdict(shown(given(MTE), "given-mte", CLIDR_EL1=PLAIN))
    assert case.status is Status.FAIL
    assert all(found.said.startswith("0x1000004 in a VM with MTE") for found in bad(case))


def test_tags_that_were_shifted_as_an_int_fail_and_are_called_that():
    idc_only = fabricated_clidr(0x9444C004)
    assert (idc_only, tags_shifted_as_int(idc_only)) == (0x2000021, 0x2000031)
    assert CLIDR_EL1.field("Ctype2").extract(0x2000031) == 6
    seen = given(MTE)
    for phase, clidr in ((NOTHING.phase, idc_only), ("given-mte", 0x2000031)):
        seen = shown(seen, phase, CLIDR_EL1=clidr)
    (one, other) = bad(verdict(seen))
    assert "c6c167afa090" in one.said
    assert (one.before, one.after) == (other.before, other.after) == ("0x2000021", "0x2000031")


def test_the_model_knows_the_shift_and_nothing_like_it():
    shifted = tags_shifted_as_int(PLAIN)
    assert shifted == PLAIN  # with IDC and DIC the type is 4 already: only the tags are missing
    assert verdict(shown(given(MTE), "given-mte", CLIDR_EL1=shifted), "CR-018").status is Status.PASS
    assert verdict(shown(given(MTE), "given-mte", CLIDR_EL1=TAGGED | 2), "CR-018").status is Status.FAIL
    assert verdict(shown(given(NESTED), "given-el2", CLIDR_EL1=TAGGED), "CR-018").status is Status.FAIL


def test_el2_and_el1_of_a_guest_must_agree():
    seen = given(NESTED)
    views = tuple(
        msgspec.structs.replace(view, readings=view.readings | {"CLIDR_EL1": Reading(problem="UNDEF")})
        if view.vantage is Vantage.GUEST_EL2
        else view
        for view in seen.views
    )
    case = verdict(msgspec.structs.replace(seen, views=views))
    assert case.status is Status.FAIL
    machine, below = seen.cell.machine, {"given-mte-el2": "0x401000004"}
    assert {(found.subject, found.where, found.said) for found in bad(case)} == {
        (
            "CLIDR_EL1",
            f"guest_el2, {phase}, {machine}",
            f"UNDEF at EL2, {below.get(phase, '0x1000004')} at EL1 of a VM with {gift(phase).says}",
        )
        for phase in ("given-el2", "given-el2-e2h0", "given-mte-el2")
    }


@pytest.mark.parametrize("phase", [NOTHING.phase, "given-mte"])
def test_a_register_that_only_one_of_the_vms_lists_fails(phase):
    seen = given(MTE)
    lists = tuple(
        msgspec.structs.replace(found, ids=(*found.ids, POR)) if found.phase == phase else found
        for found in seen.lists_given
    )
    case = verdict(msgspec.structs.replace(seen, lists_given=lists))
    assert case.status is Status.FAIL
    words = "listed" if phase != NOTHING.phase else "not listed"
    assert [(found.subject, found.where, found.said) for found in bad(case)] == [
        (
            "1 register" if phase == NOTHING.phase else "5 registers",
            f"KVM_GET_REG_LIST, given-mte, {seen.cell.machine}",
            bad(case)[0].said,
        )
    ]
    assert bad(case)[0].said.endswith(f": {words} for a VM with MTE")
    assert "POR_EL1" in bad(case)[0].said


def test_a_register_of_tags_that_only_the_plain_vm_lists_is_not_excused():
    """The excuse is for the VM with tags: that the other one has them too is no part of it."""
    seen = given(MTE)
    lists = tuple(
        msgspec.structs.replace(found, ids=tuple(each for each in found.ids if each != TFSR))
        if found.phase == "given-mte"
        else msgspec.structs.replace(found, ids=(*found.ids, TFSR))
        for found in seen.lists_given
    )
    case = verdict(msgspec.structs.replace(seen, lists_given=lists))
    assert [(found.subject, found.known) for found in bad(case)] == [("1 register", "")]


@pytest.mark.parametrize(
    ("phase", "vantage"),
    [
        (ASKED, Vantage.USERSPACE),
        (NOTHING.phase, Vantage.GUEST),
        ("given-mte", Vantage.USERSPACE),
        ("given-el2", Vantage.GUEST_EL2),
    ],
)
def test_what_was_not_looked_at_is_missed(phase, vantage):
    assert verdict(without(given(NESTED), phase, vantage)).status is Status.MISS


def test_lists_and_answers_that_lack_are_missed():
    assert verdict(msgspec.structs.replace(given(MTE), lists_given=())).status is Status.MISS
    seen = given(MTE)
    answers = msgspec.structs.replace(
        next(view for view in seen.views if view.phase == ASKED),
        readings={name: Reading(problem="EINVAL") for name in ("KVM_CAP_ARM_MTE", "KVM_CAP_ARM_EL2")}
        | {"KVM_CAP_ARM_EL2_E2H0": Reading(value=Hex(0))},
    )
    views = tuple(answers if view.phase == ASKED else view for view in seen.views)
    case = verdict(msgspec.structs.replace(seen, views=views))
    assert (case.status, "KVM_CAP_ARM_MTE and KVM_CAP_ARM_EL2" in case.reason) == (Status.MISS, True)


def test_there_is_nothing_to_judge_where_nothing_can_be_given():
    seen = capture("neoverse-v1", "6.12")
    asked = next(view for view in given(MTE).views if view.phase == ASKED)
    nothing = msgspec.structs.replace(asked, readings=dict.fromkeys(asked.readings, Reading(value=Hex(0))))
    seen = msgspec.structs.replace(seen, views=(*seen.views, nothing), programs={"features.img": "0" * 64})
    assert verdict(seen).status is Status.SKIP
    assert verdict(capture("neoverse-v1", "6.12")).status is Status.SKIP  # of an older ccsight


def test_an_excuse_is_for_what_was_given_only():
    was, now = Reading(value=Hex(PLAIN)), Reading(value=Hex(TAGGED))
    assert excuse_given("CLIDR_EL1", gift("given-mte"), was, now)
    assert not excuse_given("CLIDR_EL1", gift("given-el2"), was, now)
    assert not excuse_given("CLIDR_EL1", gift("given-mte"), was, Reading(problem="ENOENT"))
    assert expected_clidr(0x2000021, gift("given-mte")) == 0x1002000021
    sp_el2, tfsr = 0x603000000013F208, 0x603000000013C2B0
    assert excuse_listed(frozenset({sp_el2}), gift("given-el2"))
    assert not excuse_listed(frozenset({sp_el2}), gift("given-mte"))
    assert excuse_listed(frozenset({sp_el2, tfsr}), gift("given-mte-el2"))
    assert not excuse_listed(frozenset({sp_el2, int(POR)}), gift("given-el2"))
    assert not excuse_listed(frozenset({sp_el2, tfsr}), gift("given-el2"))


def test_an_id_register_may_change_in_its_fields_and_to_their_values_only():
    features, both = "ID_AA64MMFR2_EL1", gift("given-el2")
    varange, ttl = 1 << 16, 1 << 48
    was = Reading(value=Hex(varange))
    assert excuse_given(features, both, was, Reading(value=Hex(ttl)))
    assert not excuse_given(features, both, was, Reading(value=Hex(ttl | varange)))
    assert not excuse_given(features, both, was, Reading(value=Hex(ttl | 1)))
    assert not excuse_given(features, both, Reading(problem="ENOENT"), Reading(value=Hex(ttl)))
    assert not excuse_given(features, both, was, Reading(problem="ENOENT"))
    assert not excuse_given(features, gift("given-mte"), was, Reading(value=Hex(ttl)))


def test_words_of_the_shift_are_for_tags_that_were_shifted():
    mte, was = gift("given-mte"), Reading(value=Hex(0x2000021))
    shifted = Reading(value=Hex(tags_shifted_as_int(0x2000021)))
    assert "c6c167afa090" in says_of("CLIDR_EL1", mte, was, shifted)
    assert says_of("CLIDR_EL1", mte, was, Reading(value=Hex(5))) == ""
    assert says_of("CLIDR_EL1", gift("given-el2"), was, shifted) == ""
    assert says_of("CLIDR_EL1", mte, Reading(problem="ENOENT"), shifted) == ""
    assert says_of("CTR_EL0", mte, was, shifted) == ""


def test_a_machine_that_has_something_to_give_needs_no_other():
    assert list(twins(["emulated:max,mte=on", "emulated:neoverse-n1"])) == [("emulated:max,mte=on",) * 2]
    assert list(twins(["emulated:max,mode=nested"])) == [("emulated:max,mode=nested",) * 2]
    assert list(twins(["emulated:max,mte=on", "emulated:max"])) == [("emulated:max", "emulated:max,mte=on")]
    assert not list(twins(["emulated:max,mode=nvhe"]))
