"""The plugin in a real QEMU: every MRS that is executed is overridden, none that traps. No kernel boots here.

``overrides.c`` provokes what an override could lose its value or its way by, and prints what it read.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from core_samples import FULL as FIRST

from ccsight import process
from ccsight.arm64.silicon import Core
from ccsight.deadline import Deadline
from ccsight.machines.overrides import Overrides
from ccsight.machines.tcg_plugin import plugin
from ccsight.toolbox.qemu import qemu

pytestmark = pytest.mark.emulated

CPUS = 4
#: Of the second one no value is the first one's, and by no QEMU model are any of them shown.
SECOND = replace(
    FIRST,
    midr=0x620F1234,
    revidr=None,
    ctr=0x9444C006,
    clidr=0x82000025,
    ccsidr={0: 0x1A},
    ccidx=False,
    evt=0,
    dczid=None,
)


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """Return overrides.c, compiled to be loaded by QEMU itself."""
    image = tmp_path_factory.mktemp("overrides") / "overrides.elf"
    flags = ("-O1", "-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-mgeneral-regs-only")
    flags += ("-mstrict-align", "-nostdlib", "-static", "-fno-pie", "-no-pie", "-Wall", "-Wextra", "-Werror")
    flags += ("-Wl,-Ttext=0x40200000", "-Wl,--build-id=none")
    source = Path(__file__).with_name("overrides.c")
    process.run(["aarch64-linux-gnu-gcc", *flags, "-o", str(image), str(source)], Deadline(60))
    return image


class Ran:
    """What the program printed, as lists of numbers by name, and what the plugin reports."""

    def __init__(self, image: Path, model: str, cores: tuple[Core, ...] | None) -> None:
        deadline = Deadline(120)
        tool = qemu(deadline, print)
        argv = [*tool.argv, "-M", "virt,virtualization=on", "-cpu", model, "-smp", str(CPUS)]
        argv += ["-nographic", "-net", "none", "-monitor", "none", "-kernel", str(image)]
        with Overrides(cores or (FIRST,) * CPUS, plugin(tool, deadline)) as overrides:
            argv += overrides.argv if cores else ()
            child = process.spawn(argv, process.Streams(stdout=process.PIPE), pass_fds=overrides.descriptors)
            said, _ = child.communicate(timeout=deadline.remaining)
            self.declared, self.met = overrides.declared(), overrides.met()
        self.values: dict[str, list[int]] = {}
        for line in said.decode().splitlines():
            name, value = line.split()
            self.values.setdefault(name, []).append(int(value, 16))
        assert "end" in self.values, f"the program did not end well: {said.decode()[-300:]}"

    def one(self, name: str) -> int:
        (value,) = self.values[name]
        return value


@pytest.fixture(scope="module", params=["cortex-a57", "neoverse-n1", "max"])
def ran(request, program) -> Ran:
    return Ran(program, request.param, (FIRST, FIRST, SECOND, SECOND))


@pytest.fixture(scope="module")
def without(program) -> Ran:
    """Return the same without the plugin: what shows that the program can tell."""
    return Ran(program, "cortex-a57", None)


@pytest.mark.parametrize("name", ["in-block", "at-page-end", "fetch-fails-behind-it", "changed-ctr"])
def test_ctr_is_overridden_wherever_it_is_read(ran, without, name):
    assert ran.one(name) == FIRST.ctr
    assert without.one(name) != FIRST.ctr


@pytest.mark.parametrize(
    "name", ["svc-behind-it", "svc-behind-page-end", "changed-clidr", "untrapped", "untrapped-at-page-end"]
)
def test_clidr_is_overridden_wherever_it_is_read(ran, without, name):
    assert ran.one(name) == FIRST.clidr
    assert without.one(name) != FIRST.clidr


def test_interrupts_between_the_read_and_what_follows_lose_nothing(ran):
    assert ran.one("interrupts-between-enough") == 1, "no interrupt came in the place that this is about"
    assert ran.one("interrupts-wrong") == 0


def test_code_that_changes_is_looked_at_again(ran):
    assert ran.one("changed-mov") == 5
    assert ran.one("changed-unsteady") == 0


@pytest.mark.parametrize("name", ["trapped", "trapped-at-page-end"])
def test_what_a_trap_emulates_is_left_alone(ran, without, name):
    assert ran.one(name) == without.one(name) == 0xFA11


def test_sizes_go_by_the_selector(ran):
    assert ran.values["ccsidr"] == [FIRST.ccsidr[selector] for selector in range(14)]


def test_only_the_given_bits_change(ran, without):
    assert ran.one("mmfr2") >> 20 & 0xF == 1
    assert ran.one("dczid") == 0x7
    assert without.one("mmfr2") >> 20 & 0xF == 0


def test_identification_is_overridden_at_el2_only(ran):
    assert ran.one("midr-el2") == FIRST.midr
    assert ran.one("revidr-el2") == FIRST.revidr
    assert ran.one("midr-el1") == 0x410FD123  # what the program put into VPIDR_EL2


def test_each_cpu_has_its_own_values(ran):
    assert ran.values["smp-ctr"] == [FIRST.ctr, FIRST.ctr, SECOND.ctr, SECOND.ctr]
    assert ran.values["smp-clidr"] == [FIRST.clidr, FIRST.clidr, SECOND.clidr, SECOND.clidr]
    assert ran.values["smp-different"] == [0] * CPUS


def test_an_aarch32_instruction_that_looks_like_an_mrs_is_none(without, program):
    ran = Ran(program, "cortex-a57", (FIRST,) * CPUS)
    assert ran.one("aarch32-lookalike") == without.one("aarch32-lookalike") == 0x0BADCAFE


def test_every_override_is_counted(ran):
    assert ran.met.strays == 0
    assert any(site.ended_block and site.hits for site in ran.met.sites)
    for declared in ran.declared[:1]:
        unread = {name for name, hits in declared.hits.items() if not hits}
        assert not {name for name in unread if not name.startswith("CCSIDR2")}
    total = sum(sum(declared.hits.values()) for declared in ran.declared)
    assert total == sum(site.hits for site in ran.met.sites)


def test_without_the_plugin_nothing_is_counted(without):
    assert without.met.sites == ()
    assert not any(hits for declared in without.declared for hits in declared.hits.values())
