"""``ccsight gate`` as a command: what it prints and writes, and its exit status."""

import json
from datetime import UTC, datetime

import junitparser
import msgspec
import pytest
from gate_samples import N1, OLD, gated, good, lawless, lean, made, of, text
from test_gate_policy import WAIVER

from ccsight.cli import run
from ccsight.evidence.decision import Decision
from ccsight.evidence.record import from_json
from ccsight.gate.policy_file import EXAMPLE
from ccsight.report.decision import markdown


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a policy, and two runs of today: one that meets it, one that does not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "rollout.toml").write_text(text())
    today = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    made(tmp_path / "results", good(), "2026-11-22-000000-good", created=today)
    made(tmp_path / "results", of(lean(N1, OLD), lawless()), "2026-11-22-000000-bad", created=today)
    return tmp_path


GOOD, BAD = "2026-11-22-000000-good", "2026-11-22-000000-bad"


def gate(*argv):
    return run(["gate", *argv, "--policy", "rollout.toml"])


def test_only_advance_is_0(place, capsys):
    assert gate(GOOD) == 0
    assert capsys.readouterr().out.splitlines()[0] == "ADVANCE"
    assert gate(BAD) == 1
    page = capsys.readouterr().out
    assert page.splitlines()[0] == "REVERT"
    assert "n1: CR-001 fails: CLIDR_EL1" in page
    assert "laws 0 of 1" in page


def test_a_bundle_is_a_run_like_any_other(place, capsys):
    assert run(["show", f"results/{BAD}", "--bundle", "bad.zip"]) in (0, 1, 3)
    assert gate("bad.zip") == 1
    assert "bad.zip" in capsys.readouterr().out
    bundle = (place / "bad.zip").read_bytes()
    (place / "bad.zip").write_bytes(bundle[:5000] + bytes([bundle[5000] ^ 1]) + bundle[5001:])
    assert gate("bad.zip") == 2


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["gate"], "no --policy"),
        (["gate", "--policy", "rollout.toml"], "no RUN"),
        (["gate", GOOD, "--policy", "none.toml"], "none.toml cannot be read"),
        (["gate", "no-such-run", "--policy", "rollout.toml"], "there is no run 'no-such-run'"),
    ],
)
def test_a_wrong_call_is_2(place, capsys, argv, words):
    assert run(argv) == 2
    assert words in capsys.readouterr().err


def test_a_wrong_policy_is_2(place, capsys):
    (place / "rollout.toml").write_text(text() + WAIVER.replace("CR-008", "CR-808"))
    assert gate(GOOD) == 2
    assert "there is no check 'CR-808'" in capsys.readouterr().err


def test_the_example_is_printed(capsys):
    assert run(["gate", "--example"]) == 0
    assert capsys.readouterr().out == EXAMPLE.read_text(encoding="utf-8")


def test_json_is_the_decision(place, capsys):
    assert gate(BAD, "--json") == 1
    decision = from_json(capsys.readouterr().out.encode(), Decision)
    assert (decision.verdict, decision.exit_code, decision.policy) == ("REVERT", 1, "rollout.toml")
    assert decision.reasons[0].evidence[0].run == BAD


def test_junit_and_markdown(place, capsys):
    assert gate(GOOD, BAD, "--junit", "gate.xml", "--markdown", "gate.md") == 1
    report = junitparser.JUnitXml.fromfile("gate.xml")
    assert (report.failures, report.errors) == (1, 0)
    assert report.tests > 1
    said = (place / "gate.md").read_text()
    assert said.startswith("## REVERT: deb:6.1 → deb:6.12")
    assert "| REVERT | n1: CR\\-001 fails" in said


def test_what_machines_say_is_no_markup():
    decision = gated(text())
    odd = msgspec.structs.replace(decision.reasons[0], said="<b>|x|</b>\n# [a](b)")
    page = markdown(msgspec.structs.replace(decision, reasons=(odd,))).decode()
    assert "<b>" not in page
    assert "\\|x\\|" in page
    assert "\n# " not in page


def test_baselines_are_written_for_review_and_then_met(place, capsys):
    (place / "rollout.toml").write_text(text(("[launch]", "[launch]\nbaseline = true")))
    assert gate(GOOD) == 1
    assert gate(GOOD, "--update-baseline") == 1
    path = place / "results" / "baselines" / "n1" / "deb_6.12.txt"
    lines = path.read_text().splitlines()
    values = [line for line in lines if not line.startswith("#")]
    assert values == sorted(values)
    assert "guest CLIDR_EL1.LoC = 2" in values
    assert any(GOOD in line for line in lines)
    assert gate(GOOD) == 0
    path.write_text(path.read_text().replace("guest CLIDR_EL1.LoC = 2", "guest CLIDR_EL1.LoC = 3"))
    assert gate(GOOD) == 1
    assert "CLIDR_EL1.LoC 3 → 2" in capsys.readouterr().out


def test_no_baseline_is_made_of_evidence_that_does_not_count(place, capsys):
    metal = ('substrate = "emulated"', 'substrate = "metal"')
    (place / "rollout.toml").write_text(text(("[launch]", "[launch]\nbaseline = true"), metal))
    assert gate(GOOD, "--update-baseline") == 1
    assert "not written" in capsys.readouterr().err
    assert not (place / "results" / "baselines").exists()


def test_verbose_names_every_place(place, capsys):
    again = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    made(place / "results", of(lean(N1, OLD), lawless()), "2026-11-22-000000-more", created=again)
    gate(BAD, "2026-11-22-000000-more")
    brief = capsys.readouterr().out
    gate(BAD, "2026-11-22-000000-more", "-v")
    assert capsys.readouterr().out.count("capture.json") == 2 * brief.count("capture.json")


def test_json_has_no_value_that_is_not_documented(place, capsys):
    assert gate(GOOD, "--json") == 0
    assert set(json.loads(capsys.readouterr().out)) == set(Decision.__struct_fields__)
