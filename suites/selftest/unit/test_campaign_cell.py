"""What a cell must prove before anything that was seen on it counts."""

import dataclasses

import msgspec
import pytest
from asymmetric import declared, looked_into, m2_native
from recorded import STREAMS

from ccsight.campaign import booting, facts
from ccsight.errors import BootError, ProbeError, WrongKernel
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Vantage
from ccsight.kernels.model import Kernel
from ccsight.kernels.spec import parse
from ccsight.machines.local import LocalHost
from ccsight.machines.model import Booted
from ccsight.probes.identity import identity
from ccsight.probes.stream import parse as parse_stream

SEEN = identity(parse_stream((STREAMS / "neoverse-n1-6.12" / "identity.stream").read_bytes(), "test"))
TOKEN = SEEN.command_line.partition("ccsight.boot=")[2].split()[0]


def kernel(**others) -> Kernel:
    facts = {"release": SEEN.release, "build_ids": frozenset({SEEN.build_id})} | others
    return Kernel(parse("deb:6.12"), "deb:6.12", image=None, image_sha256="", **facts)


def booted(**others) -> Booted:
    return dataclasses.replace(Booted(LocalHost(), TOKEN, len(SEEN.cpus)), **others)


def test_the_right_kernel_in_the_right_boot_is_taken():
    booting.prove(SEEN, kernel(), booted())


@pytest.mark.parametrize(
    ("seen", "wanted", "error", "words"),
    [
        (booted(boot_token="another"), kernel(), BootError, "another system answers"),
        (booted(boot_token=""), kernel(), BootError, "another system answers"),
        (booted(cpus=len(SEEN.cpus) + 1), kernel(), BootError, "CPUs online instead of"),
        (booted(), kernel(release="6.12.1"), WrongKernel, "another kernel"),
        (booted(), kernel(build_ids=frozenset({"00"})), WrongKernel, "another kernel"),
        (booted(), kernel(build_ids=frozenset()), WrongKernel, "another kernel"),
    ],
)
def test_what_is_not_what_was_asked_for_is_refused(seen, wanted, error, words):
    with pytest.raises(error, match=words):
        booting.prove(SEEN, wanted, seen)


def test_hardware_that_reads_what_is_declared_is_taken():
    seen = looked_into(declared(m2_native()))
    views = tuple(view for view in seen.views if view.vantage is Vantage.HARDWARE)
    facts.prove_declared(seen.machine.declared, views)


@pytest.mark.parametrize(
    ("name", "wanted", "words"),
    [
        ("CCSIDR_EL1[2]", 0x1A, "CCSIDR_EL1[2] is 0x73ffe07b, declared 0x1a"),
        ("ID_AA64MMFR2_EL1.CCIDX", 1, "ID_AA64MMFR2_EL1.CCIDX is 0x0, declared 0x1"),
    ],
)
def test_hardware_that_reads_something_else_is_an_error_of_ours(name, wanted, words):
    seen = looked_into(declared(m2_native()))
    views = tuple(view for view in seen.views if view.vantage is Vantage.HARDWARE)
    rows = list(seen.machine.declared)
    rows[2] = msgspec.structs.replace(rows[2], registers=rows[2].registers | {name: Hex(wanted)})
    with pytest.raises(ProbeError, match="CPU 2 does not read") as raised:
        facts.prove_declared(tuple(rows), views)
    assert words in raised.value.evidence
