"""Evidence on disk: strict, whole, and honest about what is missing. The schemas are current."""

import inspect
import json
import shutil
from pathlib import Path

import msgspec
import pytest
from recorded import capture

from ccsight.campaign.planning import plan_comparison
from ccsight.checks import COMPARISONS, LAWS
from ccsight.errors import EvidenceError, NoSpace, UsageError
from ccsight.evidence.bisection import Order, Step
from ccsight.evidence.boots import Boots
from ccsight.evidence.cases import Case
from ccsight.evidence.decision import Decision
from ccsight.evidence.failure import Failure
from ccsight.evidence.manifest import Manifest
from ccsight.evidence.model import Capture
from ccsight.evidence.plan import Plan, PlannedKernel
from ccsight.evidence.record import Hex, from_json, to_json
from ccsight.evidence.run import Run, find_run
from ccsight.evidence.views import Reading, View, slug
from ccsight.report.model import Result
from ccsight.status import Status

SCHEMAS = Path(__file__).parents[3] / "results" / "schema"


def planned_kernel(spec: str) -> PlannedKernel:
    return PlannedKernel(spec=spec, pin=spec, label=spec, release="6.1.0", image_sha256="0" * 64)


@pytest.fixture
def run(tmp_path) -> Run:
    kernels = [planned_kernel("deb:6.1"), planned_kernel("deb:6.12")]
    plan = plan_comparison(kernels, ["emulated:cortex-a57"], ("ccsight", "compare"))
    return Run.create(tmp_path, plan)


def test_the_plan_holds_every_law_of_every_cell_and_every_comparison(run):
    keys = [case.key for case in run.plan.cases]
    assert len(run.plan.cells) == 2
    assert len([key for key in keys if "→" not in key]) == 2 * (len(LAWS) + 1)  # CR-006
    assert [key[:6] for key in keys if "→" in key] == sorted(COMPARISONS)
    assert len(set(keys)) == len(keys)


def test_a_run_without_captures_is_all_miss_whatever_its_log_says(run):
    for planned in run.plan.cases:
        run.append(Case(check=planned.check, cells=planned.cells, status=Status.PASS))
    assert {case.status for case in Result.of(Run.open(run.folder)).cases} == {Status.MISS}


def test_the_log_stays_readable_after_half_a_line(run):
    first = run.plan.cases[0]
    with (run.folder / "cases.jsonl").open("ab") as file:
        file.write(b'{"check":"CR-0')
    run.append(Case(check=first.check, cells=first.cells, status=Status.PASS))
    last = (run.folder / "cases.jsonl").read_bytes().splitlines()[-1]
    assert json.loads(last)["status"] == "PASS"


def test_evidence_of_another_cell_or_schema_is_refused(run):
    seen = capture("cortex-a57", "6.1")
    run.write(run.plan.cells[1], "capture.json", to_json(seen))
    with pytest.raises(EvidenceError, match="another cell"):
        run.capture(run.plan.cells[1])
    assert Status.ERROR in {case.status for case in Result.of(run).cases}
    run.write(run.plan.cells[0], "capture.json", to_json(msgspec.structs.replace(seen, schema=99)))
    with pytest.raises(EvidenceError, match="schema 99"):
        run.capture(run.plan.cells[0])


def test_a_failure_is_written_down_and_read_back(run):
    cell = run.plan.cells[0]
    failure = Failure(status=Status.MISS, fact="no KVM", evidence="ENOENT", next_step="")
    run.write(cell, "failure.json", to_json(failure))
    assert run.failure(cell) == failure
    assert run.capture(cell) is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema": 1}', b"\xff\xfe", b"[]", b'{"unknown": 1}'])
def test_a_malformed_capture_is_an_error(run, content):
    cell = run.plan.cells[0]
    run.write(cell, "capture.json", content)
    with pytest.raises(EvidenceError, match="capture"):
        run.capture(cell)


def test_the_newest_run_is_found_and_unknown_ones_are_named(tmp_path, run):
    shutil.copytree(SCHEMAS, tmp_path / "schema")
    assert find_run(tmp_path).plan.id == run.plan.id
    assert find_run(tmp_path, run.plan.id).folder == run.folder
    assert find_run(tmp_path / "elsewhere", str(run.folder)).folder == run.folder
    with pytest.raises(UsageError) as caught:
        find_run(tmp_path, "no-such-run")
    assert run.plan.id in caught.value.evidence
    with pytest.raises(UsageError, match="no runs"):
        find_run(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="there is no run 'no-such-run'"):
        find_run(tmp_path / "elsewhere", "no-such-run")


def test_results_that_cannot_be_written(tmp_path, run):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write"):
        Run.create(tmp_path / "file", run.plan)


def test_a_full_disk_while_appending(run):
    (run.folder / "cases.jsonl").symlink_to("/dev/full")
    with pytest.raises(NoSpace):
        run.append(Case(check="CR-001", cells=("a",), status=Status.PASS))


def test_hex_values_are_strings_and_come_back():
    reading = {"CTR_EL0": Reading(value=Hex(0x8444C004)), "CCSIDR_EL1[3]": Reading(problem="ENOENT")}
    view = View(vantage="guest", vcpu=0, program="view", phase="launch", readings=reading)
    assert json.loads(to_json(view))["readings"]["CTR_EL0"]["value"] == "0x8444c004"
    assert from_json(to_json(view), View).readings == reading


@pytest.mark.parametrize("value", ["8444c004", "0xzz", 5, None])
def test_a_value_that_is_not_hex_is_refused(value):
    text = json.dumps({"value": value}).encode()
    if value is None:
        assert from_json(text, Reading).value is None
        return
    with pytest.raises((msgspec.ValidationError, ValueError)):
        from_json(text, Reading)


def test_slugs_are_file_names():
    assert slug("deb:6.12") == "deb_6.12"
    assert slug("deb:6.12,append=a/b c").startswith("deb_6.12_append_a_b_c-")
    assert "/" not in slug("../../etc/passwd")
    assert len(slug("image:" + "x" * 500)) < 60


@pytest.mark.parametrize(
    ("one", "other"), [("image:a/I", "image:a_I"), ("deb:6=1~2", "deb:6=1+2"), ("a:b", "a_b")]
)
def test_slugs_do_not_collide(one, other):
    assert slug(one) != slug(other)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("run", Plan),
        ("case", Case),
        ("capture", Capture),
        ("failure", Failure),
        ("boots", Boots),
        ("bisect", Order),
        ("step", Step),
        ("decision", Decision),
        ("manifest", Manifest),
    ],
)
def test_the_committed_schemas_are_current(name, kind):
    text = schema_text(kind)
    assert (SCHEMAS / f"{name}.schema.json").read_text() == text, (
        f"write this to results/schema/{name}.schema.json:\n{text}"
    )


def schema_text(kind):
    """Return the JSON Schema of a kind of evidence, whatever Python keeps of a docstring's indent."""
    schema = msgspec.json.schema(
        kind, schema_hook=lambda hook: {"type": "string", "pattern": "^0x[0-9a-f]+$"}
    )
    return json.dumps(_dedented(schema), indent=2, sort_keys=True) + "\n"


def _dedented(schema):
    if isinstance(schema, dict):
        return {
            key: inspect.cleandoc(value) if key == "description" else _dedented(value)
            for key, value in schema.items()
        }
    return [_dedented(each) for each in schema] if isinstance(schema, list) else schema
