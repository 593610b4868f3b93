"""The guests' search for their console, in device trees that are made by hand, under the sanitizers."""

import struct

import pytest
from devicetree import Tree, address, pl011, root
from hypothesis import given, settings
from hypothesis import strategies as st
from served import served

from ccsight.paths import data_dir

#: Reads a device tree; nothing of ours is behind it, so that a look beyond its end is seen.
HARNESS = r"""
#include <string.h>
#include "devicetree.h"
#include "served.h"

int main(void)
{
    static unsigned char input[1 << 20];
    char word[16];
    size_t count;

    while (next_input(word, input, sizeof(input), &count)) {
        unsigned char *exact = memcpy(malloc(count), input, count);
        uint32_t size = count < 8 ? 0 : tree_size(exact);
        struct uart uart;

        if (!size)
            fputs("no tree", answer);
        else if (size > count)
            fputs("not all there", answer);
        else if (!tree_console(exact, size, &uart))
            fputs("no console", answer);
        else
            fprintf(answer, "%u %#llx %u", uart.kind, (unsigned long long)uart.base, uart.shift);
        free(exact);
        send_answer(0);
    }
    return 0;
}
"""
PL011, UART8250 = "1", "2"


@pytest.fixture(scope="module")
def find(tmp_path_factory):
    folder, include = tmp_path_factory.mktemp("devicetree"), data_dir("guests") / "bare" / "common"
    with served(folder, HARNESS, (), f"-I{include}") as program:

        def found(tree: bytes) -> str:
            status, said = program.ask(tree)
            assert status == 0
            return said.decode()

        yield found


def test_a_pl011_is_found_wherever_it_is(find):
    assert find(root().node("pl011@1", **pl011(0x9000000)).end().blob()) == f"{PL011} 0x9000000 0"
    assert find(root().node("pl011@1", **pl011(0x12_3456_7000)).end().blob()) == f"{PL011} 0x1234567000 0"
    assert find(root(1).node("pl011@1", **pl011(0xFF000000, 1)).end().blob()) == f"{PL011} 0xff000000 0"
    assert find(root(None).node("pl011@1", **pl011(0x9000000)).end().blob()) == f"{PL011} 0x9000000 0"


def test_an_8250_is_found_with_its_shift(find):
    uart = {"compatible": "ns16550a", "reg": address(0x1000000)}
    assert find(root().node("U6_16550A@1", **uart).end().blob()) == f"{UART8250} 0x1000000 0"
    assert find(root().node("serial@1", reg_shift=2, **uart).end().blob()) == f"{UART8250} 0x1000000 2"
    assert find(root().node("serial@1", **uart, reg_shift=3).end().blob()) == "no console"


def test_the_parent_says_how_long_an_address_is(find):
    tree = root().begin("soc").prop("#address-cells", 1).node("serial@1", **pl011(0x9000000, 1)).end().end()
    assert find(tree.blob()) == f"{PL011} 0x9000000 0"
    # the root's own children are not those of the folder before them
    tree = root().begin("soc").prop("#address-cells", 1).end().node("serial@1", **pl011(0x9000000)).end()
    assert find(tree.blob()) == f"{PL011} 0x9000000 0"


def test_the_first_one_that_is_not_disabled_is_taken(find):
    tree = root().node("memory@1", device_type="memory", reg=address(0x40000000))
    tree.node("serial@1", status="disabled", **pl011(0x1000)).nop().node("serial@2", **pl011(0x2000))
    assert find(tree.node("serial@3", status="okay", **pl011(0x3000)).end().blob()) == f"{PL011} 0x2000 0"


def test_a_node_is_taken_though_it_has_children(find):
    tree = root().begin("serial@1").prop("compatible", "arm,pl011").prop("reg", address(0x1000))
    assert find(tree.node("bluetooth", compatible="x").end().end().blob()) == f"{PL011} 0x1000 0"


@pytest.mark.parametrize(
    "tree",
    [
        Tree(),
        root().end(),
        root().node("serial@1", compatible="arm,pl011").end(),
        root().node("serial@1", compatible=b"arm,pl011", reg=address(0x1000)).end(),
        root().node("serial@1", compatible="arm,pl011x", reg=address(0x1000)).end(),
        root().node("serial@1", compatible="xarm,pl011", reg=address(0x1000)).end(),
        root().node("serial@1", **pl011(0x1000) | {"reg": b"\0" * 7}).end(),
        root(0).node("serial@1", **pl011(0x1000)).end(),
        root(3).node("serial@1", **pl011(0x1000)).end(),
        Tree().prop("compatible", "arm,pl011").prop("reg", address(0x1000)).end(),
        Tree().end().begin("serial").prop("compatible", "arm,pl011"),
        root().end().node("serial@1", **pl011(0x1000)),
    ],
)
def test_no_console_is_no_console(find, tree):
    assert find(tree.blob()) == "no console"


def test_a_tree_that_is_too_deep_is_given_up(find):
    def deep(levels: int) -> bytes:
        tree = root()
        for _ in range(levels):
            tree.begin("soc").prop("#address-cells", 2)
        tree.node("serial@1", **pl011(0x1000))
        for _ in range(levels + 1):
            tree.end()
        return tree.blob()

    assert find(deep(14)) == f"{PL011} 0x1000 0"
    assert find(deep(15)) == "no console"
    assert find(deep(5000)) == "no console"


WHOLE = root().node("memory@1", reg=address(0x40000000)).node("serial@1", **pl011(0x9000000)).end().blob()


@pytest.mark.parametrize("field", range(10))
@pytest.mark.parametrize("number", [0, 1, 7, 39, 40, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF])
def test_a_header_that_lies_is_survived(find, field, number):
    find(WHOLE[: 4 * field] + struct.pack(">I", number) + WHOLE[4 * field + 4 :])


@pytest.mark.parametrize("number", [0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFD, 0xFFFFFFFF])
def test_a_length_that_lies_is_not_followed(find, number):
    for place in range(56, len(WHOLE) - 4, 4):
        find(WHOLE[:place] + struct.pack(">I", number) + WHOLE[place + 4 :])


def test_a_tree_that_ends_early_is_survived(find):
    for size in range(40, len(WHOLE)):
        cut = WHOLE[:4] + struct.pack(">I", size) + WHOLE[8:size]
        assert find(cut) in ("no console", f"{PL011} 0x9000000 0")


def test_what_is_no_tree_is_none(find):
    assert find(b"") == "no tree"
    assert find(bytes(64)) == "no tree"
    assert find(struct.pack(">II", 0xD00DFEED, 39) + bytes(64)) == "no tree"
    assert find(struct.pack(">II", 0xD00DFEED, 0x200001) + bytes(64)) == "no tree"


@settings(max_examples=60)
@given(st.integers(8, len(WHOLE)), st.binary(max_size=24))
def test_broken_trees_are_survived(find, place, content):
    broken = WHOLE[:place] + content + WHOLE[place + len(content) :]
    find(broken[:4] + struct.pack(">I", len(broken)) + broken[8:])
