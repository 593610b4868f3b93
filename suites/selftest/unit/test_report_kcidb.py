"""A run as KCIDB takes it: held to the schema of kcidb-io, whatever a machine says."""

import json
import sys
from dataclasses import replace

import pytest
from kcidb_io.schema import LATEST
from msgspec import structs
from report_samples import FOLDER, MACHINES, NEW, OLD, alone, good, hostile, sample, troubled, unlike

from ccsight.cli import run
from ccsight.errors import ProbeError, ToolMissing, UsageError
from ccsight.evidence.model import BuildFacts, PatchFacts
from ccsight.evidence.record import to_json
from ccsight.evidence.run import Run
from ccsight.report import kcidb
from ccsight.report.discretion import Discretion
from ccsight.status import Status

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def said(result, origin="ccsight", discretion=None):
    return json.loads(kcidb.document(result, origin, discretion or Discretion()))


def built(result, *patches):
    """Return a result whose new kernel was built from a commit, with patches."""
    series = tuple(
        PatchFacts(subject=patch, sha256=f"{number}a" * 32) for number, patch in enumerate(patches)
    )
    facts = BuildFacts(
        source="git:/home/ada/linux",
        provenance=(("repository", "/home/ada/linux"), ("ref", "main"), ("commit", COMMIT)),
        tree="ab" * 20,
        patches=series,
        fragments=("base", "debug"),
        config_sha256="cd" * 32,
        toolchain="gcc 14.2",
        code_sha256="ef" * 32,
    )
    old, new = result.plan.kernels
    kernels = (old, structs.replace(new, build=facts, image_sha256="12" * 32, packages=()))
    return planned(result, kernels=kernels)


def planned(result, **changes):
    """Return a result whose plan says otherwise."""
    return replace(result, plan=structs.replace(result.plan, **changes))


@pytest.mark.parametrize("of", [good, alone, troubled, unlike, hostile])
def test_it_keeps_to_the_schema(of):
    document = said(of())
    LATEST.validate(document)
    assert len(document["tests"]) == len(of().cases)


def test_every_case_is_a_test_with_its_own_status():
    result = troubled()
    found = {(test["path"], tuple(test["misc"]["cells"])): test["status"] for test in said(result)["tests"]}
    for case in result.cases:
        cells = tuple(result.cell(cell).title for cell in case.cells)
        assert found[f"ccsight.{case.check}", cells] == case.status
    assert {Status.PASS, Status.DONE, Status.FAIL, Status.MISS} <= {*found.values()}


def test_what_is_held_against_a_kernel_is_in_the_excerpt():
    failed = [test for test in said(troubled())["tests"] if test["status"] == "FAIL"]
    assert any("the guest 0xa200023 (vCPU 1)" in test["log_excerpt"] for test in failed)
    passed = [test for test in said(troubled())["tests"] if test["status"] == "PASS"]
    assert not any("log_excerpt" in test for test in passed)


def test_a_comparison_counts_for_the_new_kernel_and_a_law_for_its_own():
    document = said(built(good()))
    builds = {build["comment"].split()[0]: build["id"] for build in document["builds"]}
    of = {(test["path"], test["build_id"]) for test in document["tests"]}
    assert ("ccsight.CR-009", builds[NEW]) in of
    assert ("ccsight.CR-009", builds[OLD]) not in of
    assert {("ccsight.CR-001", builds[OLD]), ("ccsight.CR-001", builds[NEW])} <= of


def test_a_machine_is_of_what_was_observed():
    (test, *_) = [each for each in said(good())["tests"] if each["environment"]["comment"] == MACHINES[0]]
    assert test["environment"]["misc"]["substrate"] == "emulated"
    assert test["environment"]["compatible"] == ["linux,dummy-virt"]
    lost = [each for each in said(troubled())["tests"] if each["status"] == "MISS"]
    assert lost
    assert not any("misc" in each["environment"] for each in lost)


def test_a_commit_and_a_series_are_told_as_the_schema_has_them():
    (_, plain) = said(built(good()))["checkouts"]
    (_, patched) = said(built(good(), "one", "two"))["checkouts"]
    assert (plain["git_commit_hash"], plain["patchset_hash"]) == (COMMIT, "")
    # printf '%s\n' 0a0a… 1a1a… | sha256sum
    assert patched["patchset_hash"] == "d76c8c17d1acc27930f14c440f4bdbdf3ba1e353c253224784400b78b53a76b0"
    assert plain["id"] != patched["id"]
    assert said(built(good()))["builds"][1]["compiler"] == "gcc 14.2"
    assert "git_commit_hash" not in said(good())["checkouts"][0]


def test_what_is_sent_twice_has_the_same_ids_and_the_next_run_other_tests():
    first, again = said(good()), said(good())
    assert first == again
    other = said(planned(good(), id="2026-11-23-000000-0000"))
    assert [build["id"] for build in other["builds"]] == [build["id"] for build in first["builds"]]
    ids = [{test["id"] for test in document["tests"]} for document in (first, other)]
    assert len(ids[0]) == len(first["tests"])
    assert not ids[0] & ids[1]


def test_names_are_left_out_unless_they_are_asked_for():
    result = built(good())
    spec = "git:/home/ada/linux,ref=main"
    told = planned(
        result, kernels=(result.plan.kernels[0], structs.replace(result.plan.kernels[1], label=spec))
    )
    assert "/home/ada" in json.dumps(said(told))
    assert "ada" not in json.dumps(said(told, discretion=Discretion.of(told.plan)))


def test_an_origin_is_the_name_of_a_system():
    assert said(good(), "my_lab2")["tests"][0]["id"].startswith("my_lab2:")
    for origin in ("", "My Lab", "lab:1", "é"):
        with pytest.raises(UsageError, match="not the name of a CI system"):
            said(good(), origin)


def test_without_the_schema_nothing_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "kcidb_io.schema", None)
    with pytest.raises(ToolMissing, match="kcidb-io is not here") as caught:
        said(good())
    assert "pip install kcidb-io" in caught.value.next_step


def test_what_the_schema_refuses_is_not_sent(monkeypatch):
    monkeypatch.setattr(kcidb, "_MAJOR", 99)
    with pytest.raises(ProbeError, match="not as KCIDB has it") as caught:
        said(good())
    assert "version.major" in caught.value.evidence


def test_the_verb_prints_one_document(tmp_path, capsys):
    made = Run.create(tmp_path, good().plan)
    for machine in MACHINES:
        for kernel in (OLD, NEW):
            made.write(made.plan.cell(machine, kernel), "capture.json", to_json(sample(machine, kernel)))
    assert run(["show", "--kcidb", "--origin", "lab", "--out", str(tmp_path), FOLDER.name]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {test["origin"] for test in document["tests"]} == {"lab"}
    assert run(["show", "--kcidb", "--ktap", "--out", str(tmp_path), FOLDER.name]) == 2
