"""``ccsight show --where``: what cells answer, which machines are left, and the exit status."""

import json

import pytest
from report_samples import result_of, sample, troubled

from ccsight.checks.predicates import parse
from ccsight.cli import run
from ccsight.evidence.record import to_json
from ccsight.evidence.run import Run
from ccsight.report.where import answered, exit_code, left
from ccsight.status import ExitCode

N1 = "emulated:neoverse-n1"
MACHINES = ("emulated:cortex-a57", N1)


@pytest.fixture(scope="module")
def result():
    return result_of([sample(machine, kernel) for machine in MACHINES for kernel in ("deb:6.1", "deb:6.12")])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, result):
    """A run's folder: two machines, two kernels, and consoles of one kernel."""
    made = Run.create(tmp_path_factory.mktemp("results"), result.plan)
    for cell in result.plan.cells:
        made.write(cell, "capture.json", to_json(result.captures[cell.id]))
        if cell.kernel == "deb:6.12":
            made.console(cell).write_bytes(b"[ 0.0] Booting\r\n[ 1.0] UBSAN: \xff odd\r\n")
    return made.folder


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def said(capsys, folder, text, *more):
    code = run(["show", str(folder), "--where", text, *more])
    out = capsys.readouterr()
    return code, out.out, out.err


def said_of(page):
    """Return the words of the cells, in order."""
    return [line.split("  emulated:")[0].strip() for line in page.splitlines() if "  emulated:" in line]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CTR_EL0.DminLine == 4", 0),
        ("guest.CLIDR_EL1.LoC == 2", 1),
        ("hardware.CLIDR_EL1.LoC == 2", 3),
        ("guest.CLIDR_EL1.LoC == 2 or hardware.CLIDR_EL1.LoC == 2", 3),
        ("migrate(deb:6.1 -> this) is transparent", 1),
        ("migrate(deb:6.1 -> this,vmm=a VMM that ignores errors) at worst lossy", 0),
    ],
)
def test_the_exit_status_is_that_of_the_answers(result, text, code):
    assert exit_code(answered(result, parse(text), {})) == code


@pytest.mark.parametrize("text", ["guest.CLIDR_EL1.LoC = 2", "same as nowhere.json"])
def test_what_cannot_be_asked_is_a_wrong_call(capsys, folder, text):
    assert said(capsys, folder, text)[0] == ExitCode.USAGE


def test_machines_are_left_of_which_it_is_true(capsys, folder):
    code, page, _ = said(capsys, folder, "guest.CLIDR_EL1 == 0x02000021")
    assert code == 1
    answers, rest = page.split("\n\n", 1)
    assert said_of(answers) == ["no", "no", "no", "yes"]
    assert "guest.CLIDR_EL1 is 0xa200023 (vCPU 0, phase launch, and in 80 more)" in answers
    assert N1 in rest
    assert not any(machine in rest for machine in MACHINES if machine != N1)


def test_nothing_is_left_where_it_is_true_of_none(capsys, folder):
    _, page, _ = said(capsys, folder, "guest.CLIDR_EL1.LoC == 7")
    assert said_of(page) == ["no"] * 4
    assert "laws" not in page


def test_evidence_is_cut_unless_all_is_asked_for(capsys, folder):
    text = f"same as {next((folder / 'captures').glob('*a57*6.1/1'))}"
    _, page, _ = said(capsys, folder, text)
    assert "more: -v" in page
    _, whole, _ = said(capsys, folder, text, "-v")
    assert "more: -v" not in whole.split("\n\n")[0]
    assert len(whole.split("\n\n")[0]) > len(page.split("\n\n")[0])


def test_the_consoles_of_the_run_are_read(capsys, folder):
    code, page, _ = said(capsys, folder, "console has UBSAN")
    assert code == ExitCode.NOT_OBSERVED
    assert said_of(page.split("\n\n")[0]) == ["not observed", "yes"] * 2
    assert said(capsys, folder, "console has Oops")[0] == 1


def test_json_has_the_answers_and_the_run_that_is_left(capsys, folder):
    code, text, _ = said(capsys, folder, "guest.CLIDR_EL1 == 33554465", "--json")
    document = json.loads(text)
    assert (document["where"], document["exit_code"], code) == ("guest.CLIDR_EL1 == 0x2000021", 1, 1)
    assert [cell["truth"] for cell in document["cells"]] == [False, False, False, True]
    assert document["cells"][3]["kernel"] == "deb:6.12"
    assert document["cells"][3]["seen"] == [
        "guest.CLIDR_EL1 is 0x2000021 (vCPU 0, phase launch, and in 80 more)"
    ]
    assert [machine["machine"] for machine in document["run"]["machines"]] == [N1]
    assert {case["cells"][0].partition("--")[0] for case in document["run"]["machines"][0]["laws"]} == {
        "emulated_neoverse-n1"
    }


def test_a_wrong_predicate_has_a_caret_under_it(capsys, folder):
    code, out, err = said(capsys, folder, "guest.CLIDR_EL1.LoQ == 2")
    assert (code, out) == (2, "")
    shown, caret = (line for line in err.splitlines() if "LoQ ==" in line or line.strip() == "^")
    assert shown.index("LoQ") == caret.index("^")
    assert "did you mean 'LoC'?" in err


def test_a_cell_that_was_lost_is_not_observed():
    result = troubled()
    answers = {each.cell: each.answer for each in answered(result, parse("CTR_EL0.DminLine == 4"), {})}
    lost = [(cell.machine, answer.seen) for cell, answer in answers.items() if answer.truth is None]
    assert lost == [("emulated:max", ("the emulated host never became ready",))]
    assert exit_code(answered(result, parse("CTR_EL0.DminLine == 4"), {})) is ExitCode.NOT_OBSERVED


def test_the_kernel_that_vms_come_from_is_not_asked():
    result = result_of([sample(N1, "deb:6.1"), sample(N1, "deb:6.12")])
    for name in ("deb:6.1", result.plan.kernels[0].pin):
        (only,) = answered(result, parse(f"migrate({name} -> this) is visible"), {})
        assert (only.cell.kernel, only.answer.truth) == ("deb:6.12", True)
    alone = answered(
        result_of([sample(N1, "deb:6.1")], kernels=("deb:6.1",)),
        parse("migrate(deb:6.1 -> this) is visible"),
        {},
    )
    assert [each.answer.truth for each in alone] == [None]


def test_what_is_left_is_judged_as_before(result):
    answers = answered(result, parse("CLIDR_EL1 == 0x02000021"), {})
    rest = left(result, answers)
    assert rest.plan.machines == (N1,)
    assert set(rest.cases) == {case for case in result.cases if result.cell(case.cells[0]).machine == N1}
    assert {capture.cell.machine for capture in rest.captures.values()} == {N1}


def test_the_language_is_explained(capsys):
    assert run(["explain", "predicate"]) == 0
    page = capsys.readouterr().out
    assert "guest.CLIDR_EL1.LoC == 2" in page
    assert run(["explain", "predicate", "--json"]) == 0
    assert ["check CR-004", "the law passes"] in json.loads(capsys.readouterr().out)["explanations"][0][
        "facts"
    ]
