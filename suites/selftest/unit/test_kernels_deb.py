"""Distribution kernels, from a spec to an Image, against a tiny real archive."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_archive import Archive, Server

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError, UsageError
from ccsight.kernels.available import Available, available
from ccsight.kernels.index import LISTING
from ccsight.kernels.model import Kernel
from ccsight.kernels.spec import resolve
from ccsight.paths import cache_dir


def quiet(_: str) -> None:
    pass


def get(text: str) -> Kernel:
    return resolve(text, Deadline(20), quiet)


def listed() -> tuple[Available, ...]:
    return available(LISTING.load(Deadline(20), quiet))


def test_newest_of_a_series_with_all_that_identifies_it(archive: Archive, server: Server) -> None:
    archive.old_kernel("stable", number=5)
    archive.old_kernel("oldstable", number=10)
    archive.publish()
    told: list[str] = []
    kernel = resolve("deb:6.1,append=quiet,name=old", Deadline(20), told.append)
    assert (kernel.release, kernel.label, kernel.append) == ("6.1.0-10-arm64", "old", "quiet")
    assert kernel.build_ids == {"0a" * 20}
    assert kernel.banner == "Linux version 6.1.0-10-arm64 (somebody@somewhere) #1 SMP Debian"
    assert kernel.modules is not None
    assert (kernel.modules / "kernel/a.ko").read_bytes() == b"module"
    assert [(package.name, package.version) for package in kernel.packages] == [
        ("linux-image-6.1.0-10-arm64", "6.1.10-1")
    ]
    assert any(line.startswith("linux-image-6.1.0-10-arm64 ") for line in told)
    assert not list((cache_dir() / "packages").glob("*.deb")), "unpacked packages are dropped"


def test_a_version_can_be_pinned(archive: Archive, server: Server) -> None:
    archive.old_kernel("stable", number=5)
    archive.old_kernel("stable", number=6)
    archive.publish()
    assert get("deb:6.1=6.1.5-1").release == "6.1.0-5-arm64"
    with pytest.raises(UsageError) as caught:
        get("deb:6.1=6.1.7-1")
    assert "6.1.5-1, 6.1.6-1" in caught.value.evidence


def test_image_and_modules_in_packages_of_their_own(archive: Archive, server: Server) -> None:
    archive.new_kernel("unstable")
    archive.publish()
    kernel = get("deb:7.2")
    assert kernel.release == "7.2.1-arm64"
    assert kernel.modules is not None
    assert (kernel.modules / "kernel/b.ko.xz").exists()
    assert [package.name.split("-")[1] for package in kernel.packages] == ["image", "binary", "modules"]


def test_a_kernel_without_its_parts_is_not_offered(archive: Archive, server: Server) -> None:
    archive.old_kernel("stable")
    archive.add(
        "unstable", "linux-image-7.0.1-arm64", "7.0.1-1", {}, Depends="linux-modules-7.0.1-arm64 (= 7.0.1-1)"
    )
    archive.publish()
    assert [each.series for each in listed()] == ["6.1"]
    with pytest.raises(UsageError) as caught:
        get("deb:7.0")
    assert "not its linux-modules-7.0.1-arm64" in caught.value.evidence


def test_flavours_and_what_is_no_kernel(archive: Archive, server: Server) -> None:
    archive.old_kernel("stable")
    for name in ("6.1.0-5-arm64-dbg", "6.1.0-5-arm64-unsigned", "arm64"):
        archive.add("stable", f"linux-image-{name}", "6.1.9-1", {})
    for name in ("6.1.0-5-cloud-arm64", "6.1.0-5-arm64-16k"):
        archive.add("stable", f"linux-image-{name}", "6.1.5-1", {})
    archive.publish()
    found = listed()
    assert [(each.flavour, each.version) for each in found] == [
        ("", "6.1.5-1"),
        ("16k", "6.1.5-1"),
        ("cloud", "6.1.5-1"),
    ]
    with pytest.raises(UsageError) as caught:
        get("deb:6.1,flavour=rt")
    assert "flavours of 6.1: (none), 16k, cloud" in caught.value.evidence


def test_unknown_series_says_what_there_is(archive: Archive, server: Server) -> None:
    archive.old_kernel("stable")
    archive.old_kernel("stable", series="6.12")
    archive.publish()
    with pytest.raises(UsageError) as caught:
        get("deb:9.9")
    assert caught.value.evidence == "series: 6.1, 6.12"


def test_a_warm_cache_needs_no_network(archive: Archive, server: Server) -> None:
    archive.old_kernel("stable")
    archive.publish()
    cold = get("deb:6.1")
    server.stop()
    begin = time.monotonic()
    assert get("deb:6.1") == cold
    assert time.monotonic() - begin < 1.0
    assert [each.cached for each in listed()] == [True]


def test_no_network_with_a_cold_cache(server: Server) -> None:
    server.stop()
    with pytest.raises(ArchiveError) as caught:
        get("deb:6.1")
    assert "cannot be reached" in caught.value.fact
    assert "Could not connect" in caught.value.evidence
    assert "CCSIGHT_MIRROR" in caught.value.next_step


def test_a_package_with_a_wrong_hash(archive: Archive, server: Server) -> None:
    deb = archive.old_kernel("stable")
    archive.publish()
    content = bytearray(deb.read_bytes())
    content[-1] ^= 1
    deb.write_bytes(content)
    with pytest.raises(ArchiveError) as caught:
        get("deb:6.1")
    assert caught.value.fact == "linux-image-6.1.0-5-arm64 6.1.5-1 is not what the archive signed"
    assert "SHA256" in caught.value.evidence
    assert not list(cache_dir().glob("packages/*.deb"))
    assert not list(cache_dir().glob("kernels/linux-*_*[!k]"))


def test_lists_are_read_again_when_a_package_has_gone(archive: Archive, server: Server) -> None:
    old = archive.old_kernel("stable", number=5)
    archive.publish()
    listed()
    old.unlink()
    archive.suites.clear()
    archive.old_kernel("stable", number=6)
    archive.publish()
    assert get("deb:6.1").release == "6.1.0-6-arm64"


def test_one_that_is_listed_but_not_there_is_passed_over_and_said_each_time(
    archive: Archive, server: Server
) -> None:
    archive.old_kernel("stable", number=5)
    for number in (6, 7):
        archive.old_kernel("stable", number=number).unlink()
    archive.publish()
    for _ in range(2):
        told: list[str] = []
        kernel = resolve("deb:6.1", Deadline(20), told.append)
        assert kernel.release == "6.1.0-5-arm64"
        assert told[-1] == "using 6.1.5-1: the archive lists 6.1.7-1 and others, but does not have the files"
    assert [path.rpartition("_6.1.")[2] for path, _ in server.debs()] == ["5-1_arm64.deb"]
    assert sum(path.endswith("/Packages") for path, _ in server.requests) == 1
    assert [(each.version, each.cached) for each in listed()] == [("6.1.5-1", True)]


def test_a_pinned_one_is_never_another(archive: Archive, server: Server) -> None:
    archive.old_kernel("stable", number=5)
    archive.old_kernel("stable", number=6).unlink()
    archive.publish()
    with pytest.raises(ArchiveError) as caught:
        get("deb:6.1=6.1.6-1")
    assert "lists linux-image-6.1.0-6-arm64 6.1.6-1, but does not have it" in caught.value.fact


def test_old_lists_are_read_again_before_a_kernel_is_passed_over(
    archive: Archive, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.old_kernel("stable", number=5)
    gone = archive.old_kernel("stable", number=6)
    archive.publish()
    listed()
    gone.unlink()
    archive.old_kernel("stable", number=7)
    archive.publish()
    monkeypatch.setattr("ccsight.kernels.deb.FRESH", 0.0)
    assert get("deb:6.1").release == "6.1.0-7-arm64"


def test_a_pinned_kernel_stays_when_the_archive_moves_on(archive: Archive, server: Server) -> None:
    archive.old_kernel("stable", number=5)
    archive.publish()
    old = get("deb:6.1=6.1.5-1")
    archive.suites.clear()
    archive.old_kernel("stable", number=6)
    archive.publish()
    LISTING.refresh(time.time(), Deadline(20), quiet)
    assert get("deb:6.1").release == "6.1.0-6-arm64"
    assert get("deb:6.1=6.1.5-1") == old


def test_two_processes_download_once(archive: Archive, server: Server) -> None:
    archive.old_kernel("stable", padding=200_000)
    archive.publish()
    code = "from ccsight.kernels.spec import resolve; from ccsight.deadline import Deadline\n"
    code += "print(resolve('deb:6.1', Deadline(20), lambda _: None).image)"
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    images = {child.communicate(timeout=30)[0] for child in both}
    assert [child.returncode for child in both] == [0, 0]
    assert len(images) == 1
    assert len(server.debs()) == 1
    assert sum(path.endswith("/Packages") for path, _ in server.requests) == 1


def test_a_download_goes_on_after_kill_9(archive: Archive, server: Server) -> None:
    archive.old_kernel("stable", padding=3_000_000)
    archive.publish()
    listed()
    server.limit = 2_000_000
    code = "from ccsight.kernels.spec import resolve; from ccsight.deadline import Deadline\n"
    code += "resolve('deb:6.1', Deadline(20), lambda _: None)"
    child = subprocess.Popen([sys.executable, "-c", code])
    assert server.stalled.wait(20)
    part = _grown(cache_dir() / "packages", 1_500_000)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    server.limit = None
    kernel = get("deb:6.1")
    assert kernel.release == "6.1.0-5-arm64"
    assert server.debs()[0][1] == 0
    assert server.debs()[-1][1] >= part, "it began anew"


def _grown(folder: Path, size: int) -> int:
    """Wait until a partial file has so many bytes, and return how many it has."""
    deadline = Deadline(10)
    while not (sizes := [path.stat().st_size for path in folder.glob("*.partial")]) or sizes[0] < size:
        deadline.check("the download")
        time.sleep(0.02)
    return sizes[0]
