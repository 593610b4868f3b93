"""What a gate is given: policies that come with runs, and all that ``results/*`` names."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from gate_samples import N1, OLD, good, lawless, lean, made, of, text

from ccsight.cli import run
from ccsight.evidence.bundle import shown
from ccsight.gate.carried import carried
from ccsight.gate.load import load
from ccsight.paths import data_dir

GOOD, BAD = "2026-11-22-000000-good", "2026-11-22-000000-fail"
#: A policy that lets a failing law pass.
LAX = text(laws=["CR-002"])


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with two runs of today, and bundles of them; that of the bad one carries a policy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "rollout.toml").write_text(text())
    (tmp_path / "lax.toml").write_text(LAX)
    today = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    made(tmp_path / "results", good(), GOOD, created=today)
    made(tmp_path / "results", of(lean(N1, OLD), lawless()), BAD, created=today)
    return tmp_path


def bundled(name, file, policy):
    assert run(["show", f"results/{name}", "--bundle", file, "--policy", policy]) in (0, 1, 3)


def gate(capsys, *argv):
    """Return the exit status, and what was said."""
    capsys.readouterr()
    code = run(["gate", *argv])
    found = capsys.readouterr()
    return code, found.out + found.err


def test_the_policy_of_a_bundle_counts_where_none_is_given(place, capsys):
    bundled(BAD, "bad.zip", "rollout.toml")
    code, said = gate(capsys, "bad.zip")
    assert code == 1
    assert said.startswith("REVERT")
    assert f"the policy is the one that came with the run: {place / 'bad.zip/policy.toml'}" in said


def test_the_policy_that_is_given_wins_and_the_other_one_is_named(place, capsys):
    bundled(BAD, "bad.zip", "lax.toml")
    assert gate(capsys, "bad.zip")[0] == 0
    code, said = gate(capsys, "bad.zip", "--policy", "rollout.toml")
    assert code == 1
    other = place / "bad.zip/policy.toml"
    assert f"the policy is rollout.toml; {other} is another one, and does not count" in said


def test_the_same_policy_is_no_news(place, capsys):
    bundled(GOOD, "good.zip", "rollout.toml")
    code, said = gate(capsys, "good.zip", "--policy", "rollout.toml")
    assert code == 0
    assert "policy.toml" not in said


def test_bundles_that_carry_different_policies_leave_it_to_the_user(place, capsys):
    bundled(GOOD, "good.zip", "rollout.toml")
    bundled(BAD, "bad.zip", "lax.toml")
    code, said = gate(capsys, "good.zip", "bad.zip")
    assert code == 2
    assert "the runs carry different policies" in said
    assert gate(capsys, "good.zip", "bad.zip", "--policy", "good.zip/policy.toml")[0] == 1


def test_a_run_without_a_policy_has_none(place, capsys):
    assert carried([GOOD], Path("results")) is None
    code, said = gate(capsys, GOOD)
    assert (code, "no --policy" in said) == (2, True)


def test_what_lies_beside_runs_is_passed_over_and_said(place, capsys):
    shutil.copytree(data_dir("suites").parent / "results" / "schema", "results/schema")
    (place / "results" / "baselines" / "n1").mkdir(parents=True)
    (place / "results" / "README.md").write_text("# Runs\n")
    steps = place / "results" / "2026-11-22-000000-step"
    steps.mkdir()
    (steps / "bisect.json").write_text("{}")
    (place / "results" / "latest").symlink_to(GOOD)
    shutil.rmtree(f"results/{BAD}")
    every = sorted(map(str, (place / "results").glob("*")))
    code, said = gate(capsys, *every, "--policy", "rollout.toml")
    assert code == 0
    assert said.count("is passed over") == 4
    assert "is passed over: a bisection" in said


@pytest.mark.parametrize("name", ["results/other", "results/2026-11-22-000000-gone"])
def test_nothing_else_is(place, capsys, name):
    Path(name).mkdir(parents=True)
    code, said = gate(capsys, GOOD, name, "--policy", "rollout.toml")
    assert code == 1
    assert "cannot be read" in said


def test_a_run_of_such_a_name_is_a_run(place):
    Path(f"results/{GOOD}").rename("results/schema")
    (found,) = load(["results/schema"], Path("results"))
    assert found.run
    assert str(shown(found.folder)) == "results/schema"
