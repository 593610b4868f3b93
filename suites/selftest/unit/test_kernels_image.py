"""Images as bytes, and the kernels that a user brings."""

import gzip
import lzma
import os
from pathlib import Path

import pytest
from tiny_archive import fake_image

from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.kernels import image
from ccsight.kernels.model import Kernel
from ccsight.kernels.spec import parse, resolve

ID = bytes(range(20))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def get(text: str) -> Kernel:
    return resolve(text, Deadline(10), lambda _: None)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def zboot(method: bytes, packed: bytes) -> bytes:
    """An EFI zboot image: drivers/firmware/efi/libstub/zboot-header.S."""
    sizes = (64).to_bytes(4, "little") + len(packed).to_bytes(4, "little")
    head = b"MZ\0\0zimg" + sizes + bytes(8) + method + b"\0"
    return head.ljust(64, b"\0") + packed + b"\x12\x34\x56\x78"


def test_identity(tmp_path: Path) -> None:
    who = image.identify(write(tmp_path / "Image", fake_image("6.12.1+x", ID)))
    assert (who.release, who.build_ids) == ("6.12.1+x", {ID.hex()})
    assert "#1 SMP" in who.banner, "the template without a build number lies before the real one"


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        lambda plain: zboot(b"gzip", gzip.compress(plain)),
        lambda plain: zboot(b"lzma", lzma.compress(plain, lzma.FORMAT_ALONE)),
        lambda plain: zboot(b"xzkern", lzma.compress(plain)),
    ],
    ids=["Image.gz", "zboot gzip", "zboot lzma", "zboot xz"],
)
def test_compressed_images_are_unpacked(tmp_path: Path, pack) -> None:
    plain = fake_image("6.6.6", ID)
    kernel = get(f"image:{write(tmp_path / 'vmlinuz', pack(plain))}")
    assert kernel.image.read_bytes() == plain
    assert kernel.release == "6.6.6"


def test_an_image_is_used_where_it_lies(tmp_path: Path) -> None:
    path = write(tmp_path / "Image", fake_image("6.6.6", ID))
    kernel = get(f"image:{path},append=a,append=b")
    assert (kernel.image, kernel.append, kernel.label) == (path, "a b", f"image:{path},append=a,append=b")


def test_a_rebuilt_image_is_looked_at_again(tmp_path: Path) -> None:
    path = write(tmp_path / "Image", fake_image("6.6.6", ID))
    get(f"image:{path}")
    write(path, fake_image("6.6.7", ID, padding=1))
    os.utime(path, (1, 1))
    assert get(f"image:{path}").release == "6.6.7"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "too short"),
        (b"\x7fELF" + bytes(200), "lacks the magic number"),
        (bytes(56) + b"ARM\x64" + bytes(100), "holds no 'Linux version"),
        (gzip.compress(fake_image("6", ID, 999))[:-99], "gzip stream is broken: it ends early"),
        (b"\x1f\x8b" + bytes(100), "gzip stream is broken"),
        (zboot(b"zstd", b""), "compressed with zstd; known are gzip, lzma"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        get(f"image:{write(tmp_path / 'file', content)}")
    assert why in caught.value.evidence


def test_no_such_file() -> None:
    with pytest.raises(UsageError, match="is not a file"):
        get("image:/no/such/Image")


@pytest.mark.parametrize("inner", ["", "6.6.6", "lib/modules/6.6.6"])
def test_modules_in_any_usual_layout(tmp_path: Path, inner: str) -> None:
    path = write(tmp_path / "Image", fake_image("6.6.6", ID))
    (tmp_path / "out" / inner / "kernel").mkdir(parents=True)
    assert get(f"image:{path},modules={tmp_path / 'out'}").modules == tmp_path / "out" / inner


def test_modules_of_another_kernel_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "Image", fake_image("6.6.6", ID))
    (tmp_path / "lib/modules/6.6.7/kernel").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"holds no modules of 6\.6\.6"):
        get(f"image:{path},modules={tmp_path}")


@pytest.mark.parametrize(("text", "hint"), [("dep:6.1", "'deb'"), ("deb:6.1,flavor=rt", "'flavour'")])
def test_the_nearest_kind_and_option_are_named(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert hint in caught.value.evidence
