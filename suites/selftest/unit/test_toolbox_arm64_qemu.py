"""The arm64 QEMU of a series: which suite it is taken from, and that just what it loads is kept."""

from pathlib import Path

import msgspec
import pytest
from test_toolbox_programs import TRUE, host_libraries, quiet
from tiny_archive import Archive, Server

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError
from ccsight.evidence.model import Package
from ccsight.toolbox.arm64_qemu import PROGRAM, arm64_qemu


@pytest.fixture
def two(archive: Archive, server: Server) -> Archive:
    """An archive with 10.0 in stable and 7.2 in oldstable."""
    program = {f"usr/bin/{PROGRAM}": TRUE.read_bytes(), "usr/share/doc/big": b"x"}
    for suite, version in (("stable", "1:10.0.13+ds-1"), ("oldstable", "1:7.2+dfsg-7")):
        archive.add(suite, "qemu-system-arm", version, program, Depends="libtiny, qemu-system-data")
        libraries = host_libraries() | {"usr/lib/x/libunused.so.1": b"x"}
        archive.add(suite, "libtiny", version, libraries)
        archive.add(suite, "qemu-system-data", version, {"usr/share/qemu/firmware": b"x"})
    archive.publish()
    return archive


def test_a_series_is_taken_from_the_suite_that_has_it(two: Archive, server: Server) -> None:
    place = arm64_qemu("7.2", Deadline(60), quiet)
    found = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    libraries = {f"lib/{Path(name).name}" for name in host_libraries()}
    assert found == {f"bin/{PROGRAM}", "packages.json"} | libraries
    used = msgspec.json.decode((place / "packages.json").read_bytes(), type=tuple[Package, ...])
    assert {(each.name, each.version) for each in used} == {
        ("qemu-system-arm", "1:7.2+dfsg-7"),
        ("libtiny", "1:7.2+dfsg-7"),
    }
    assert not any("data" in path for path, _ in server.debs()), "nothing is fetched that it does not load"
    server.stop()
    assert arm64_qemu("7.2", Deadline(60), quiet) == place


@pytest.mark.parametrize("series", ["10.1", "0.0", "1.0", "10.0.1"])
def test_a_series_that_there_is_not(two: Archive, server: Server, series: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        arm64_qemu(series, Deadline(60), quiet)
    assert "1:10.0.13+ds-1, 1:7.2+dfsg-7" in caught.value.evidence


def test_a_package_without_the_program(archive: Archive, server: Server) -> None:
    archive.add("stable", "qemu-system-arm", "1:10.0.13+ds-1", {"usr/share/doc/big": b"x"})
    archive.publish()
    with pytest.raises(ArchiveError, match="holds no qemu-system-aarch64"):
        arm64_qemu("10.0", Deadline(60), quiet)
