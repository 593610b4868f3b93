"""Evidence that was altered, cut off or lost: no such thing ever makes a gate say ADVANCE of a bad run."""

import json

import pytest
from gate_samples import N1, OLD, copied, gated, good, lawless, lean, made, of, text
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsight.errors import UsageError
from ccsight.evidence.decision import Kind, Verdict

#: A fault in a law, and one that only a running guest notices.
POLICIES = (
    text(),
    text(('accept = "refused"', 'accept = "transparent"'), laws=["CR-002"]),
)


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """A run that fails a law, and whose running guests notice the upgrade."""
    return made(tmp_path_factory.mktemp("results"), of(lean(N1, OLD), lawless()))


@pytest.fixture(scope="module")
def fine(tmp_path_factory):
    """A run that meets the policy."""
    return made(tmp_path_factory.mktemp("results"), good())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where a run is altered."""
    return tmp_path_factory.mktemp("altered") / "run"


def files(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def verdict(policy, *folders):
    """Return what a gate says, None where it refuses to say anything."""
    try:
        return gated(policy, *folders).verdict
    except UsageError:
        return None


def flipped(content, at, by):
    at %= max(len(content), 1)
    return content[:at] + bytes([content[at] ^ by]) + content[at + 1 :] if content else content


def replaced(content, at, by):
    """Return the content with one digit as another one: what an alteration would be that parses."""
    digits = [place for place, byte in enumerate(content) if byte in b"0123456789abcdef"]
    if not digits:
        return content
    place = digits[at % len(digits)]
    return content[:place] + b"0123456789abcdef"[by % 16 : by % 16 + 1] + content[place + 1 :]


CORRUPTIONS = {
    "flip": flipped,
    "digit": replaced,
    "cut": lambda content, at, by: content[: at % max(len(content), 1)],
    "repeat": lambda content, at, by: content[: at % len(content)] + content[at % len(content) - by :],
    "drop": lambda content, at, by: content[: at % len(content)] + content[at % len(content) + by :],
    "double": lambda content, at, by: content * 2,
    "lines": lambda content, at, by: b"\n".join(
        line for number, line in enumerate(content.split(b"\n")) if (number + at) % (by % 7 + 2)
    ),
}


@settings(max_examples=120)
@given(st.data())
def test_no_corruption_of_a_bad_run_is_an_advance(failing, fine, place, data):
    policy = data.draw(st.sampled_from(POLICIES))
    run = copied(failing, place)
    name = data.draw(st.sampled_from(files(run)))
    content = (run / name).read_bytes()
    for _ in range(data.draw(st.integers(1, 3))):
        how = data.draw(st.sampled_from(sorted(CORRUPTIONS)))
        if content:
            content = CORRUPTIONS[how](
                content, data.draw(st.integers(0, 1 << 20)), data.draw(st.integers(1, 255))
            )
    (run / name).write_bytes(content)
    beside = [fine] if data.draw(st.booleans()) else []
    assert verdict(policy, run, *beside) is not Verdict.ADVANCE


@pytest.mark.parametrize("policy", POLICIES, ids=["law", "upgrade"])
def test_a_bad_run_that_lost_any_of_its_files_does_not_advance(failing, place, policy):
    assert verdict(policy, failing) is Verdict.REVERT
    for name in files(failing):
        run = copied(failing, place)
        (run / name).unlink()
        assert verdict(policy, run) is not Verdict.ADVANCE


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["PASS", "SKIP", "MISS", "DONE"]))))
def test_no_rows_of_a_log_make_a_bad_run_good(failing, place, changes):
    run = copied(failing, place)
    rows = [json.loads(line) for line in (run / "cases.jsonl").read_bytes().splitlines() if line]
    for number, status in changes or [(number, "PASS") for number in range(len(rows))]:
        rows[number % len(rows)] |= {"status": status, "findings": []}
    (run / "cases.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert verdict(POLICIES[0], run) is Verdict.REVERT


def test_a_value_that_was_put_right_is_denied_by_the_log(failing, place):
    run = copied(failing, place)
    capture = next(run.glob("captures/*6.12/1/capture.json"))
    wrong, right = b'"0x2000023"', b'"0x2000021"'
    assert capture.read_bytes().count(wrong) == 1
    capture.write_bytes(capture.read_bytes().replace(wrong, right))
    decision = gated(POLICIES[0], run)
    assert (decision.verdict, decision.reasons[0].kind) == (Verdict.HOLD, Kind.LOG)
    (run / "cases.jsonl").unlink()
    assert gated(POLICIES[0], run).verdict is Verdict.HOLD


def test_a_run_that_was_killed_anywhere_does_not_advance(fine, place):
    """What is written comes in this order: the plan, the captures, the log a row at a time."""
    policy = POLICIES[0]
    assert gated(policy, fine).verdict is Verdict.ADVANCE
    captures = sorted(path.relative_to(fine) for path in fine.rglob("capture.json"))
    rows = (fine / "cases.jsonl").read_bytes().splitlines(keepends=True)
    for kept in range(len(captures)):
        run = copied(fine, place)
        (run / "cases.jsonl").unlink()
        for name in captures[kept:]:
            (run / name).unlink()
        assert gated(policy, run).verdict is Verdict.HOLD
    judged = {b'"CR-001"', b'"CR-002"', b'"CR-007"', b'"CR-008"', b'"CR-009"'}
    for kept in range(len(rows)):
        lacks = any(check in row and b"6.12" in row for row in rows[kept:] for check in judged)
        run = copied(fine, place)
        (run / "cases.jsonl").write_bytes(b"".join(rows[:kept]))
        assert gated(policy, run).verdict is (Verdict.HOLD if lacks else Verdict.ADVANCE)
