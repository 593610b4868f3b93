"""VMs that were given something, as steps, and what is refused of what came of them."""

import pytest
from given import MTE, NESTED, gave
from streams import edited, replaced

from ccsight.errors import ProbeError
from ccsight.evidence.views import Reading, Vantage
from ccsight.kvm.gifts import ASKED, CAPABILITIES, GIFTS, gift
from ccsight.probes import features
from ccsight.probes.script import Results


def of(edit):
    return lambda raw: edited(raw, edit)


def test_a_vm_is_made_with_nothing_and_with_each_that_can_be_given():
    assert [found.phase for found in gave(NESTED).lists] == [gift.phase for gift in GIFTS]
    assert [found.phase for found in gave(MTE).lists] == ["given-nothing", "given-mte"]
    asked, *views = gave(MTE).views
    assert (asked.phase, set(asked.readings)) == (ASKED, {each.name for each in CAPABILITIES})
    assert {view.cpu for view in views} == {0}


def test_what_has_el2_is_looked_at_there_too():
    at_el2 = [view for view in gave(NESTED).views if view.vantage is Vantage.GUEST_EL2]
    assert [view.phase for view in at_el2] == [gift.phase for gift in GIFTS if gift.has_el2]
    assert {view.value("CLIDR_EL1") for view in at_el2} == {0x1000004, 0x401000004}
    assert {len(view.readings) for view in at_el2} == {17}


def test_tags_do_not_keep_a_guest_from_reading_a_size():
    (el1,) = [view for view in gave(MTE).views if (view.phase, view.vantage) == ("given-mte", Vantage.GUEST)]
    assert [el1.value(name) for name in features.TAGS] == [0x10, 0x2, 0x12, 0x2]


def test_nothing_is_made_where_there_is_nothing_to_give():
    script, read = features.giving({each.name: Reading(value=0) for each in CAPABILITIES}, 0)
    found = read(Results(()))
    assert (script.steps, found.lists, [view.phase for view in found.views]) == ([], (), [ASKED])


def test_a_refused_question_is_an_answer():
    found = gave(MTE, asked=of(replaced("what=check says=0", "what=check errno=EINVAL", 1)))
    assert Reading(problem="EINVAL") in found.views[0].readings.values()


def test_other_phases_were_given_nothing():
    assert (gift("launch").takes, gift("given-el2-e2h0").features) == ((), 1 << 7 | 1 << 8)


@pytest.mark.parametrize(
    "edit",
    [
        replaced("what=cap", "what=cap errno=EINVAL", 1),
        replaced("what=init", "what=init errno=EINVAL", 1),
        replaced("end=given-back", "end=off", 1),
        replaced("name=ID_AA64PFR1_EL1", "name=ID_AA64PFR0_EL1", 1),
        replaced("line=tags", "line=tugs", 1),
        replaced("0x10,0x2,0x12,0x2", "0x10,0x2,0x12", 1),
        replaced("el=2%20name=CTR_EL0", "el=1%20name=CTR_EL0", 1),
    ],
)
def test_what_was_not_given_or_not_seen_is_an_error(edit):
    with pytest.raises(ProbeError):
        gave(NESTED, of(edit))
