"""The layers of an emulated host's root filesystem."""

import gzip
import io
import lzma
import stat
import struct
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ccsight.deadline import Deadline
from ccsight.errors import BootError
from ccsight.kernels.model import Kernel
from ccsight.machines import cpio, initramfs, keys, modules
from ccsight.specs import Spec


def unpacked(content):
    """Read concatenated newc archives as the kernel does: name -> (mode, data)."""
    found, at = {}, 0
    while at < len(content):
        if content[at] == 0:
            at += 4
            continue
        assert content[at : at + 6] == b"070701"
        fields = [int(content[at + 6 + 8 * index : at + 14 + 8 * index], 16) for index in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = content[at + 110 : at + 110 + length - 1].decode()
        start = at + (110 + length + 3) // 4 * 4
        if name != "TRAILER!!!":
            found[name] = (mode, content[start : start + size])
        at = start + (size + 3) // 4 * 4
    return found


def module(*depends):
    """Return a relocatable ELF object with a .modinfo section, as small as it gets."""
    info = b"license=GPL\0depends=" + ",".join(depends).encode() + b"\0"
    names = b"\0.modinfo\0.shstrtab\0"
    header, section = 64, 64
    table = header + len(info) + len(names)
    elf = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 1, 183, 1, 0, 0, table, 0, header, 0, 0, section, 3, 2
    )
    rows = [
        struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        struct.pack("<IIQQQQIIQQ", 1, 1, 2, 0, header, len(info), 0, 0, 1, 0),
        struct.pack("<IIQQQQIIQQ", 10, 3, 0, 0, header + len(info), len(names), 0, 0, 1, 0),
    ]
    return elf + info + names + b"".join(rows)


@pytest.fixture
def tree(tmp_path):
    """A modules folder: net → core → base, pci → base; packed in each way there is."""
    folder = tmp_path / "modules"
    for place, content in {
        "kernel/net/virtio_net.ko.xz": lzma.compress(module("net-core")),
        "kernel/net/core/net-core.ko.gz": gzip.compress(module("base")),
        "kernel/drivers/virtio_pci.ko": module("base", "built_in"),
        "kernel/drivers/base.ko": module(),
        "kernel/drivers/unwanted.ko": module("base"),
    }.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(content)
    return folder


@pytest.fixture
def userland(tmp_path):
    folder = tmp_path / "userland"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/busybox").write_bytes(b"box")
    (folder / "bin/busybox").chmod(0o755)
    return folder


def test_an_archive_reads_back():
    entries = [
        cpio.folder("a"),
        cpio.file("a/b", b"12345", 0o600),
        cpio.link("a/c", "b"),
        cpio.node("n", 5, 1),
    ]
    found = unpacked(cpio.archive(entries))
    assert list(found) == ["a", "a/b", "a/c", "n"]
    assert found["a/b"] == (stat.S_IFREG | 0o600, b"12345")
    assert found["a/c"] == (stat.S_IFLNK | 0o777, b"b")
    assert stat.S_ISCHR(found["n"][0])


def test_archives_that_are_joined_read_as_one():
    found = unpacked(cpio.archive([cpio.file("x", b"old")]) + cpio.archive([cpio.file("x", b"new")]))
    assert found["x"][1] == b"new"


def test_cpio_reads_an_archive(tmp_path):
    archive = tmp_path / "a.cpio"
    archive.write_bytes(cpio.archive([cpio.folder("d"), cpio.file("d/f", b"x" * 4097)]))
    with archive.open("rb") as stdin:
        done = subprocess.run(["cpio", "-it"], stdin=stdin, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["d", "d/f"]


def test_modules_load_after_what_they_need(tree):
    order = [name for name, _ in modules.load_order(tree, ["virtio_pci", "virtio_net"])]
    assert order == ["base", "virtio_pci", "net_core", "virtio_net"]


def test_modules_are_unpacked(tree):
    assert dict(modules.load_order(tree, ["virtio_net"]))["virtio_net"] == module("net-core")


def test_what_is_built_in_is_left_out(tree):
    assert modules.load_order(tree, ["virtio_mmio"]) == []


def test_modules_that_need_each_other_do_not_loop(tmp_path):
    (tmp_path / "a.ko").write_bytes(module("b"))
    (tmp_path / "b.ko").write_bytes(module("a"))
    assert [name for name, _ in modules.load_order(tmp_path, ["a"])] == ["b", "a"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.ko", b"no elf", "is not a kernel module"),
        ("a.ko.xz", b"no xz", "cannot be read"),
        ("a.ko.gz", b"no gzip", "cannot be read"),
        ("a.ko.zst", b"", "packed in a way that ccsight does not read"),
    ],
)
def test_a_bad_module_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BootError, match=message):
        modules.load_order(tmp_path, ["a"])


def test_a_whole_initramfs(tree, userland, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kernel = Kernel(Spec("x", "image", "x", ()), "x", "6", tmp_path, "00", frozenset(), modules=tree)
    secret = keys.fresh()
    out = io.BytesIO()
    initramfs.write(out, initramfs.layers(userland, kernel, Deadline(10)), secret)
    found = unpacked(out.getvalue())
    assert found["init"][0] == stat.S_IFREG | 0o755
    assert found["bin/sh"][1] == b"busybox"
    assert found["bin/busybox"] == (stat.S_IFREG | 0o755, b"box")
    assert found["modules/order"][1].split() == [
        b"base.ko",
        b"virtio_pci.ko",
        b"net_core.ko",
        b"virtio_net.ko",
    ]
    assert found["etc/dropbear/hostkey"] == (stat.S_IFREG | 0o600, secret.host_private)
    assert secret.client_public.encode() in found["root/.ssh/authorized_keys"][1]
    for name in found:
        assert "/" not in name or name.rpartition("/")[0] in found, f"no folder for {name}"


def test_layers_are_made_once_and_anew_for_other_sources(tree, userland, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kernel = Kernel(Spec("x", "image", "x", ()), "x", "6", tmp_path, "00", frozenset(), modules=tree)
    first = initramfs.layers(userland, kernel, Deadline(10))
    times = [layer.stat().st_mtime_ns for layer in first]
    assert initramfs.layers(userland, kernel, Deadline(10)) == first
    assert [layer.stat().st_mtime_ns for layer in first] == times
    (userland / "bin/busybox").write_bytes(b"another")
    (tree / "modules.order").write_text("new")
    assert not set(initramfs.layers(userland, kernel, Deadline(10))) & set(first)


def test_the_host_key_is_in_dropbears_format():
    secret = keys.fresh()
    size = struct.unpack(">I", secret.host_private[:4])[0]
    assert secret.host_private[4 : 4 + size] == b"ssh-ed25519"
    seed_and_public = secret.host_private[8 + size :]
    assert len(seed_and_public) == 64
    public = Ed25519PrivateKey.from_private_bytes(seed_and_public[:32]).public_key()
    assert public.public_bytes_raw() == seed_and_public[32:]


def test_private_keys_do_not_show():
    secret = keys.fresh()
    assert "PRIVATE" not in repr(secret)
    assert secret.host_public in repr(secret)


def test_the_kernels_image_lies_in_the_machine_only_where_it_is_asked_for(tmp_path):
    image = tmp_path / "Image"
    image.write_bytes(b"kernel")
    plain, asked = io.BytesIO(), io.BytesIO()
    secret = keys.fresh()
    initramfs.write(plain, [], secret)
    initramfs.write(asked, [], secret, image)
    found = unpacked(asked.getvalue())
    assert found["boot/Image"] == (stat.S_IFREG | 0o644, b"kernel")
    assert found.keys() - unpacked(plain.getvalue()).keys() == {"boot", "boot/Image"}
