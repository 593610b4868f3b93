"""From boots to verdicts: majorities, machines, ties, what was not observed; and how sure all of it is."""

import pytest

from ccsight.campaign import quorum
from ccsight.errors import InfraError, UsageError
from ccsight.evidence.bisection import Look, Role, Step, Verdict

A, B = "emulated:neoverse-n1", "emulated:cortex-a57"


def looks(machine: str, *truths: bool | None) -> tuple[Look, ...]:
    return tuple(
        Look(
            machine=machine,
            run="run",
            truth=truth,
            seen=(f"said {truth}",),
            why="" if truth is not None else "gone",
        )
        for truth in truths
    )


def step(*truths: bool | None) -> Step:
    return Step(
        name="n",
        role=Role.STEP,
        suspect="s",
        spec="s",
        title="",
        verdict=Verdict.GOOD,
        looks=looks(A, *truths),
    )


@pytest.mark.parametrize(
    ("truths", "verdict", "flaky"),
    [
        ([True], Verdict.GOOD, False),
        ([False], Verdict.BAD, False),
        ([True, True, False], Verdict.GOOD, True),
        ([False, True, False], Verdict.BAD, True),
        ([True, False], Verdict.INFRA, True),
        ([None], Verdict.INFRA, False),
        ([True, None, True], Verdict.INFRA, False),
        ([], Verdict.INFRA, False),
    ],
)
@pytest.mark.parametrize("good_is", [True, False])
def test_most_boots_decide_and_all_have_to_be_observed(truths, verdict, flaky, good_is):
    given = [truth if truth is None else truth is good_is for truth in truths]
    found = quorum.judged(looks(A, *given), good_is)
    assert (found.verdict, found.flaky) == (verdict, flaky)
    assert bool(found.why) == (verdict is Verdict.INFRA and bool(truths)) or not truths


def test_bad_on_one_machine_is_bad_and_good_is_good_on_all():
    assert quorum.judged(looks(A, True) + looks(B, True), good_is=True).verdict is Verdict.GOOD
    assert quorum.judged(looks(A, True) + looks(B, False), good_is=True).verdict is Verdict.BAD
    assert quorum.judged(looks(A, False) + looks(B, None), good_is=True).verdict is Verdict.INFRA


def test_the_ends_say_which_way_round_a_predicate_is():
    assert quorum.polarity("p", looks(A, True), looks(A, False)) is True
    assert quorum.polarity("p", looks(A, False), looks(A, True)) is False


@pytest.mark.parametrize(
    ("good", "bad", "kind", "said"),
    [
        (looks(A, True), looks(A, True), UsageError, "true of both ends on emulated:neoverse-n1"),
        (looks(A, False), looks(A, False), UsageError, "false for both ends"),
        (looks(A, None), looks(A, False), InfraError, "the good end was not observed"),
        (looks(A, True), looks(A, None), InfraError, "the bad end was not observed"),
        (looks(A, True), looks(A, True, False), InfraError, "the bad end is undecided"),
        (looks(A, True), (), InfraError, "the bad end is undecided"),
        (
            looks(A, True) + looks(B, True),
            looks(A, False) + looks(B, True),
            UsageError,
            "both ends on emulated:cor",
        ),
        (looks(A, True) + looks(B, False), looks(A, False) + looks(B, True), UsageError, "of the good end"),
    ],
)
def test_ends_that_are_not_told_apart(good, bad, kind, said):
    with pytest.raises(kind) as caught:
        quorum.polarity("p", good, bad)
    assert said in caught.value.fact


def test_one_boot_each_says_nothing_of_flakiness():
    assert quorum.confidence([step(True), step(False)]) is None


def test_more_boots_are_more_confidence_and_those_that_disagree_less():
    steady = quorum.confidence([step(True, True, True)] * 4)
    longer = quorum.confidence([step(True, True, True, True, True)] * 4)
    shaky = quorum.confidence([step(True, True, False)] * 4)
    assert 0 < shaky < steady < longer < 1
