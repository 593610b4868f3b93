"""Saved VMs as files: nothing malformed is taken, by us or by the probe on the machine."""

import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from saved_state import BASE, CCSIDR0, CLIDR, HEAD, MEMORY, WIDE, Saved, page, register, vcpu
from served import served

from ccsight.errors import EvidenceError
from ccsight.paths import data_dir
from ccsight.probes import states
from ccsight.probes.vms import TYPE

HARNESS = r"""
#include <string.h>
#include "served.h"
#include "state.h"

int main(void)
{
    static unsigned char input[1 << 20];
    const struct state_type type = { .gic = 3, .vcpus = 2, .features = { 4, 4 } };
    char word[16];
    size_t count;

    while (next_input(word, input, sizeof(input), &count)) {
        unsigned char *exact = memcpy(malloc(count ? count : 1), input, count);
        const char *wrong = check_state(exact, count, 0x40000000UL, 0x400000UL);
        const char *unlike = wrong ? NULL : check_type(exact, count, &type);

        fputs(wrong ? wrong : !strcmp(word, "type") && unlike ? unlike : "good", answer);
        free(exact);
        send_answer(0);
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """Return what the probe's own code says of a state, under the sanitizers."""
    folder = tmp_path_factory.mktemp("state")
    vmm, include = (data_dir("guests") / part for part in ("vmm", "include"))
    with served(folder, HARNESS, [vmm / "state.c"], "-O1", f"-I{vmm}", f"-I{include}") as program:

        def checked(content: bytes, word: str = "-") -> str:
            status, said = program.ask(content, word)
            assert status == 0
            return said.decode()

        yield checked


def test_registers_come_back_by_vcpu_and_id(check):
    content = Saved(
        (vcpu(register(CLIDR, 5), register(CCSIDR0, problem=2)), vcpu(register(WIDE, 7)))
    ).content()
    state = states.parse(content, "here")
    assert [{hex(i): r.value for i, r in one.items()} for one in state.vcpus] == [
        {hex(CLIDR): 5, hex(CCSIDR0): None},
        {hex(WIDE): 7},
    ]
    assert state.vcpus[0][CCSIDR0].problem == "errno 2"
    assert (state.ids, state.pages) == ((CLIDR, CCSIDR0), 1)
    assert check(content) == "good"


ODD = {
    "another file": (Saved(head={"magic": b"\x7fELF\2\1\1\0"}), "magic", "magic"),
    "an earlier version": (Saved(head={"version": 1}), "version", "version"),
    "a later version": (Saved(head={"version": 3}), "version", "version"),
    "a probe of 32 bits": (Saved(head={"word": 32}), "word", "word (in bits) is 32 instead of 64"),
    "another probe's guest": (Saved(head={"wire": 2}), "wire", "wire format"),
    "a guest without an end": (Saved(head={"guest": b"x" * 20}), "guest", "no end"),
    "another architecture": (Saved(head={"machine": 62}), "machine", "architecture"),
    "a part": (Saved(head={"size": 1 << 20}), "size", "size"),
    "other memory": (Saved(head={"base": 0}), "memory", "address of memory"),
    "more memory": (Saved(head={"memory": MEMORY * 2}), "memory", "size of memory"),
    "other pages": (Saved(head={"page": 65536}), "memory", "page size"),
    "no vCPU": (Saved(head={"vcpus": 0}), "vcpus", "0 vCPUs"),
    "many vCPUs": (Saved(head={"vcpus": 9}), "vcpus", "9 vCPUs"),
    "a vCPU more": (Saved(head={"vcpus": 3}), "pages", ""),
    "a flipped bit": (Saved(head={"checksum": 1}), "checksum", "checksum"),
    "a page more": (Saved(head={"pages": 2}), "pages", "within"),
    "a page less": (Saved(head={"pages": 0}), "size", "left behind"),
    "a page elsewhere": (Saved(pages=(page(BASE + MEMORY),)), "pages", "no memory"),
    "half a page off": (Saved(pages=(page(BASE + 8),)), "pages", "no memory"),
    "a register of another size": (
        Saved((vcpu(register(CLIDR, 5)[:12] + b"\4\0\0\0" + bytes(8)),)),
        "registers",
        "4 bytes, not 8",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_a_state_that_is_not_right_is_refused(name, check):
    saved, reason, words = ODD[name]
    assert check(saved.content()) == reason
    with pytest.raises(EvidenceError, match="not a state that can be restored") as refused:
        states.parse(saved.content(), "here")
    assert words in refused.value.evidence


#: VMs of another type than ours: what the probe says of them, and what we say.
UNLIKE = {
    "one vCPU": (Saved((vcpu(),)), "other-vcpus", "vCPUs 1 instead of 2; vCPU features 0x4 instead of"),
    "no GIC": (Saved(head={"gic": 0}), "other-gic", "GIC none instead of 3"),
    "an older GIC": (Saved(head={"gic": 2}), "other-gic", "GIC 2 instead of 3"),
    "a PMU": (
        Saved((vcpu(features=12),) * 2),
        "other-features",
        "vCPU features 0xc, 0xc instead of 0x4, 0x4",
    ),
    "a PMU on vCPU 1": (
        Saved((vcpu(), vcpu(features=12))),
        "other-features",
        "vCPU features 0x4, 0xc instead of",
    ),
    # The probe has no guest in a VM that is to be restored, so it cannot tell.
    "another guest": (Saved(head={"guest": b"sweep"}), "good", "guest sweep instead of remember"),
    "no guest": (Saved(head={"guest": b""}), "good", "guest none instead of remember"),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_a_state_of_another_type_of_vm_is_told_from_a_malformed_one(name, check):
    saved, reason, words = UNLIKE[name]
    content = saved.content()
    assert (check(content), check(content, "type")) == ("good", reason)
    with pytest.raises(EvidenceError, match="a VM of another type") as refused:
        states.require(states.parse(content, "here").type, TYPE, "here")
    assert words in refused.value.evidence


def test_a_state_of_our_type_is_taken(check):
    content = Saved().content()
    states.require(states.parse(content, "here").type, TYPE, "here")
    assert check(content, "type") == "good"


def test_a_register_that_is_there_twice_is_refused():
    with pytest.raises(EvidenceError) as refused:
        states.parse(Saved((vcpu(register(CLIDR), register(CLIDR)),)).content(), "here")
    assert "twice" in refused.value.evidence


def test_every_cut_is_refused(check):
    whole = Saved().content()
    for size in [0, 1, HEAD - 1, HEAD, HEAD + 1, *range(HEAD + 2, 230, 7), len(whole) - 1]:
        assert check(whole[:size]) != "good"
        with pytest.raises(EvidenceError):
            states.parse(whole[:size], "here")


@settings(max_examples=150)
@given(at=st.integers(0, 240), value=st.binary(min_size=1, max_size=8))
@example(at=72, value=b"\xff" * 8)
def test_the_probe_takes_what_we_take_whatever_is_in_it(at, value, check):
    """With a checksum that is right, so that all behind it is looked at."""
    content = bytearray(Saved().content())
    content[at : at + len(value)] = value
    content[HEAD - 8 : HEAD] = zlib.crc32(content[HEAD:]).to_bytes(8, "little")
    refused = _refusal(bytes(content))
    taken = check(bytes(content)) == "good"
    assert taken is (not refused) or "twice" in refused, "the probe alone does not look for repeats"


def _refusal(content: bytes) -> str:
    try:
        states.parse(content, "here")
    except EvidenceError as error:
        return error.evidence
    return ""
