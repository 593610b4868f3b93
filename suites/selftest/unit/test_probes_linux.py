"""Streams of ``ccprobe linux`` and ``ccprobe caches``, ways to describe caches, and device trees of them."""

import re
import struct
import tarfile

import pytest
from linux_samples import LISTED, guest, host, raw
from recorded import capture

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError, DeadlineExceeded, HostLost, Interrupted, NoKvm, ProbeError
from ccsight.evidence.linux import CLIDR, LOST, LOWERED, OFF, OVERRIDE, SYSFS, Leaf
from ccsight.evidence.views import Vantage
from ccsight.probes import linux
from ccsight.probes.flat_tree import Node, blob
from ccsight.probes.linux_stream import host_leaves, told
from ccsight.probes.linux_tree import linux_tree
from ccsight.probes.linux_ways import caches_of, clidr_of, ways
from ccsight.probes.stream import parse

DATA, INSTRUCTION, UNIFIED = "Data", "Instruction", "Unified"
SPLIT = (Leaf(level=1, type=DATA), Leaf(level=1, type=INSTRUCTION))


def stream(program, *lines):
    numbered = [f"{line.partition(' ')[0]} n={n} {line.partition(' ')[2]}" for n, line in enumerate(lines, 1)]
    text = "\n".join(
        [f"@begin ccsight 1 {program}", *(line.strip() for line in numbered), f"@end {len(lines)}"]
    )
    return parse(f"{text}\n".encode(), program)


def ended(*lines):
    clidr = [f"clidr vcpu={n} when=start value=0x21" for n in (0, 1)]
    return told(stream("ccprobe-linux", "kvm api=12", "vm vcpus=2", *clidr, *lines), 2)


def seen(model, series):
    return capture(model, series).view(Vantage.GUEST, 0)


def views(model, series):
    return capture(model, series).views


def test_a_guest_that_ended_is_read_whole():
    found = guest(SYSFS)
    assert (found.end, found.clidr_start, found.clidr_end) == (OFF, (0x2000021,) * 2, (0x2000021,) * 2)
    assert [cpu.index for cpu in found.cpus] == [0, 1]
    leaf = Leaf(level=1, type=INSTRUCTION, size=65536, line=64, ways=4, sets=256, shared="0")
    assert found.cpus[0].leaves == (leaf,)
    assert not found.domains_told
    assert found.messages == ("cacheinfo: Unable to detect cache hierarchy for CPU 0",)
    assert found.console[-1] == "reboot: Power down"


def test_the_hosts_caches_are_those_of_its_first_cpu():
    assert [(leaf.name, leaf.size) for leaf in host()] == [("L1D", 65536), ("L1I", 65536)]


def test_a_host_without_the_folder_has_none():
    said = stream("ccprobe-caches", "cpus possible=0 online=0", "cpu index=0 cache=0")
    assert host_leaves(said) == ()


@pytest.mark.parametrize(
    "what", ["guest-does-not-end seconds=0x1e", "guest-says-too-much vcpu=0", "guest-mmio vcpu=0 address=0x5"]
)
def test_a_guest_that_ccprobe_ended_says_why_and_its_last_words(what):
    found = ended("console line=Oops", f"error what={what}")
    assert (found.end, found.console, found.cpus) == (what.split()[0], ("Oops",), ())


def test_a_guest_that_was_reset_has_ended_so():
    assert ended("end how=reset").end == "reset"


def test_a_value_that_is_refused_is_told():
    found = ended("set vcpu=0 id=0x1 value=0x2 errno=EINVAL", "end how=refused")
    assert (found.end, found.refused) == ("refused", "EINVAL")


def test_without_kvm_there_is_no_guest():
    with pytest.raises(NoKvm):
        told(stream("ccprobe-linux", "kvm errno=ENOENT"), 2)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("end how=given-back",),
        ("end how=reset", "end how=reset"),
        ("end how=off",),  # and it never said a word
        ("error what=KVM_CREATE_DEVICE-gic errno=ENODEV",),
        ("error what=guest-exit vcpu=0 reason=0x11", "error what=guest-exit vcpu=1 reason=0x11"),
        ("nonsense a=1", "end how=reset"),
    ],
)
def test_anything_else_is_an_error(lines):
    with pytest.raises(ProbeError):
        ended(*lines)


@pytest.mark.parametrize(
    "leaf",
    [
        "cpu=1 index=0 level=1 type=Data",
        "cpu=0 index=1 level=1 type=Data",
        "cpu=0 index=0 level=1 type=Trace",
        "cpu=0 index=0 level=x type=Data",
        "cpu=0 index=0 level=1 type=Data size=64",
        "cpu=0 index=0 level=1 type=Data shared=all",
    ],
)
def test_a_leaf_that_cannot_be_is_an_error(leaf):
    with pytest.raises(ProbeError):
        host_leaves(
            stream("ccprobe-caches", "cpus possible=0 online=0", "cpu index=0 cache=1", f"leaf {leaf}")
        )


def test_a_guests_stream_that_is_cut_is_an_error():
    text = raw("neoverse-n1-6.12/linux-0").replace(b"line=@end%208\n", b"line=@end%209\n")
    with pytest.raises(ProbeError):
        told(parse(text, "linux"), 2)


def test_there_are_four_ways_where_sysfs_and_clidr_differ_and_ctr_promises_something():
    found = ways(views("neoverse-n1", "6.12"), host())
    assert [(way.device_tree, way.override, way.ctr) for way in found] == [
        (CLIDR, None, None),
        (SYSFS, None, None),
        (OVERRIDE, 0x1000003, None),
        (LOWERED, None, 0x8444C004),
    ]
    assert found[0].described == found[3].described == LISTED
    assert [way.writes for way in found] == [
        [],
        [],
        ["603000000013c801=1000003"],
        ["603000000013d801=8444c004"],
    ]


def test_there_are_fewer_where_they_agree_or_sysfs_has_nothing():
    assert [way.device_tree for way in ways(views("neoverse-n1", "6.12"), ())] == [CLIDR, LOWERED]
    agreeing = caches_of(seen("cortex-a57", "6.1"), 0x0A200023)
    found = ways(views("cortex-a57", "6.1"), agreeing)
    assert [way.device_tree for way in found] == [CLIDR, SYSFS]


def test_a_hierarchy_that_no_register_can_hold_is_not_written():
    twice = (*SPLIT, Leaf(level=2, type=UNIFIED), Leaf(level=2, type=UNIFIED))
    assert clidr_of(twice, 0) is None
    assert OVERRIDE not in {way.device_tree for way in ways(views("neoverse-n1", "6.12"), twice)}


def test_sizes_are_those_of_the_cpu_and_not_those_that_kvm_makes_up():
    real = caches_of(seen("cortex-a57", "6.1"), 0x0A200023)
    assert {leaf.name: leaf.size for leaf in real} == {"L1I": 48 << 10, "L1D": 32 << 10, "L2": 2 << 20}
    assert caches_of(seen("neoverse-n1", "6.12"), 0x2000021) == LISTED


@pytest.mark.parametrize(
    ("leaves", "ctr", "clidr"),
    [
        (SPLIT, 1 << 28, 0x1000003),
        (SPLIT, 0, 0x9200003),
        ((*SPLIT, Leaf(level=2, type=UNIFIED), Leaf(level=3, type=UNIFIED)), 1 << 28, 0x3000123),
        ((*SPLIT, Leaf(level=2, type=UNIFIED)), 0, 0xA200023),
    ],
)
def test_a_clidr_is_made_of_sysfs_as_firecracker_does(leaves, ctr, clidr):
    assert clidr_of(leaves, ctr) == clidr


def unpacked(tree: bytes) -> dict[str, bytes]:
    """Return the properties of a tree by their paths."""
    _, total, at, strings, *_ = struct.unpack(">10I", tree[:40])
    assert total == len(tree)
    path, found = [], {}
    while (token := struct.unpack_from(">I", tree, at)[0]) != 9:
        at += 4
        if token == 1:
            name = tree[at : tree.index(0, at)].decode()
            path.append(name)
            at += (len(name) + 4) & ~3
        elif token == 2:
            path.pop()
        else:
            size, offset = struct.unpack_from(">II", tree, at)
            key = tree[strings + offset : tree.index(0, strings + offset)].decode()
            found["/".join([*path, key])] = tree[at + 8 : at + 8 + size]
            at += 8 + (size + 3 & ~3)
    return found


def test_a_tree_holds_what_was_put_into_it():
    root = Node("", {"#address-cells": 2, "empty": None, "words": ("a", "bc")})
    root.add("child", {"bytes": b"\1\2\3", "numbers": (1, 2), "#address-cells": 1})
    assert unpacked(blob(root)) == {
        "/#address-cells": b"\0\0\0\2",
        "/empty": b"",
        "/words": b"a\0bc\0",
        "/child/bytes": b"\1\2\3",
        "/child/numbers": b"\0\0\0\1\0\0\0\2",
        "/child/#address-cells": b"\0\0\0\1",
    }


def test_the_tree_counts_its_caches_also_where_no_size_is_known():
    found = unpacked(linux_tree(2, LISTED, 100))
    assert found["/cpus/cpu@1/i-cache-size"] == bytes(4)
    assert "/cpus/cpu@1/d-cache-size" not in found
    assert found["/cpus/cache-2-1/cache-size"] == bytes(4)
    assert found["/cpus/cache-2-1/cache-unified"] == b""
    assert found["/cpus/cpu@1/next-level-cache"] == found["/cpus/cache-2-1/phandle"]
    assert found["/cpus/cache-2-0/phandle"] != found["/cpus/cache-2-1/phandle"]


def test_a_cache_that_the_hosts_cpus_share_is_one_for_all_vcpus():
    found = unpacked(linux_tree(2, (*SPLIT, Leaf(level=3, type=UNIFIED, size=4096, shared="0-3")), 100))
    assert "/cpus/cache-3-1/phandle" not in found
    assert found["/cpus/cpu@0/next-level-cache"] == found["/cpus/cpu@1/next-level-cache"]
    assert found["/cpus/cache-3-0/cache-size"] == b"\0\0\x10\0"


def test_a_cache_of_no_type_is_an_observation_that_no_vmm_can_hand_on():
    odd = stream(
        "ccprobe-caches",
        "cpus possible=0 online=0",
        "cpu index=0 cache=1",
        "leaf cpu=0 index=0 level=1 type=Data",
        "leaf cpu=0 index=1 type=Unified",
        "leaf cpu=0 index=2 level=2",
    )
    assert host_leaves(odd) == (Leaf(level=1, type=DATA),)


def test_lscpu_is_put_together_and_its_absence_is_told():
    text = raw("neoverse-n1-6.12/linux-0")
    assert guest(CLIDR).lscpu == ""
    assert said_by(text, "lscpu n={} at=0 value=NAME%20", "lscpu n={} at=5 value=L1i%0A") == "NAME L1i\n"
    assert said_by(text, "lscpu n={} errno=ENOENT") == "not run: ENOENT"
    with pytest.raises(ProbeError):
        said_by(text, "lscpu n={} at=0 value=NAME", "lscpu n={} at=5 value=L1i")


def said_by(text, *lines):
    """Return ``lscpu`` of a recorded guest whose init says these lines, too, before its end."""
    found = [line for line in text.decode().splitlines() if " n=" in line]
    last = next(at for at, line in enumerate(found) if "line=@end" in line)
    number = int(found[last].partition("%20")[2])
    told_too = [line.format(number + n) for n, line in enumerate(lines, 1)]
    ended = f"@end {number + len(lines)}"
    found[last : last + 1] = [f"guest n=0 vcpu=0 line={quoted(line)}" for line in (*told_too, ended)]
    plain = [re.sub(r" n=[0-9]+", "", line, count=1) for line in found]
    return told(stream("ccprobe-linux", *plain), 2).lscpu


def quoted(text):
    return text.replace("%", "%25").replace(" ", "%20")


class Sent:
    """A probe on a host: what it was given, and how each of its Linux guests ends."""

    def __init__(self, *ends):
        self.ends, self.programs, self.files, self.asked = list(ends), {}, [], []

    def caches(self, deadline):
        return parse(raw("neoverse-n1-6.12/caches"), "caches")

    def lay(self, bundle, deadline):
        with tarfile.open(bundle) as archive:
            self.files = archive.getnames()

    def linux(self, name, arguments, deadline):
        self.asked.append(arguments)
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return parse(raw(f"neoverse-n1-6.12/linux-{end}"), name)


@pytest.fixture
def no_programs(tmp_path, monkeypatch):
    """Nothing is compiled or fetched."""
    (tmp_path / linux.build.LINUX_INIT).write_bytes(b"init")
    monkeypatch.setattr(linux.build, "built", lambda deadline: tmp_path)

    def gone(deadline, report):
        raise ArchiveError("the archive cannot be reached")

    monkeypatch.setattr(linux, "guest_userland", gone)
    (tmp_path / "Image").write_bytes(b"kernel")
    return tmp_path / "Image"


def observed(probe, image, at=""):
    return linux.observe(probe, image, views("neoverse-n1", "6.12"), Deadline(5), at=at)


def test_a_guest_that_is_lost_does_not_take_the_others_with_it(no_programs):
    found = observed(Sent(0, ProbeError("odd"), DeadlineExceeded("late"), HostLost("gone")), no_programs)
    assert [(guest.device_tree, guest.end) for guest in found] == [
        (CLIDR, OFF),
        (SYSFS, LOST),
        (OVERRIDE, LOST),
        (LOWERED, LOST),
    ]
    assert [guest.console for guest in found[1:]] == [("odd",), ("late",), ("gone",)]
    assert found[0].lscpu == "not run: the archive cannot be reached"


def test_where_all_are_lost_the_first_reason_is_told(no_programs):
    with pytest.raises(HostLost, match="gone"):
        observed(Sent(HostLost("gone"), *[DeadlineExceeded("late")] * 3), no_programs)


def test_an_interruption_is_none_of_these(no_programs):
    with pytest.raises(Interrupted):
        observed(Sent(Interrupted("ctrl-c")), no_programs)


def test_the_kernel_is_sent_only_where_it_is_not_at_hand(no_programs):
    sent, there = Sent(0, 1, 2, 0), Sent(0, 1, 2, 0)
    observed(sent, no_programs)
    observed(there, no_programs, at="/boot/Image")
    assert set(sent.files) - set(there.files) == {"Image"}
    assert {words[0] for words in sent.asked} == {"Image"}
    assert {words[0] for words in there.asked} == {"/boot/Image"}


def test_a_hierarchy_of_any_size_can_be_told_and_read():
    vast = Leaf(level=1, type=DATA, size=1 << 32, line=2048, sets=1 << 24)
    found = unpacked(linux_tree(1, (vast,), 100))
    assert found["/cpus/cpu@0/d-cache-size"] == bytes(4)
    assert found["/cpus/cpu@0/d-cache-sets"] == b"\1\0\0\0"
    said = stream(
        "ccprobe-caches",
        "cpus possible=0 online=0",
        "cpu index=0 cache=1",
        "leaf cpu=0 index=0 level=1 type=Data size=0K sets=16777216",
    )
    assert host_leaves(said) == (Leaf(level=1, type=DATA, size=0, sets=1 << 24),)
