"""Every error that a user may meet has a next step: by whoever raises it, or by its class."""

import ast
from functools import cache
from pathlib import Path

import pytest

import ccsight
from ccsight import errors, process

TREE = Path(ccsight.__file__).parent
#: Names a value beside those that there are: the nearest one is the next step.
NEAREST = {"nearest", "meant"}


@cache
def nodes():
    """Return all of the tree's code, each piece with the path of its module."""
    return [
        (path.relative_to(TREE), node)
        for path in sorted(TREE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef | ast.Raise | ast.Return)
    ]


@cache
def classes():
    """Return every class of the tree by name: its bases, and whether it has advice of its own."""
    found = {}
    for _, node in nodes():
        if isinstance(node, ast.ClassDef):
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
            own = [line.targets[0].id for line in node.body if isinstance(line, ast.Assign)]
            found[node.name] = (bases, "advice" in own and node.name != "CcsightError")
    return found


@cache
def errors_that(*, advise):
    """Return the errors that have advice of their own or of a base, or those that have none.

    A check's own are a case's reason.
    """

    def bases(name):
        yield name
        for base in classes().get(name, ((), False))[0]:
            yield from bases(base)

    every = {name: list(bases(name)) for name in classes()}
    return {
        name
        for name, ways in every.items()
        if "CcsightError" in ways
        and any(classes()[each][1] for each in ways if each in classes()) is advise
        and name not in ("NotObserved", "NotApplicable")
    }


def raised():
    """Yield each call that makes an error, with the place where it stands."""
    for path, node in nodes():
        made = node.exc if isinstance(node, ast.Raise) else getattr(node, "value", None)
        if isinstance(made, ast.Call):
            yield f"{path}:{node.lineno}", made


def helps(call):
    """Return whether an error says what to do, or which name is the nearest."""
    given = {word.arg: word.value for word in call.keywords}
    evidence = ast.walk(given.get("evidence", ast.Constant("")))
    names = {node.id for node in evidence if isinstance(node, ast.Name)}
    return "next_step" in given or None in given or bool(names & NEAREST)


def test_whoever_raises_an_error_says_what_to_do():
    silent = [
        place
        for place, call in raised()
        if isinstance(call.func, ast.Name) and call.func.id in errors_that(advise=False) and not helps(call)
    ]
    assert not silent


def test_there_are_errors_of_both_kinds():
    called = [call.func.id for _, call in raised() if isinstance(call.func, ast.Name)]
    assert sum(name in errors_that(advise=False) for name in called) > 100
    assert sum(name in errors_that(advise=True) for name in called) > 30


@pytest.mark.parametrize("kind", [errors.HostLost, errors.ProbeError, process.OutputTooLong])
def test_an_error_has_the_advice_of_its_class_unless_it_knows_better(kind):
    assert kind("it broke").next_step == kind.advice
    assert kind("it broke", next_step="mend it").next_step == "mend it"
    assert f"next      {kind.advice}" in str(kind("it broke"))


def test_a_call_that_says_nothing_is_seen():
    call, better, near = (
        ast.parse(text).body[0].value
        for text in (
            "UsageError('no')",
            "UsageError('no', next_step='x')",
            "UsageError('no', evidence=nearest(a, b))",
        )
    )
    assert [helps(each) for each in (call, better, near)] == [False, True, True]
