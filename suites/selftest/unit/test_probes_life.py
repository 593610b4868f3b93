"""Lives of vCPUs as steps, and what is refused of what came of them."""

import gzip

import pytest
from recorded import STREAMS
from streams import edited, replaced

from ccsight.errors import ProbeError
from ccsight.evidence.views import FRESH
from ccsight.kvm.lives import MOST, OVERRIDES, SIZES, Life
from ccsight.probes import life
from ccsight.probes.script import VCPUS_MAX, results
from ccsight.probes.stream import parse

LIVES = [*(Life(size, overridden=False) for size in SIZES), Life(1, overridden=True)]


def lived(edit=lambda lines: lines, series="6.12"):
    packed = (STREAMS / f"neoverse-n1-{series}" / "life.stream.gz").read_bytes()
    script, read = life.script(LIVES, 0)
    return read(results(parse(edited(gzip.decompress(packed), edit), "test"), script))


def test_there_are_never_more_vcpus_than_there_may_be():
    assert MOST == VCPUS_MAX
    for size in SIZES:
        for moment in Life(size, overridden=False).moments:
            assert len(Life(size, overridden=False).vcpus(moment)) <= MOST


def test_views_and_writes_say_where_and_when():
    found = lived()
    assert {view.cpu for view in found.views} == {0}
    chosen = [write for write in found.writes if write.phase == FRESH]
    assert {write.name: write.value for write in chosen} == OVERRIDES
    assert {(write.program, write.after.value == write.value) for write in chosen} == {
        ("life-1-overridden", True)
    }


def test_a_life_with_values_that_were_refused_is_not_told():
    assert {view.program for view in lived(series="6.1").views} == {"life-1", "life-2", "life-8"}


@pytest.mark.parametrize(
    "edit",
    [
        replaced("said=0x0", "said=0xffffffffffffffff", 1),
        replaced("on=1", "on=2", 1),
        replaced("end=parked", "end=given-back", 1),
        replaced("end=reset", "end=off", 1),
        replaced("what=init", "what=init errno=EINVAL", 1),
    ],
)
def test_a_vcpu_that_does_not_as_it_is_told_is_an_error(edit):
    lived()
    with pytest.raises(ProbeError):
        lived(edit)
