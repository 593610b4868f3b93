"""The memory shared with the plugin, C's declarations of it, and which QEMU may load the plugin."""

import gc
import os
from dataclasses import replace
from mmap import mmap
from pathlib import Path

import pytest
from core_samples import FULL, SPARSE

from ccsight import cdata
from ccsight.arm64.registers import CLIDR_EL1, SELECTORS
from ccsight.arm64.silicon_rules import CPUS
from ccsight.deadline import Deadline
from ccsight.errors import BootError, ToolMissing, UsageError
from ccsight.evidence.record import from_json
from ccsight.machines import overrides, tcg_plugin
from ccsight.machines.overrides import Met, Overrides, Site
from ccsight.machines.silicon import shipped
from ccsight.paths import cache_dir
from ccsight.toolbox.qemu import Qemu

#: Its identification is not to be shown.
SECRET = replace(SPARSE, revidr=0x55, shows_midr=False)
PLUGIN = Path("/where/it/is/silicon.so")
ALL = (1 << 64) - 1
CPUS_MOST = cdata.constant(overrides.layout(), "SILICON_CPUS")


@pytest.fixture
def shared():
    """Make a table, and return it with another look at its memory: the plugin's."""
    opened = []

    def shared(*cores):
        made = Overrides(cores, PLUGIN if cores else None)
        opened.append(made)
        path = made.argv[1].partition(",table=")[2] if cores else f"/proc/self/fd/{made.descriptors[0]}"
        with Path(path).open("r+b") as file:
            table = cdata.laid_over(overrides.layout(), "struct silicon_table", mmap(file.fileno(), 0))
        return made, table

    yield shared
    for made in opened:
        made.__exit__()


def works(table) -> None:
    """Write what the plugin writes while a machine boots well."""
    table.loaded = table.cpus
    for cpu in table.cpu[0 : table.cpus]:
        for name in ("CTR_EL0", "MIDR_EL1"):
            cpu.hits[overrides.places()[name]] = 5


def given(cpu) -> dict[int, tuple[int, int]]:
    """Return value and mask by place, of the places that override."""
    return {
        place: (each.value, each.mask) for place, each in enumerate(cpu.registers) if each.value or each.mask
    }


# --- what is written --------------------------------------------------------------------------------------


def test_a_core_is_written_as_values_and_masks(shared):
    _, table = shared(FULL)
    assert (table.magic, table.cpus) == (0x6E6F63696C697331, 1)
    assert given(table.cpu[0]) == {
        0: (FULL.ctr, ALL),
        1: (FULL.clidr, ALL),
        2: (2 << 56 | 1 << 20, 0xF << 56 | 0xF << 20),
        3: (0x7, 0xF),
        4: (FULL.midr, ALL),
        5: (FULL.revidr, ALL),
        **{6 + selector: (FULL.ccsidr[selector], ALL) for selector in SELECTORS},
        **{20 + selector: (0x100 + selector, ALL) for selector in SELECTORS},
    }


def test_what_a_core_does_not_give_has_no_mask(shared):
    _, table = shared(SPARSE, SECRET)
    sparse = {
        0: (SPARSE.ctr, ALL),
        1: (SPARSE.clidr, ALL),
        2: (0, 0xF << 56 | 0xF << 20),
        4: (SPARSE.midr, ALL),
        6 + 2: (0x1A, ALL),
    }
    assert given(table.cpu[0]) == sparse
    assert given(table.cpu[1]) == {place: pair for place, pair in sparse.items() if place != 4}


def test_each_cpu_has_its_core_and_the_others_none(shared):
    _, table = shared(FULL, SPARSE, FULL)
    assert table.cpus == 3
    assert [cpu.registers[0].value for cpu in table.cpu] == [FULL.ctr, SPARSE.ctr, FULL.ctr, 0, 0, 0, 0, 0]
    assert not any(given(cpu) for cpu in table.cpu[3:8])


def test_every_reading_of_every_core_has_a_place_of_its_own(shared):
    cores = [FULL, *shipped().cores.values()]
    readings = {name for core in cores for name in core.overrides()}
    assert readings == set(overrides.places())
    places = sorted(overrides.places().values())
    assert places == list(range(cdata.constant(overrides.layout(), "SILICON_REGISTERS")))


def test_the_headers_sizes_are_those_of_its_arrays(shared):
    _, table = shared(FULL)
    registers, sites = (
        cdata.constant(overrides.layout(), f"SILICON_{name}") for name in ("REGISTERS", "SITES")
    )
    assert CPUS_MOST == len(table.cpu) == CPUS[-1] == 8
    assert len(table.cpu[0].registers) == len(table.cpu[0].hits) == registers
    assert len(table.sites) == sites
    shared(*[FULL] * CPUS_MOST)


def test_the_options_name_the_plugin_and_the_descriptor(shared):
    made, _ = shared(FULL)
    (fd,) = made.descriptors
    assert made.argv == ("-plugin", f"{PLUGIN},table=/proc/self/fd/{fd}")


def test_a_comma_in_a_path_does_not_end_it():
    with Overrides([FULL], Path("/a,b/silicon.so")) as made:
        assert made.argv[1].startswith("/a,,b/silicon.so,table=/proc/self/fd/")


def test_a_machine_without_silicon_takes_no_options(shared):
    made, table = shared()
    assert (made.argv, made.declared(), made.papers(), table.cpus) == ((), (), {}, 0)
    made.prove("emulated:max")


# --- what is read back ------------------------------------------------------------------------------------


def test_declared_says_what_each_cpu_reads_and_how_often(shared):
    made, table = shared(FULL, SECRET)
    works(table)
    table.cpu[0].hits[6 + 13] = 1 << 40
    table.cpu[1].hits[1] = 3
    first, second = made.declared()
    assert (first.cpu, first.core, first.values, first.source) == (0, FULL.title, "computed", "made up")
    assert first.registers == FULL.declared()
    hits = {"CTR_EL0": 5, "MIDR_EL1": 5, "CCSIDR_EL1[13]": 1 << 40}
    assert first.hits == dict.fromkeys(FULL.overrides(), 0) | hits
    assert second.cpu == 1
    assert second.hits == dict.fromkeys(SECRET.overrides(), 0) | {"CTR_EL0": 5, "CLIDR_EL1": 3}


def test_met_tells_every_site_that_is_shown(shared):
    made, table = shared(FULL)
    assert made.met() == Met(sites_met=0, strays=0, sites=())
    table.sites_met, table.strays = 2, 4
    first, second = table.sites[0:2]
    first.pc, first.insn, first.hits, first.ended_block = ALL - 3, 0xD53B0023, 1 << 40, 1
    second.insn = 1
    sites = (
        Site(pc=ALL - 3, insn=0xD53B0023, hits=1 << 40, ended_block=True),
        Site(pc=0, insn=1, hits=0, ended_block=False),
    )
    assert made.met() == Met(sites_met=2, strays=4, sites=sites)
    assert from_json(made.papers()["silicon.json"], Met) == made.met()


def test_more_sites_than_are_shown_are_counted(shared):
    made, table = shared(FULL)
    table.sites_met = 5000
    assert (made.met().sites_met, len(made.met().sites)) == (5000, 2048)


def test_what_was_written_stays_after_the_descriptor_is_closed(shared):
    with Overrides([FULL], PLUGIN) as made:
        (fd,) = made.descriptors
        with Path(f"/proc/self/fd/{fd}").open("r+b") as file:
            works(cdata.laid_over(overrides.layout(), "struct silicon_table", mmap(file.fileno(), 0)))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    assert made.declared()[0].hits["CTR_EL0"] == 5
    assert made.met().strays == 0
    made.prove("silicon:full")


# --- whether it works -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cores", [(FULL,), (FULL, SPARSE), (SECRET,) * 8])
def test_a_plugin_that_works_is_proved(shared, cores):
    made, table = shared(*cores)
    works(table)
    made.prove("silicon:full")


def test_identification_that_is_not_shown_need_not_be_read(shared):
    made, table = shared(SECRET)
    works(table)
    table.cpu[0].hits[overrides.places()["MIDR_EL1"]] = 0
    made.prove("silicon:full")


@pytest.mark.parametrize(
    ("loaded", "strays", "evidence"),
    [
        (0, 0, "it found 0 of 2 CPUs and lost 0 reads"),
        (1, 0, "it found 1 of 2 CPUs and lost 0 reads"),
        (3, 0, "it found 3 of 2 CPUs and lost 0 reads"),
        (2, 1, "it found 2 of 2 CPUs and lost 1 reads"),
    ],
)
def test_a_plugin_that_is_not_at_work_everywhere_or_lost_a_read(shared, loaded, strays, evidence):
    made, table = shared(FULL, FULL)
    works(table)
    table.loaded, table.strays = loaded, strays
    with pytest.raises(BootError, match=r"silicon:full: the plugin .* does not work") as caught:
        made.prove("silicon:full")
    assert caught.value.evidence == evidence


@pytest.mark.parametrize("silent", [("CTR_EL0",), ("MIDR_EL1",), ("CTR_EL0", "MIDR_EL1")])
def test_a_cpu_that_started_without_the_tables_values(shared, silent):
    made, table = shared(FULL, FULL)
    works(table)
    for name in silent:
        table.cpu[1].hits[overrides.places()[name]] = 0
    with pytest.raises(BootError) as caught:
        made.prove("silicon:full")
    assert "CPU 1 has started without reading" in caught.value.fact
    assert caught.value.fact.endswith(f" {', '.join(silent)}")
    assert f"'{silent[0]}': 0" in caught.value.evidence


# --- the plugin, and the QEMU that is to load it ----------------------------------------------------------

TOO_OLD = "fake: -plugin x: plugin requires API version 7, but this QEMU supports only up to version 5"


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_dir()


def fake_qemu(path: Path, says: str, status: int = 1) -> Qemu:
    """Make a QEMU that writes down its arguments, says something on stderr and ends."""
    path.write_text(f'#!/bin/sh\necho "$@" >>{path}.argv\necho "{says}" >&2\nexit {status}\n')
    path.chmod(0o755)
    return Qemu((str(path),), (11, 0, 3), "")


def api(least: int, current: int) -> str:
    return f"ccsight-silicon: plugin API {least} to {current}, target aarch64"


def asked(tool: Qemu) -> list[str]:
    return Path(f"{tool.argv[0]}.argv").read_text().splitlines()


def test_a_plugin_is_compiled_and_tried_once(cache, tmp_path, monkeypatch):
    compiled = []
    compiler = tcg_plugin.compiled
    monkeypatch.setattr(tcg_plugin, "compiled", lambda *args: compiled.append(args) or compiler(*args))
    tool = fake_qemu(tmp_path / "qemu", api(2, 7))
    found = tcg_plugin.plugin(tool, Deadline(60))
    assert found.read_bytes().startswith(b"\x7fELF")
    assert b"qemu_plugin_install" in found.read_bytes()
    assert found.is_relative_to(cache)
    assert tcg_plugin.plugin(tool, Deadline(60)) == found
    assert len(compiled) == 1
    (argv,) = asked(tool)
    assert argv.startswith("-M none ")
    assert "table=" not in argv
    (tmp_path / "another").mkdir()
    other = fake_qemu(tmp_path / "another" / "qemu", api(2, 7))
    assert tcg_plugin.plugin(other, Deadline(60)).read_bytes() == found.read_bytes()
    assert (len(compiled), len(asked(other))) == (2, 1), "another QEMU has to be tried by itself"


def test_a_cache_with_a_comma_in_its_path(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a,b"))
    monkeypatch.setattr(tcg_plugin, "compiled", lambda to, deadline: to.write_bytes(b"x"))
    tool = fake_qemu(tmp_path / "qemu", api(2, 7))
    assert tcg_plugin.plugin(tool, Deadline(60)).is_relative_to(tmp_path / "a,b")
    (argv,) = asked(tool)
    assert f"-plugin {tmp_path}/a,,b/" in argv


def test_changed_sources_are_another_plugin(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(tcg_plugin, "compiled", lambda to, deadline: to.write_bytes(b"x"))
    tool = fake_qemu(tmp_path / "qemu", api(2, 7))
    before = tcg_plugin.plugin(tool, Deadline(60))
    sources = tmp_path / "plugin"
    sources.mkdir()
    for path in tcg_plugin.SOURCES.glob("*.[ch]"):
        (sources / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(tcg_plugin, "SOURCES", sources)
    assert tcg_plugin.plugin(tool, Deadline(60)) == before
    with (sources / "table.h").open("a") as header:
        header.write("\n")
    assert tcg_plugin.plugin(tool, Deadline(60)) != before


@pytest.mark.parametrize(
    ("says", "status"),
    [
        pytest.param(TOO_OLD, 1, id="refuses-it"),
        pytest.param(api(7, 8), 1, id="newer"),
        pytest.param(api(2, 6), 1, id="older"),
        pytest.param("fake: -plugin: invalid option", 1, id="without-plugins"),
        pytest.param("", 0, id="silent"),
    ],
)
def test_a_qemu_of_another_interface_is_refused(cache, tmp_path, monkeypatch, says, status):
    monkeypatch.setattr(tcg_plugin, "compiled", lambda to, deadline: to.write_bytes(b"x"))
    with pytest.raises(UsageError) as caught:
        tcg_plugin.plugin(fake_qemu(tmp_path / "qemu", says, status), Deadline(60))
    assert caught.value.fact.startswith("QEMU 11.0.3 cannot take ")
    assert caught.value.fact.endswith("which was tried with plugin API 7 (QEMU 11.1)")
    assert caught.value.evidence == says
    assert "CCSIGHT_QEMU" in caught.value.next_step
    assert not list(cache.rglob("*.so"))


def test_the_interface_that_is_declared_was_tried():
    header = (tcg_plugin.SOURCES / "qemu.h").read_text()
    assert any(f"#define QEMU_API\t{version}\n" in header for version in tcg_plugin.API_TRIED)


def test_without_a_compiler_the_message_says_what_to_install(cache, tmp_path, monkeypatch):
    monkeypatch.setattr("ccsight.process.shutil.which", lambda name: None)
    with pytest.raises(ToolMissing) as caught:
        tcg_plugin.plugin(fake_qemu(tmp_path / "qemu", api(2, 7)), Deadline(60))
    assert "silicon: machines" in caught.value.fact
    assert "gcc" in caught.value.evidence
    assert caught.value.next_step == "apt-get install gcc libc6-dev"


# --- C's declarations -------------------------------------------------------------------------------------

HEADER = """\
// SPDX-License-Identifier: GPL-2.0-or-later
/* Of several
 * lines. */
#ifndef SMALL_H
#define SMALL_H
#include <stdint.h>
# include "other.h"
#define PLAIN 12
#define HEX\t0x7fffffffffffffff  /* with a comment */
  #  define INDENTED 3
#define LONG 4 /* a comment
\tthat goes on */
#define EXPRESSION (1 << 3)
#define SUFFIXED 1U
#define TEXT "text"
#define CALL(x) ((x) + 1)
#define EMPTY
enum kind { FIRST, FIFTH = 5, SIXTH };
struct pair {
\tuint32_t number;	/* and padding behind it */
\tuint64_t values[2];
};
#endif
"""


@pytest.fixture
def small(tmp_path):
    header = tmp_path / "small.h"
    header.write_text(HEADER)
    return cdata.declarations(header)


def test_numbers_of_a_header_are_read(small):
    numbers = {
        "PLAIN": 12,
        "HEX": (1 << 63) - 1,
        "INDENTED": 3,
        "LONG": 4,
        "FIRST": 0,
        "FIFTH": 5,
        "SIXTH": 6,
    }
    assert {name: cdata.constant(small, name) for name in numbers} == numbers


@pytest.mark.parametrize("name", ["EXPRESSION", "SUFFIXED", "TEXT", "CALL", "EMPTY", "SMALL_H"])
def test_what_is_no_plain_number_is_left_out(small, name):
    with pytest.raises(AttributeError, match=name):
        cdata.constant(small, name)


def test_a_struct_lies_over_memory_as_the_compiler_would_lay_it(small):
    assert cdata.size_of(small, "struct pair") == 24
    memory = mmap(-1, 24)
    pair = cdata.laid_over(small, "struct pair", memory)
    pair.number, pair.values[1] = 0x01020304, CLIDR_EL1.mask
    assert memory[:] == b"\4\3\2\1" + bytes(12) + CLIDR_EL1.mask.to_bytes(8, "little")
    memory[8:16] = b"\xff" * 8
    assert pair.values[0] == ALL


def test_a_struct_keeps_the_memory_that_it_lies_over(small):
    pair = cdata.laid_over(small, "struct pair", mmap(-1, 24))
    pair.values[0] = 7
    gc.collect()
    assert pair.values[0] == 7


def test_a_header_is_read_once(small, tmp_path):
    (tmp_path / "small.h").write_text("not C")
    assert cdata.declarations(tmp_path / "small.h") is small
