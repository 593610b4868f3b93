"""How many suspects are tried at once, and which: by what earlier ones took, and how many CPUs there are."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsight.campaign import pace as paces
from ccsight.campaign.pace import Pace, spread, width
from ccsight.campaign.search import rounds
from ccsight.evidence.bisection import Look, Role, Step, Verdict

LOOK = Look(machine="emulated:max", run="01", truth=True, seconds=3.0)


def step(build: float, cpu: float, *, wide: int = 1, looks: tuple[Look, ...] = (LOOK,)) -> Step:
    return Step(
        name="01",
        role=Role.STEP,
        suspect="a",
        spec="git:linux,ref=a",
        title="",
        verdict=Verdict.GOOD,
        looks=looks,
        build=build,
        cpu=cpu,
        width=wide,
    )


def pace(steps: list[Step]) -> Pace | None:
    return paces.pace(steps, built_here=True)


def test_nothing_is_known_at_first():
    assert pace([]) is None
    assert pace([step(10, 0)]) is None, "nobody measured"
    assert pace([step(10, 12, looks=())]) is None, "it was not booted"
    assert width(64, 8, 16, None) == 1


def test_the_usual_build_counts_and_not_the_first_or_what_was_in_the_store():
    steps = [step(0.1, 2), step(240, 470), step(10, 14), step(11, 15), step(9, 13)]
    assert pace(steps) == Pace(13.0, 14)


def test_what_lies_in_the_store_says_nothing_of_what_has_to_be_built():
    assert pace([step(0.1, 4), step(0.2, 4)]) is None


def test_where_nothing_is_built_boots_are_what_it_takes():
    assert paces.pace([step(0.1, 4), step(0.2, 4)], built_here=False) == Pace(3.1, 4)


def test_how_long_one_takes_by_itself_is_not_read_off_those_that_shared_the_machine():
    assert pace([step(10, 14), step(30, 14, wide=3), step(30, 14, wide=3)]) == Pace(13.0, 14)


@pytest.mark.parametrize(
    ("suspects", "most", "cpus", "known", "expected"),
    [
        (64, 2, 2, Pace(13, 26), 1),  # both CPUs are busy with one
        (64, 2, 2, Pace(13, 13), 2),  # 4 rounds for 6
        (64, 8, 32, Pace(13, 13), 7),  # 2 rounds, as 8 would take
        (64, 6, 32, Pace(13, 13), 3),  # 3 rounds, as up to 6 would take
        (2, 8, 32, Pace(13, 13), 1),  # one trial tells
        (1, 8, 32, Pace(13, 13), 1),
        (64, 1, 32, Pace(13, 13), 1),  # --workers 1
    ],
)
def test_as_many_at_once_as_make_the_search_shortest(suspects, most, cpus, known, expected):
    assert width(suspects, most, cpus, known) == expected


@given(st.integers(2, 300), st.integers(1, 9), st.integers(1, 64), st.floats(0.1, 99), st.floats(0.1, 99))
def test_it_is_never_longer_than_one_at_a_time(suspects, most, cpus, seconds, cpu):
    known = Pace(max(seconds, cpu / cpus), cpu)
    wide = width(suspects, most, cpus, known)
    assert rounds(suspects, wide) * known.round(wide, cpus) <= rounds(suspects, 1) * known.round(1, cpus)


@given(st.integers(2, 300), st.integers(1, 9))
def test_no_part_of_a_row_is_larger_than_what_rounds_count_on(count, wide):
    row = [str(number) for number in range(count)]
    chosen = spread(row, min(wide, count - 1))
    assert 1 <= len(chosen) <= wide
    assert row[-1] not in chosen, "the last one is known to be bad"
    ends = [-1, *map(int, chosen), count - 1]
    assert ends == sorted(set(ends))
    assert max(new - old for old, new in pairwise(ends)) <= -(-count // (min(wide, count - 1) + 1))
