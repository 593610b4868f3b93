"""The search alone, on graphs in memory: the answer is right, or a range that holds it."""

import pytest
from dag import Graph, ancestors, line
from hypothesis import given
from hypothesis import strategies as st

from ccsight.campaign.search import Among, Found, Nowhere, Try, halved, next_step, steps


@st.composite
def graphs(draw: st.DrawFn, most: int = 24) -> Graph:
    """Histories with one first commit and one last, whose commits have one or two parents."""
    graph: list[list[int]] = [[]]
    for number in range(1, draw(st.integers(2, most))):
        parents = draw(st.sets(st.integers(max(0, number - 6), number - 1), min_size=1, max_size=2))
        graph.append(sorted(parents, reverse=True))
    tips = set(range(len(graph))) - {parent for parents in graph for parent in parents}
    return [*graph, sorted(tips, reverse=True)]


def between(graph: Graph, good: list[int], bad: int) -> list[str]:
    """What git rev-list --bisect-all says: the best first, by how many commits each has below it."""
    left = ancestors(graph, bad) - {each for one in good for each in ancestors(graph, one)}
    weight = {each: len(ancestors(graph, each) & left) for each in left}
    return [str(each) for each in sorted(left, key=lambda each: -min(weight[each], len(left) - weight[each]))]


def bisected(graph: Graph, fault: int, skipped: set[int]) -> tuple[object, int]:
    good, bad, skips, tried = [0], len(graph) - 1, set[str](), 0
    while True:
        step = next_step(between(graph, good, bad), str(bad), skips)
        if not isinstance(step, Try):
            return step, tried
        number, tried = int(step.suspect), tried + 1
        if number in skipped:
            skips.add(step.suspect)
        elif fault in ancestors(graph, number):
            bad = number
        else:
            good.append(number)


@given(graphs(), st.data())
def test_the_first_bad_one_is_found_in_any_history(graph, data):
    fault = data.draw(st.integers(1, len(graph) - 1))
    assert bisected(graph, fault, set())[0] == Found(str(fault))


@given(graphs(), st.data())
def test_with_skips_it_is_found_or_in_a_range_of_skips(graph, data):
    fault = data.draw(st.integers(1, len(graph) - 1))
    skipped = data.draw(st.sets(st.integers(1, len(graph) - 2)) if len(graph) > 2 else st.just(set()))
    answer, _ = bisected(graph, fault, skipped)
    if isinstance(answer, Among):
        assert str(fault) in answer.suspects
        assert {int(each) for each in answer.suspects[:-1]} <= skipped
        assert int(answer.suspects[-1]) not in skipped
        assert len(answer.suspects) > 1
    else:
        assert answer == Found(str(fault))


@given(st.integers(2, 200), st.data())
def test_a_straight_line_takes_no_more_steps_than_was_said(length, data):
    fault = data.draw(st.integers(1, length - 1))
    answer, tried = bisected(line(length), fault, set())
    assert answer == Found(str(fault))
    assert tried <= steps(length - 1)


@pytest.mark.parametrize("fault", [3, 12, 15, 51, 61])
def test_a_long_stretch_that_cannot_be_tried_is_left_soon(fault):
    answer, tried = bisected(line(65), fault, set(range(16, 50)))
    assert answer == Found(str(fault))
    assert tried <= 18, "one after the other they would be 34"


def test_how_many_steps_are_left_is_said_with_each():
    assert next_step(["c", "b", "d", "a"], "d", ()) == Try("c", 1)
    assert next_step(["c", "d"], "d", ()) == Try("c", 0)


def test_a_range_ends_with_the_one_that_is_bad():
    assert next_step(["b", "a", "c"], "c", {"a", "b"}) == Among(("b", "a", "c"))
    assert next_step(["b", "a"], "c", {"a", "b"}) == Among(("b", "a"))


def test_where_none_of_the_suspects_is_bad_nothing_is_found():
    assert next_step([], "z", ()) == Nowhere()


@pytest.mark.parametrize(
    ("count", "first", "needed"), [(1, 0, 0), (2, 0, 1), (3, 0, 2), (4, 1, 2), (8, 3, 3), (64, 31, 6)]
)
def test_a_row_is_halved(count, first, needed):
    assert halved(count)[0] == first
    assert steps(count) == needed
    assert sorted(halved(count)) == list(range(count))
