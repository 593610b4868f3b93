"""``ccsight profile``: what each verb prints, writes and refuses, without a boot."""

import json

import pytest
from msgspec.structs import replace
from profile_samples import TEXT, core, graviton3, recorded
from recorded import SERIES, capture
from test_profile_proof import ALL_WELL, saved, state

from ccsight.campaign import profiles
from ccsight.checks.profiled import launched, moved
from ccsight.cli import run
from ccsight.errors import InfraError, ProbeError, UsageError
from ccsight.evidence.failure import Failure
from ccsight.evidence.run import Run
from ccsight.evidence.views import Cell
from ccsight.kvm.guess import guess
from ccsight.kvm.guesses import Seen
from ccsight.kvm.vmms import Outcome
from ccsight.machines.silicon import shipped
from ccsight.report import console
from ccsight.report import profiles as report
from ccsight.status import Status


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "g3.toml"
    path.write_text(TEXT)
    return str(path)


@pytest.mark.parametrize("verb", ["capture", "guess", "check", "common", "export"])
def test_each_verb_has_help(verb, capsys):
    assert run(["profile", verb, "--help"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 8


def test_export_to_standard_output_and_to_a_file(file, tmp_path, capsys):
    assert run(["profile", "export", file]) == 0
    assert "0x603000000013c801 = 0x82000023  # CLIDR_EL1" in capsys.readouterr().out
    out = tmp_path / "template.json"
    assert run(["profile", "export", file, "--format", "firecracker", "--out", str(out)]) == 0
    assert capsys.readouterr().out == ""
    assert len(json.loads(out.read_text())["reg_modifiers"]) == 6


def test_common_names_who_refuses(file, capsys):
    assert run(["profile", "common", file, "silicon:graviton2"]) == 0
    assert "taken since v6.11" in capsys.readouterr().out
    assert run(["profile", "common", file, "silicon:cortex-a53"]) == 1
    assert "refuses CTR_EL0.L1Ip" in capsys.readouterr().out
    assert run(["profile", "common", file, "silicon:cortex-a72", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["registers"]["CLIDR_EL1"] == "0xa200023"
    assert said["machines"]["cortex-a72"] == {"refused": [], "not_its_own_up_to_v6_2": 3}
    assert run(["profile", "common", "silicon:cortex-a72", "--format", "ids"]) == 0
    assert "0x603000000013c801 = 0xa200023" in capsys.readouterr().out


def test_how_good_guesses_are(capsys):
    assert run(["profile", "guess", "--table"]) == 0
    assert "claimed to be known, and wrong: none" in capsys.readouterr().out
    assert run(["profile", "guess", "--table", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["without_table"][0]["field"] == "CTR_EL0.IminLine"


def test_a_known_guess_that_is_wrong_is_our_failure(monkeypatch, capsys):
    alone, helped, cores = profiles.trial(shipped())
    false = [type(alone[0])("CLIDR_EL1.LoC", 0, 1, 0, ("mine",), ("mine",))]
    monkeypatch.setattr(profiles, "trial", lambda table: (false, helped, cores))
    assert run(["profile", "guess", "--table"]) == 1
    assert "claimed to be known, and wrong: mine" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "evidence"),
    [
        (["check", "FILE", "--kernel", "deb:6.1", "--on", "silicon:graviton4"], 2, "MIDR_EL1 0x410fd4f1"),
        (["check", "FILE", "--kernel", "dbe:6.1"], 2, "did you mean 'deb'"),
        (["check", "FILE", "--kernel", "deb:6.1", "--vmm", "Firecraker"], 2, "did you mean 'Firecracker'"),
        (["check", "FILE", "--kernel", "deb:6.1", "--core", "graviton4"], 2, "did you mean 'graviton3'"),
        (["check", "FILE"], 2, "missing option '--kernel'"),
        (["check", "NONE", "--kernel", "deb:6.1"], 2, "the profile NONE cannot be read"),
        (["export", "FILE", "--format", "qemu"], 2, "is not one of 'ids', 'firecracker'"),
        (["export", "FILE", "--core", "x"], 2, "has no core 'x'"),
        (["common", "emulated:max"], 2, "not known without a boot"),
        (["common"], 2, "missing argument"),
        (["guess"], 2, "guess is about one machine"),
        (["guess", "--table", "--on", "silicon:rk3588"], 2, "leave out --on"),
        (["guess", "--on", "silicon:rk3588", "--sysfs", "NONE"], 2, "NONE is not a folder"),
        (["capture", "deb:6.1"], 2, "missing option '--on'"),
        (["capture", "deb:6.1", "--on", "silicon:gravitn3", "--dry-run"], 2, "did you mean 'graviton3'"),
        (["chekc"], 2, "chekc"),
    ],
)
def test_what_cannot_be_is_a_usage_error(words, code, evidence, file, capsys):
    assert run(["profile", *(file if word == "FILE" else word for word in words)]) == code
    assert evidence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("machine", "said"),
    [("silicon:graviton2", "MIDR_EL1 0x413fd0c1"), ("silicon:graviton3", "the profile has 2 types of CPU")],
)
def test_of_a_profile_of_two_cores_one_is_asked_for_where_the_machine_has_them(
    machine, said, tmp_path, capsys
):
    path = tmp_path / "two.toml"
    other = TEXT[TEXT.index("[core.") :].replace("graviton3", "other").replace("411fd401", "411fd402")
    path.write_text(TEXT + other.replace("[0, 1]", "[2, 3]"))
    assert run(["profile", "check", str(path), "--kernel", "deb:6.1", "--on", machine]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "damage", [("CTR_EL0 = ", "CTR_EL1 = "), ("0x82000023", "0x82000025"), ("[core", "[core")]
)
def test_a_damaged_file_stops_every_verb(damage, tmp_path, capsys):
    path = tmp_path / "bad.toml"
    path.write_text(TEXT.replace(*damage) if damage[0] != damage[1] else TEXT[:200])
    for words in (["export"], ["common"], ["check", "--kernel", "deb:6.1"]):
        assert run(["profile", words[0], str(path), *words[1:]]) == 2
        assert str(path) in capsys.readouterr().err


def test_the_plan_of_a_proof(file, capsys):
    words = ["profile", "check", file, "--kernel", "deb:6.1", "--kernel", "deb:6.12", "--dry-run"]
    assert run(words) == 0
    assert "would take 3 boots" in capsys.readouterr().out
    assert run([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [case["check"] for case in said["cases"]] == ["profile-launch"] * 2 + ["profile-move"] * 2


def test_the_plan_of_a_capture(capsys):
    assert run(["profile", "capture", "deb:6.1", "--on", "silicon:rk3588", "--dry-run"]) == 0
    assert run(["profile", "guess", "--on", "silicon:rk3588", "--dry-run"]) == 0
    assert capsys.readouterr().out.count("1 boot,") == 2


def test_pages(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    cases = [
        launched("cell", core(graviton3()), [saved()], "normalised"),
        launched("cell", core(graviton3()), [], "normalised"),
        moved("a", "b", [state(Outcome.REFUSED, *ALL_WELL[1:])]),
    ]
    console.output().print(report.answers(cases))
    seen = guess(Seen(midr=0x411FD401))
    console.output().print(report.guesses({"mine": seen}))
    console.output().print(report.summary(graviton3()))
    page = capsys.readouterr().out
    for text in (
        "PASS  shows the profile's values  cell",
        "MISS  shows the profile's values  cell",
        "FAIL  moves unnoticed  refused  a → b",
        "no VM was launched with the profile",
        "CLIDR_EL1.Ctype1…Ctype7",
        "0x7ff0000003a",
    ):
        assert text in page
    assert json.loads(report.proof_document(cases))["exit_code"] == 1
    assert json.loads(report.guesses_document({"mine": seen}))["guesses"]["mine"][0]["sure"] == "unknown"
    assert json.loads(report.document(graviton3()))["cores"][0]["guest"]["CCSIDR_EL1[2]"] == "0x7ff0000003a"


def test_a_proof_of_what_was_captured(monkeypatch):
    """Where captures have VMs that were saved, and restored: the machine's own profile, on two kernels."""
    profile = recorded("neoverse-n1")
    own = saved(core(profile))
    captures = {series: replace(capture("neoverse-n1", series), saved=(own,)) for series in SERIES}

    class Plan:
        machines = ("emulated:neoverse-n1",)
        cells = tuple(each.cell for each in captures.values())

    class Captured(_Empty):
        def capture(self, cell):
            return captures[cell.kernel.partition(":")[2]]

    monkeypatch.setattr(profiles, "moves", lambda *captures: (state(*ALL_WELL),))
    cases = profiles.prove(Captured(Plan), profiles.Proof(profile))
    assert [case.status for case in cases] == ["PASS"] * 4
    assert cases[2].cells == ("emulated_neoverse-n1--deb_6.1", "emulated_neoverse-n1--deb_6.12")
    captures |= {series: replace(each, saved=()) for series, each in captures.items()}
    assert [case.status for case in profiles.prove(Captured(Plan), profiles.Proof(profile))] == ["MISS"] * 4
    with pytest.raises(UsageError, match="is of another core"):
        profiles.prove(Captured(Plan), profiles.Proof(graviton3()))


class _Empty(Run):
    """A run in which nothing was captured."""

    def __init__(self, plan):
        self.plan, self.folder = plan, None

    def capture(self, cell):
        return None

    def failure(self, cell):
        return None

    def console(self, cell, boot=1):
        return "console.log"


def test_a_proof_without_evidence_is_a_miss():
    class Plan:
        machines = ("silicon:graviton3",)
        cells = tuple(Cell(machine="silicon:graviton3", kernel=kernel) for kernel in ("a", "b"))

    cases = profiles.prove(_Empty(Plan), profiles.Proof(graviton3()))
    assert [case.status for case in cases] == ["MISS"] * 4
    with pytest.raises(InfraError, match="was not observed"):
        profiles.profile_of(_Empty(Plan), Plan.cells[0])


def test_our_own_fault_is_an_error():
    class Plan:
        machines = ("silicon:graviton3",)
        cells = (Cell(machine="silicon:graviton3", kernel="a"),)

    class Broken(_Empty):
        def failure(self, cell):
            return Failure(status=Status.ERROR, fact="the stream is malformed")

    (case,) = profiles.prove(Broken(Plan), profiles.Proof(graviton3()))
    assert (case.status, "the stream is malformed" in case.reason) == (Status.ERROR, True)
    with pytest.raises(ProbeError):
        profiles.need(Broken(Plan), Plan.cells[0])


def _run_of(*captures):
    """Return a run in which these were captured, and nothing else."""

    class Plan:
        machines = tuple(dict.fromkeys(each.cell.machine for each in captures))
        cells = tuple(each.cell for each in captures)

    class Captured(_Empty):
        def capture(self, cell):
            return next(each for each in captures if each.cell == cell)

    return Captured(Plan)


def test_a_machine_of_another_core_costs_the_others_nothing(capsys):
    """It is refused with its MIDR_EL1, behind the answers on the machines that fit."""
    profile = recorded("neoverse-n1")
    own = capture("neoverse-n1", "6.1")
    mine, other = replace(own, saved=(saved(core(profile)),)), capture("neoverse-v1", "6.1")
    run, proof = _run_of(mine, other), profiles.Proof(profile)
    assert [case.status for case in profiles.prove(run, proof)] == ["PASS"]
    ((machine, error),) = profiles.strangers(run, proof).items()
    assert (machine, "MIDR_EL1 0x411fd402" in error.evidence) == ("emulated:neoverse-v1", True)
    with pytest.raises(UsageError, match="another core"):
        profiles.prove(_run_of(other), proof)
    console.output().print(report.answers(profiles.prove(run, proof), run.plan.cells))
    page = capsys.readouterr().out
    assert page == "emulated:neoverse-n1\nPASS  shows the profile's values  deb:6.1\n"


def test_answers_stand_by_machine(file, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    machines = [Cell(machine=f"emulated:neoverse-n1,cpus={n}", kernel=k) for n in (2, 4) for k in "ab"]
    (a, b, c, d), worst = (cell.id for cell in machines), state(Outcome.REFUSED, *ALL_WELL[1:])
    cases = [moved(a, b, [worst]), moved(b, a, [worst]), moved(c, d, [state(*ALL_WELL)])]
    console.output().print(report.answers(cases, machines))
    page = capsys.readouterr().out.splitlines()
    assert page[0] == "emulated:neoverse-n1,cpus=2"
    assert page[1] == "FAIL  moves unnoticed  refused  a → b"
    at = page.index("emulated:neoverse-n1,cpus=4")
    assert page[at - 1 : at + 2] == ["", page[at], "PASS  moves unnoticed  transparent  a → b"]
    assert max(map(len, page)) <= 80
