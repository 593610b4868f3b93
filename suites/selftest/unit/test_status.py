"""Outcome words and exit codes: green needs proof."""

import pickle

import pytest

from ccsight.errors import CcsightError, NoKvm, UsageError, reason
from ccsight.status import ExitCode, Status, exit_code, summarise


def test_the_worst_wins():
    assert summarise([Status.PASS, Status.MISS, Status.DONE]) is Status.MISS
    assert summarise([Status.ERROR, Status.FAIL]) is Status.FAIL


def test_nothing_is_miss():
    assert summarise([]) is Status.MISS


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([], ExitCode.INCONCLUSIVE),
        ([Status.SKIP, Status.SKIP], ExitCode.INCONCLUSIVE),
        ([Status.PASS, Status.SKIP], ExitCode.OK),
        ([Status.DONE], ExitCode.OK),
        ([Status.PASS, Status.MISS], ExitCode.NOT_OBSERVED),
        ([Status.PASS, Status.ERROR], ExitCode.NOT_OBSERVED),
        ([Status.MISS, Status.FAIL], ExitCode.FAIL),
    ],
)
def test_exit_codes(statuses, code):
    assert exit_code(statuses) is code


def test_what_has_several_lines_is_indented():
    error = UsageError("no", evidence="guest ==\n        ^", next_step="one\ntwo")
    assert str(error).splitlines() == [
        "no",
        "  evidence  guest ==",
        "                    ^",
        "  next      one",
        "            two",
    ]


def test_the_system_is_quoted_without_pythons_marks(tmp_path):
    with pytest.raises(FileNotFoundError) as gone:
        (tmp_path / "gone").read_bytes()
    assert reason(gone.value) == f"{tmp_path / 'gone'}: No such file or directory"
    with pytest.raises(UnicodeDecodeError) as odd:
        b"a\xff".decode()
    assert reason(odd.value) == "not a text in UTF-8: byte 1 is 0xff"
    assert reason(ValueError("it ends early")) == "it ends early"


def test_an_error_is_fact_evidence_and_next_step():
    error = NoKvm("no KVM", evidence="open: ENOENT", next_step="boot without kvm-arm.mode=none")
    assert str(error).splitlines() == [
        "no KVM",
        "  evidence  open: ENOENT",
        "  next      boot without kvm-arm.mode=none",
    ]


@pytest.mark.parametrize("kind", [CcsightError, UsageError, NoKvm])
def test_errors_survive_the_way_between_processes(kind):
    back = pickle.loads(pickle.dumps(kind("fact", evidence="evidence", next_step="step")))
    assert type(back) is kind
    assert (back.fact, back.evidence, back.next_step) == ("fact", "evidence", "step")
