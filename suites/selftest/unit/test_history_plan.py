"""Planned histories are what the tests of bisections take them for."""

from collections.abc import Sequence

import pytest
from bisect_lab import Lab, begun, order, searched
from dag import made
from history_faults import FAULTS, NEW, OLD, TROUBLES, UAO, Edit
from history_plan import COUNT, Change, Plan, far, near

from ccsight.campaign.search import Among, Found

SEEDS = range(24)


def planned(seed: int) -> Plan:
    return near(seed, FAULTS[seed % len(FAULTS)])


def row(*changes: str) -> Plan:
    """A line of commits: ``x`` cannot be asked, ``F`` is the fault, ``X`` both."""
    made_up = [
        Change(word, asked=word.lower() != "x", faulty=word in "FX", back=(1,))
        for word in ("import", *changes)
    ]
    return Plan(FAULTS[0], tuple(made_up))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_near_history_has_all_that_is_hard(seed):
    plan = planned(seed)
    assert len(plan.changes) == COUNT + 1
    assert sum(change.faulty for change in plan.changes) == 1
    assert sum(len(each) == 2 for each in plan.parents) == 2
    assert plan.culprit in plan.answer
    assert plan.changes[0].asked
    assert plan.changes[-1].asked
    for trouble in TROUBLES:
        edits = [edit for change in plan.changes for edit in change.edits]
        assert edits.count(trouble.edit) == edits.count(trouble.edit.undone) == 1
    subjects = [change.subject for change in plan.changes]
    assert len(set(subjects)) == len(subjects)
    assert planned(seed) == plan, "a seed stands for one history"


def test_seeds_put_the_fault_everywhere_and_hide_it_sometimes():
    plans = [planned(seed) for seed in range(10)]
    assert {plan.fault.name for plan in plans} == {fault.name for fault in FAULTS}
    hidden = [plan for plan in plans if len(plan.answer) > 1]
    assert 1 < len(hidden) < 5
    beside = [plan for plan in plans if not plan.changes[plan.culprit - 1].asked or _met_after(plan)]
    assert len(beside) > len(hidden)


def _met_after(plan: Plan) -> bool:
    return plan.culprit < COUNT and not plan.changes[plan.culprit + 1].asked


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ("..F..", {3}),
        (".xF..", {2, 3}),
        ("..Fx.", {3}),
        (".xXx.", {2, 3, 4, 5}),
        (".x.F.", {4}),
        ("X.", {1, 2}),
    ],
)
def test_the_answer_is_what_nothing_rules_out(changes, answer):
    assert row(*changes).answer == answer


def test_a_side_branch_is_ruled_out_by_its_own_commits():
    line = row(*"..F..").changes
    forked = [*line[:3], line[3], Change("beside", back=(2,)), Change("merge", back=(1, 2))]
    assert Plan(FAULTS[0], tuple(forked)).answer == {3}


@pytest.mark.parametrize("seed", range(8))
def test_a_search_comes_to_the_answer(seed, tmp_path, monkeypatch):
    """With a made-up lab instead of machines: what the histories ask for can be had."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    plan = planned(seed)
    history = made(tmp_path / "linux.git", plan.parents)
    faulty = _with(plan, plan.culprit)
    lab = Lab(
        bad=lambda suspect: " without " not in suspect and history.number(suspect) in faulty,
        skips={history.commits[at] for at, change in enumerate(plan.changes) if not change.asked},
    )
    wanted = order(history.spec(0), history.spec(COUNT))
    ended = searched(begun(tmp_path, wanted), lab)
    if len(plan.answer) == 1:
        assert ended.answer == Found(history.commits[plan.culprit])
    else:
        assert isinstance(ended.answer, Among)
        assert set(map(history.number, ended.answer.suspects)) == plan.answer


def _with(plan: Plan, commit: int) -> Sequence[int]:
    return [at for at in range(len(plan.changes)) if plan.changes[commit].edits[0] in plan.edits(at)]


def test_a_far_history_keeps_its_fault_when_all_becomes_another_series():
    for seed in SEEDS:
        plan = far(seed)
        last = plan.edits(len(plan.changes) - 1)
        assert UAO.edits[NEW] in last
        assert UAO.edits[OLD] not in last
        assert plan.answer == {plan.culprit}
    assert {far(seed).changes[far(seed).culprit].series for seed in SEEDS} == {OLD, NEW}


def test_an_edit_fits_once_or_not_at_all():
    edit = Edit("a.c", "one", "two")
    assert edit.applied("one three") == "two three"
    assert edit.undone.applied("two three") == "one three"
    assert Edit("a.c", "", "first ").applied("one") == "first one"
    for text in ("three", "one one"):
        with pytest.raises(ValueError, match=r"a\.c has"):
            edit.applied(text)
