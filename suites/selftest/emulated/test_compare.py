"""The main job on real kernels: the values it must find, and how it behaves when things go wrong."""

import dataclasses
import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command import ARGV, Said, ccsight, descendants, running, start

from ccsight.deadline import Deadline
from ccsight.store import locked

pytestmark = pytest.mark.emulated

ONE_MACHINE = ("--on", "emulated:cortex-a57", "--workers", "1")


@pytest.fixture(scope="module")
def main_job(tmp_path_factory, request):
    """Run the main job once, however many workers there are."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if hasattr(request.config, "workerinput") else base) / "main-job"
    with locked(shared, Deadline(300)):
        if not shared.is_dir():
            shared.mkdir()
            said = ccsight("compare", "--json", cwd=shared)
            (shared / "said.json").write_text(json.dumps(dataclasses.asdict(said)))
    return shared, Said(**json.loads((shared / "said.json").read_text()))


def _values(document, machine, side, vantage, vcpu=0):
    views = _machine(document, machine)[side]["views"]
    view = next(view for view in views if view["vantage"] == vantage and view["vcpu"] == vcpu)
    return {name: int(reading["value"], 16) for name, reading in view["readings"].items() if reading["value"]}


def _machine(document, machine):
    return next(entry for entry in document["machines"] if entry["machine"] == machine)


def _statuses(document):
    """Return how the cases ended, without CR-011 where it does not apply: not all have AArch32 at EL1."""
    cases = [case for entry in document["machines"] for case in entry["laws"] + entry["comparisons"]]
    return {case["status"] for case in cases if (case["check"], case["status"]) != ("CR-011", "SKIP")}


def test_the_main_job_passes(main_job):
    folder, said = main_job
    assert said.code == 0, said.stderr
    (run,) = (folder / "results").iterdir()
    kept = {path.name for path in run.iterdir()}
    assert kept >= {"run.json", "cases.jsonl", "captures", "consoles", "junit.xml", "report.html"}
    assert len(list((run / "consoles").iterdir())) == 9  # three machines: old, new, old again
    assert _statuses(said.json) == {"PASS", "DONE"}


@pytest.mark.parametrize("vcpu", [0, 1])
@pytest.mark.parametrize(
    ("model", "side", "vantage", "register", "value"),
    [
        ("cortex-a57", "old", "guest", "CLIDR_EL1", 0x0A200023),
        ("cortex-a57", "new", "guest", "CLIDR_EL1", 0x09200003),
        ("cortex-a57", "old", "guest", "CCSIDR_EL1[0]", 0x700FE01A),
        ("cortex-a57", "new", "guest", "CCSIDR_EL1[0]", 0x2),
        ("neoverse-n1", "old", "guest", "CLIDR_EL1", 0x82000023),
        ("neoverse-n1", "new", "guest", "CLIDR_EL1", 0x02000021),
        ("neoverse-n1", "old", "userspace", "CTR_EL0", 0x9444C004),
        ("neoverse-n1", "old", "guest", "CTR_EL0", 0x8444C004),
        ("neoverse-n1", "old", "guest_el0", "CTR_EL0", 0x8444C004),
        ("neoverse-n1", "new", "guest", "CTR_EL0", 0x9444C004),
        ("neoverse-v1", "old", "guest", "CLIDR_EL1", 0x82000023),
        ("neoverse-v1", "new", "guest", "CLIDR_EL1", 0x01000004),
        ("neoverse-v1", "old", "userspace", "CCSIDR_EL1[2]", 0x3A),
        ("neoverse-v1", "old", "guest", "CCSIDR_EL1[2]", 0x7FF0000003A),
    ],
)
def test_the_values_that_it_must_find(main_job, model, side, vantage, register, value, vcpu):
    _, said = main_job
    assert _values(said.json, f"emulated:{model}", side, vantage, vcpu)[register] == value


def test_aarch32_is_judged_where_there_is_one(main_job):
    _, said = main_job
    laws = {
        model: [
            case for case in _machine(said.json, f"emulated:{model}")["laws"] if case["check"] == "CR-011"
        ]
        for model in ("cortex-a57", "neoverse-n1", "neoverse-v1")
    }
    statuses = {model: {case["status"] for case in cases} for model, cases in laws.items()}
    assert statuses == {"cortex-a57": {"PASS"}, "neoverse-n1": {"SKIP"}, "neoverse-v1": {"SKIP"}}
    known = {finding["known"] for case in laws["cortex-a57"] for finding in case["findings"]}
    assert any(why.startswith("a fault of the kernel") for why in known)


def test_what_the_comparisons_say_of_neoverse_v1(main_job):
    _, said = main_job
    entry = _machine(said.json, "emulated:neoverse-v1")
    outcomes = {case["check"]: case["outcome"] for case in entry["comparisons"]}
    assert outcomes == {
        "CR-007": "refused",
        "CR-008": "refused",
        "CR-009": "differs",
        "CR-014": "grew",
        "CR-015": "changes",
    }
    assert [entry[side]["ccsidr_listed"] for side in ("old", "new")] == [3, 14]


def test_show_says_the_same_again(main_job):
    folder, said = main_job
    again = ccsight("show", "--json", cwd=folder)
    assert (again.code, again.json) == (0, said.json)
    assert "emulated:neoverse-v1" in ccsight("show", cwd=folder).stdout


def test_diff_needs_no_machine(main_job):
    folder, _ = main_job
    captures = sorted(folder.glob("results/*/captures/*n1*/1"))
    said = ccsight("diff", *map(str, captures), cwd=folder)
    assert said.code == 0
    assert "0x82000023" in said.stdout


def test_a_diff_of_nothing_is_no_success(main_job, tmp_path):
    folder, _ = main_job
    (path, *_) = folder.glob("results/*/captures/*n1*/1/capture.json")
    document = json.loads(path.read_text()) | {"views": []}
    (tmp_path / "blind.json").write_text(json.dumps(document))
    assert ccsight("diff", str(path), str(tmp_path / "blind.json"), cwd=folder).code == 3


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("compare", "deb:6.1", "deb:6.1"), "are the same"),
        (("compare", "--resume", "latest", "--dry-run"), "given as well: --dry-run"),
        (("compare", "deb:6.5"), "series: 5.10"),
        (("compare", "--on", "emulated:neoverse-m1"), "neoverse-v1"),
        (("compar",), "'compare'"),
        (("show", "no-such-run"), "no run 'no-such-run'"),
    ],
)
def test_bad_calls_say_what_is_wrong_and_exit_2(main_job, args, said):
    folder, _ = main_job
    done = ccsight(*args, cwd=folder)
    assert (done.code, said in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


def test_output_that_nobody_takes_is_no_verdict_on_a_kernel(main_job):
    folder, _ = main_job
    for to in ("| head -1 >/dev/null; exit ${PIPESTATUS[0]}", "> /dev/full", ">&-"):
        code = " ".join([*map(shlex.quote, ARGV), "show", "-v", to])
        done = subprocess.run(["bash", "-c", code], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 3), (to, done.stderr)
        assert "Traceback" not in done.stderr, to


@pytest.mark.parametrize(
    ("append", "fact"),
    [
        ("rdinit=/nonexistent", "panic"),
        ("kvm-arm.mode=none", "KVM"),
    ],
)
def test_a_bad_boot_is_a_miss_with_its_last_words_and_the_other_cell_finishes(tmp_path, append, fact):
    said = ccsight("compare", "deb:6.1", f"deb:6.1,append={append}", *ONE_MACHINE, cwd=tmp_path)
    assert said.code == 3
    assert fact in said.stdout
    (run,) = (tmp_path / "results").iterdir()
    assert len(list(run.glob("captures/*/1/capture.json"))) == 1
    assert _statuses(ccsight("show", "--json", cwd=tmp_path).json) == {"PASS", "MISS"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_reads_as_such_and_resumes(tmp_path, number):
    call = start("compare", *ONE_MACHINE, cwd=tmp_path)
    _wait_for(lambda: list(tmp_path.glob("results/*/captures/*/1/capture.json")), call)
    _wait_for(lambda: _qemus(call.pid), call)
    below = descendants(call.pid)
    os.kill(call.pid, number)
    _, stderr = call.communicate(timeout=60)
    assert call.returncode == 130
    assert "--resume" in stderr
    _wait_for(lambda: not running(below))
    assert "interrupted" in ccsight("show", cwd=tmp_path).stdout
    first = next(tmp_path.glob("results/*/captures/*/1/capture.json"))
    before = first.stat().st_mtime_ns
    assert ccsight("compare", "--resume", "latest", cwd=tmp_path).code == 0
    assert first.stat().st_mtime_ns == before, "a complete cell was booted again"


def test_kill_9_leaves_no_emulator_and_the_run_resumes(tmp_path):
    call = start("compare", *ONE_MACHINE, cwd=tmp_path)
    _wait_for(lambda: _qemus(call.pid), call)
    below = descendants(call.pid)
    call.kill()
    call.communicate(timeout=60)
    _wait_for(lambda: not running(below))
    assert ccsight("compare", "--resume", "latest", cwd=tmp_path).code == 0


def test_a_killed_worker_costs_time_not_the_run(tmp_path):
    call = start("compare", *ONE_MACHINE, cwd=tmp_path)
    _wait_for(lambda: _qemus(call.pid), call)
    (qemu, *_) = _qemus(call.pid)
    worker = int(Path(f"/proc/{qemu}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(worker, signal.SIGKILL)
    _, stderr = call.communicate(timeout=200)
    assert call.returncode == 0, stderr


def test_two_runs_at_once_share_a_cache(tmp_path):
    calls = [start("compare", "deb:6.1", "deb:6.1,name=again", *ONE_MACHINE, cwd=tmp_path) for _ in range(2)]
    for call in calls:
        _, stderr = call.communicate(timeout=300)
        assert call.returncode == 0, stderr
    assert len(list((tmp_path / "results").iterdir())) == 2


@pytest.mark.parametrize("warm", [True, False])
def test_the_network_is_only_needed_for_a_cold_cache(tmp_path, warm):
    alone = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    cache = {} if warm else {"XDG_CACHE_HOME": str(tmp_path)}
    said = ccsight("compare", *ONE_MACHINE, cwd=tmp_path, prefix=alone, **cache)
    if warm:
        assert said.code == 0, said.stderr
    else:
        assert said.code == 3
        assert "cannot be reached" in said.stderr
        assert "next" in said.stderr
        assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("size", ["16k", "160k"])
def test_a_full_disk_is_said_and_nothing_is_left_running(tmp_path, size):
    results = tmp_path / "results"
    results.mkdir()
    on_small_disk = (
        *("unshare", "--map-root-user", "--mount", "sh", "-c"),
        f'mount -t tmpfs -o size={size} none "$0" && exec "$@"',
        str(results),
    )
    said = ccsight("compare", *ONE_MACHINE, cwd=tmp_path, prefix=on_small_disk)
    assert said.code == 3
    assert "no space left" in said.stdout + said.stderr


def _qemus(pid: int) -> list[int]:
    def name(child: int) -> str:
        try:
            return Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
        except OSError:
            return ""

    return [
        child
        for child in descendants(pid)
        if "virtualization=on" in name(child) and "setpriv" not in name(child)
    ]


def _wait_for(condition, call=None):
    end = Deadline(120)
    while not condition():
        assert not end.passed, "never happened"
        assert call is None or call.poll() is None, call.communicate()
        time.sleep(0.02)
