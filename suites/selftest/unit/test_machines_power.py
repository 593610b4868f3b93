"""The power command of a machine: what counts as done, and what is said where it is not."""

import pytest

from ccsight.deadline import Deadline
from ccsight.errors import InfraError, ToolMissing
from ccsight.machines import power


def shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def test_a_command_that_ends_well_is_enough(tmp_path):
    power.cycle(("touch", str(tmp_path / "done")), Deadline(10))
    assert (tmp_path / "done").exists()


def test_its_words_are_words(tmp_path):
    power.cycle(("touch", str(tmp_path / "a b; $HOME")), Deadline(10))
    assert (tmp_path / "a b; $HOME").exists()


@pytest.mark.parametrize(
    ("script", "fact", "evidence"),
    [
        ("echo no such outlet >&2; exit 3", "ended with status 3", "sh: no such outlet"),
        ("echo to stdout; exit 1", "ended with status 1", "sh: to stdout"),
        ("exit 1", "ended with status 1", "sh: it said nothing"),
        (r"printf 'a\033[2Jb\r\nc' >&2; exit 1", "ended with status 1", "sh: a.[2Jb. / c"),
        ("head -c 70000 /dev/zero; sleep 100", "said more than", "sh"),
        ("kill -9 $$", "ended with status -9", "it said nothing"),
    ],
)
def test_what_does_not_end_well_says_why(script, fact, evidence):
    with pytest.raises(power.PowerFailed, match=fact) as error:
        power.cycle(shell(script), Deadline(30))
    assert error.value.evidence.endswith(evidence)
    assert error.value.next_step
    assert isinstance(error.value, InfraError)
    assert error.value.ends_machine


def test_it_has_a_clock():
    with pytest.raises(power.PowerFailed, match="did not end within 0 s"):
        power.cycle(("sleep", "100"), Deadline(0.2))


def test_what_it_says_is_bounded_and_its_password_is_told_to_nobody():
    argv = ("sh", "-c", "head -c 5000 /dev/zero | tr '\\0' x; exit 1", "sh", "-P", "hunter2")
    with pytest.raises(power.PowerFailed) as error:
        power.cycle(argv, Deadline(10))
    assert len(error.value.evidence) < 400
    assert "hunter2" not in str(error.value)


def test_a_program_that_is_not_there_is_missed():
    with pytest.raises(ToolMissing, match="no-such-switch"):
        power.cycle(("no-such-switch",), Deadline(10))
