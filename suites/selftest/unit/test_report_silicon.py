"""Machines of the silicon table on a terminal and as JSON."""

import json

import pytest

from ccsight.cli import run
from ccsight.machines.silicon import shipped, table
from ccsight.report import console
from ccsight.report import silicon as report

BLIZZARD = """\
  ┌─────────────────────────────────────────────────────────────────┐
  │                               CPU                               │
  ├────────────────────────────────┬─ unification (LoUIS, LoUU) ────┤
  │ L1I  128K                      │ L1D  64K                       │
  │ 4 ways × 512 sets × 64 B       │ 8 ways × 128 sets × 64 B       │
  ╞═ point of coherency (LoC) ═════╧════════════════════════════════╡
  │ L2  4M, unified                                                 │
  │ 16 ways × 2048 sets × 128 B                                     │
  ├─────────────────────────────────────────────────────────────────┤
  │                              memory                             │
  └─────────────────────────────────────────────────────────────────┘
"""
SIDES = """\
  ├────────────────────────────────┼─ unification (LoUIS) ──────────┤
  │ L3I  14K                       │                                │
  │ 7 ways × 64 sets × 32 B        │                                │
  ╞═ point of coherency (LoC) ═════╪════════════════════════════════╡
  │                                │ L4D  4G                        │
  │                                │ 2097152 ways × 8 sets × 256 B  │
  ├────────────────────────────────┴────────────────────────────────┤
"""


@pytest.fixture
def said(capsys, monkeypatch):
    """Return a function that runs a verb at some width, and returns its status and what it printed."""

    def say(*argv: str, width: int = 80) -> tuple[int, str]:
        monkeypatch.setenv("COLUMNS", str(width))
        code = run(list(argv))
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return say


@pytest.mark.parametrize("name", ["apple-m2", "silicon:apple-m2"])
def test_a_machine_is_drawn(said, name):
    code, text = said("machines", "show", name)
    assert code == 0
    assert BLIZZARD in text
    assert "CPU 2, 3: Apple M2 Avalanche" in text
    assert "CLIDR_EL1          0x81000023" in text
    assert "not shown: the host reads the base's" in text
    assert "QEMU's neoverse-n1: has VHE; no AArch32 at EL1" in text


def test_sides_that_go_on_alone(said):
    _, text = said("machines", "show", "hostile")
    assert SIDES in text
    assert "CCSIDR2" not in text


@pytest.mark.parametrize("name", shipped().machines)
@pytest.mark.parametrize("width", [80, 120])
def test_pages_fit(said, name, width):
    code, text = said("machines", "show", name, width=width)
    assert code == 0
    assert max(map(len, text.splitlines())) <= width


def test_a_machine_as_json(said):
    _, text = said("machines", "show", "rk3588", "--json")
    found = json.loads(text)["machine"]
    assert (found["spec"], found["base"]) == ("silicon:rk3588", "cortex-a76")
    little, big = found["cores"]
    assert (little["cpus"], big["cpus"]) == ([0, 1], [2, 3])
    assert little["registers"]["CTR_EL0"] == "0x84448004"
    assert big["caches"][2] == {"name": "L2", "size": 524288, "ways": 8, "sets": 1024, "line": 64}


def test_rows_to_start_from(said, tmp_path):
    code, text = said("machines", "show", "rk3588", "--toml")
    assert code == 0
    assert table(text).machines["my-rk3588"].base == "cortex-a76"
    (tmp_path / "mine.toml").write_text(text)
    code, text = said("machines", "show", "my-rk3588", "--silicon", str(tmp_path / "mine.toml"))
    assert code == 0


def test_options_change_what_is_shown(said):
    _, text = said("machines", "show", "silicon:graviton2,cpus=4,base=cortex-a76")
    assert "CPU 0, 1, 2, 3: Graviton2" in text
    assert "QEMU's cortex-a76" in text


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("show", "rk3599"), "did you mean 'rk3588'"),
        (("show", "emulated:max", "--toml"), "has no rows"),
        (("show", "local"), "in no table"),
        (("--json", "show", "rk3588"), "options of show stand after its name"),
        (("show", "rk3588", "--silicon", "nowhere.toml"), "the silicon table nowhere.toml cannot be read"),
    ],
)
def test_what_makes_no_sense(said, argv, message):
    code, text = said("machines", *argv)
    assert code == 2
    assert message in text


def test_the_list(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    machines = tuple(shipped().machines.values())
    specs = ["emulated:max", *(f"silicon:{each.name}" for each in machines)]
    console.output().print(report.list_page(specs, machines))
    text = capsys.readouterr().out
    assert "     emulated:max\n" in text
    assert "2 × Cortex-A76 r4p0" in text
    assert "L1I 64K  L1D 64K  L2 512K  L3 2M" in text
    assert text.count("silicon:rk3588 ") == 1
    document = json.loads(report.list_document(specs, machines))
    assert document["machines"] == specs
    assert document["silicon"][0]["cores"][0]["values"] == "published"


def test_a_model_without_a_row(capsys):
    console.output().print(report.model_page("emulated:new", None))
    assert "the silicon table has no row of it" in capsys.readouterr().out
    assert json.loads(report.model_document("emulated:new", None))["base"] is None
