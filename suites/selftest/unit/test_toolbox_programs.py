"""QEMU and the arm64 userland: which one is used, and that what is unpacked runs by itself."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tiny_archive import Archive, Server, run

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError, UsageError
from ccsight.toolbox import elf, qemu
from ccsight.toolbox.userland import guest_userland, userland

TRUE = Path(shutil.which("true") or "/bin/true")


def quiet(_: str) -> None:
    pass


def fake_qemu(path: Path, version: str, *, names_valid: bool = True) -> Path:
    """A QEMU that lists models, one of which its board refuses; ``names_valid``: it says which are left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = ("a64fx", "arm926", "cortex-a7", "cortex-a710", "cortex-a78ae", "cortex-m33", "max")
    valid = "The valid models are: cortex-a7, a64fx, cortex-a710, max"
    refusal = f"{path}: Invalid CPU model: arm926\\n{valid * names_valid}\\n"
    models = "Available CPUs:\\n" + "".join(f"  {name}\\n" for name in listed)
    path.write_text(
        f'#!/bin/sh\ncase "$*" in *--version) echo "QEMU emulator version {version} (Debian)";;\n'
        f'*"-cpu arm926"*) printf "{refusal}" >&2; exit 1;;\n'
        f'*) printf "{models}"; echo run >> {path}.runs;; esac\n'
    )
    path.chmod(0o755)
    return path


def host_libraries() -> dict[str, bytes]:
    """The loader and the libraries of this system that true(1) needs, as a package would bring them."""
    loader, _ = elf.needs(TRUE)
    lines = run("ldd", TRUE).splitlines()
    paths = {word for line in lines for word in line.split() if word.startswith("/")} | {loader}
    return {f"usr/lib/x/{Path(path).name}": Path(path).read_bytes() for path in paths}


@pytest.fixture
def no_qemu(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH whose first folder is the test's, and no other QEMU on it."""
    first = tmp_path / "bin"
    first.mkdir()
    monkeypatch.delenv("CCSIGHT_QEMU", raising=False)
    which = shutil.which

    def found(name: str) -> str | None:
        return which(name, path=str(first)) if name == qemu.PROGRAM else which(name)

    monkeypatch.setattr(qemu.shutil, "which", found)
    return first


def test_a_named_qemu_is_used(no_qemu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fake_qemu(tmp_path / "mine", "10.1.0")
    monkeypatch.setenv("CCSIGHT_QEMU", str(path))
    found = qemu.qemu(Deadline(10), quiet)
    assert (found.argv, found.version_text) == ((str(path),), "10.1.0")
    assert "QEMU emulator version 10.1.0" in found.provenance


def test_a_named_qemu_that_is_too_old(no_qemu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCSIGHT_QEMU", str(fake_qemu(tmp_path / "mine", "10.0.9")))
    with pytest.raises(UsageError) as caught:
        qemu.qemu(Deadline(10), quiet)
    assert "is QEMU 10.0.9; 10.1 or newer is needed" in caught.value.fact


def test_a_named_qemu_that_is_not_there(no_qemu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCSIGHT_QEMU", "/no/such")
    with pytest.raises(UsageError, match="is not a program"):
        qemu.qemu(Deadline(10), quiet)


def test_the_systems_own_when_it_is_new_enough(no_qemu: Path) -> None:
    path = fake_qemu(no_qemu / qemu.PROGRAM, "11.0.2")
    assert qemu.qemu(Deadline(10), quiet).argv == (str(path),)


def test_models_are_those_that_the_board_takes(no_qemu: Path) -> None:
    fake_qemu(no_qemu / qemu.PROGRAM, "11.0.2", names_valid=False)
    found = qemu.qemu(Deadline(10), quiet)
    assert "cortex-a78ae" in qemu.models(found, Deadline(10))  # a board that does not say takes all


def test_models_are_the_64_bit_ones_and_asked_once(no_qemu: Path) -> None:
    path = fake_qemu(no_qemu / qemu.PROGRAM, "11.0.2")
    found = qemu.qemu(Deadline(10), quiet)
    models = ("a64fx", "cortex-a710", "max")
    assert [qemu.models(found, Deadline(10)) for _ in range(2)] == [models, models]
    assert Path(f"{path}.runs").read_text() == "run\n"


def test_the_archives_first_that_is_new_enough(
    archive: Archive, server: Server, no_qemu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_qemu(no_qemu / qemu.PROGRAM, "7.2.0")
    monkeypatch.setattr(qemu.apt, "native_architecture", lambda _: "amd64")
    architecture = {"Architecture": "amd64"}
    program = {f"usr/bin/{qemu.PROGRAM}": TRUE.read_bytes(), "usr/share/doc/big": b"x"}
    archive.add("stable", "qemu-system-arm", "1:10.0.3+ds-1", {}, **architecture)
    more = architecture | {"Depends": "libtiny, seabios"}
    archive.add("unstable", "qemu-system-arm", "1:11.1.0+ds-1", program, **more)
    archive.add(
        "unstable", "libtiny", "1", host_libraries() | {"usr/lib/x/libunused.so.1": b"x"}, **architecture
    )
    archive.add("unstable", "seabios", "1", {}, Architecture="all")
    archive.publish()
    monkeypatch.setattr(qemu, "ask_version", _pretend)
    assert qemu.present(Deadline(20)) is None
    told: list[str] = []
    found = qemu.qemu(Deadline(20), told.append)
    assert found.version_text == "11.1.0"
    assert found.provenance.startswith("qemu-system-arm 1:11.1.0+ds-1 of unstable, SHA256 ")
    assert any("is older than 10.1" in line for line in told)
    assert not any("seabios" in path for path, _ in server.debs()), "nothing is fetched that it does not load"
    subprocess.run(found.argv, check=True)
    root = Path(found.argv[-1]).parents[2]
    assert not list(root.rglob("libunused*")) + list(root.rglob("big"))
    server.stop()
    assert qemu.qemu(Deadline(20), quiet) == qemu.present(Deadline(20)) == found


def _pretend(argv: tuple[str, ...], _: Deadline) -> tuple[tuple[int, int, int], str]:
    """Say a version for true(1), which has the place of QEMU in the tiny archive."""
    return ((7, 2, 0) if len(argv) == 1 else (11, 1, 0)), argv[-1]


def test_no_new_enough_qemu_anywhere(archive: Archive, server: Server, no_qemu: Path) -> None:
    archive.add("stable", "qemu-system-arm", "1:10.0.3+ds-1", {}, Architecture="amd64")
    archive.publish()
    os.environ.pop("CCSIGHT_QEMU", None)
    with pytest.raises(ArchiveError) as caught:
        qemu.qemu(Deadline(20), quiet)
    assert "CCSIGHT_QEMU" in caught.value.next_step


def test_userland_has_the_programs_and_just_their_libraries(archive: Archive, server: Server) -> None:
    program = TRUE.read_bytes()
    hook = {"usr/share/initramfs-tools/hooks/busybox": b"#!/bin/sh\n"}
    archive.add("stable", "busybox-static", "1", {"usr/bin/busybox": program} | hook, Depends="libtiny")
    archive.add("stable", "dropbear-bin", "1", {"usr/sbin/dropbear": program})
    archive.add("stable", "openssh-sftp-server", "1", {"usr/lib/openssh/sftp-server": program})
    archive.add("stable", "libtiny", "1", host_libraries() | {"usr/lib/x/libunused.so.1": b"x"})
    archive.publish()
    place = userland(Deadline(20), quiet)
    found = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    libraries = {f"lib/{Path(name).name}" for name in host_libraries()}
    assert found == {"bin/busybox", "bin/dropbear", "usr/lib/sftp-server", "packages.json"} | libraries
    assert os.access(place / "bin/dropbear", os.X_OK)
    server.stop()
    assert userland(Deadline(20), quiet) == place


def test_the_programs_of_a_linux_guest_lie_in_a_folder_of_their_own(archive: Archive, server: Server) -> None:
    archive.add("stable", "util-linux", "1", {"usr/bin/lscpu": TRUE.read_bytes()}, Depends="libtiny")
    archive.add("stable", "libtiny", "1", host_libraries())
    archive.publish()
    place = guest_userland(Deadline(20), quiet)
    found = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    libraries = {f"lib/{Path(name).name}" for name in host_libraries()}
    assert found == {"bin/lscpu", "packages.json"} | libraries


def test_a_library_that_no_package_brought() -> None:
    with pytest.raises(ArchiveError, match="which no package brought"):
        elf.closure([TRUE], {})
