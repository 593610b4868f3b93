"""What a changed view means to a guest: each sentence counts and names what it tells of."""

import pytest

from ccsight.evidence.views import Reading, Vantage, View
from ccsight.kvm.meaning import sentences

CTR = 0x8444C004


def guest(clidr, line=0x2):
    values = {"CTR_EL0": CTR, "CLIDR_EL1": clidr, "CCSIDR_EL1[0]": line, "CCSIDR_EL1[1]": line}
    readings = {name: Reading(value=each) for name, each in values.items()}
    return View(vantage=Vantage.GUEST, vcpu=0, program="all_regs", phase="launch", readings=readings)


@pytest.mark.parametrize(("loc", "words"), [(1, "1 level"), (2, "2 levels"), (3, "3 levels")])
def test_the_levels_that_set_way_loops_cover_are_counted_in_words(loc, words):
    told = list(sentences(guest(0x09200003 & ~(7 << 24)), guest(0x09200003 & ~(7 << 24) | loc << 24)))
    assert any(each.endswith(f"cover {words}") for each in told)


def test_a_change_of_the_line_names_the_old_and_the_new_one():
    told = " | ".join(sentences(guest(0x09200003), guest(0x09200003, line=0x3)))
    changed = told.partition("cache lines change from ")[2].partition(" | ")[0]
    old, _, new = changed.partition(" to ")
    assert "64" in old
    assert "128" in new
    assert "64" not in new
