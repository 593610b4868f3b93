"""``deb-src:SERIES``: source packages, from the signed list to a tree, against a tiny real archive."""

import shutil
import time
from pathlib import Path

import pytest
from tiny_archive import Archive, Server
from tiny_source import FILES, resolve, soon

from ccsight.errors import ArchiveError, UsageError
from ccsight.kernels import objects
from ccsight.kernels.objects import Source
from ccsight.paths import cache_dir
from ccsight.toolbox.source_packages import LISTING

PATCH = "--- a/init/main.c\n+++ b/init/main.c\n@@ -1 +1 @@\n-int main;\n+int distribution;\n"
#: As Debian's packaging has it: nothing but itself is source.
IGNORING = FILES | {".gitignore": "*.o\n/*\n!/debian/\n"}


def get(text: str) -> Source:
    return resolve(text).source


def fetched(server: Server) -> list[str]:
    return [path.rpartition("/")[2] for path, _ in server.requests if "/pool/" in path]


def test_a_tree_with_the_distributions_patches_and_without_its_packaging(
    archive: Archive, server: Server, tmp_path: Path
) -> None:
    archive.source("stable", "6.12.5-1", IGNORING, PATCH)
    archive.publish()
    source = get("deb-src:6.12")
    objects.move(tmp_path / "tree", source, soon())
    found = {
        str(p.relative_to(tmp_path / "tree")): p.read_text()
        for p in (tmp_path / "tree").rglob("*")
        if p.is_file()
    }
    assert found == IGNORING | {"init/main.c": "int distribution;\n"}
    assert source.title == "linux 6.12.5-1"
    facts = dict(source.provenance)
    assert (facts["version"], facts["suite"]) == ("6.12.5-1", "stable")
    assert len(facts["linux_6.12.5-1.dsc"]) == 64
    while list((cache_dir() / "sources").iterdir()):  # what was unpacked is removed, in good time
        soon().check("the removal")
        time.sleep(0.01)
    assert not list((cache_dir() / "packages").glob("*.deb")), "so is what was downloaded"


def test_the_newest_of_a_series(archive: Archive, server: Server) -> None:
    for suite, version in (("stable", "6.12.9-1"), ("testing", "6.12.10-1"), ("unstable", "7.0-1")):
        archive.source(suite, version, FILES)
    archive.publish()
    assert get("deb-src:6.12").title == "linux 6.12.10-1"
    assert get("deb-src:6.12=6.12.9-1").title == "linux 6.12.9-1"
    assert get("deb-src:7.0").title == "linux 7.0-1"
    assert get("deb-src:6.12").tree == get("deb-src:7.0").tree, "the packaging does not count"


def test_one_that_is_listed_but_not_there_is_passed_over(archive: Archive, server: Server) -> None:
    archive.source("stable", "6.12.5-1", FILES)
    for version in ("6.12.6-1", "6.12.7-1"):
        shutil.rmtree(archive.source("stable", version, FILES))
    archive.publish()
    told: list[str] = []
    source = resolve("deb-src:6.12", told).source
    assert source.title == "linux 6.12.5-1"
    gone = "6.12.7-1 (stable), 6.12.6-1 (stable)"
    assert dict(source.provenance)["listed, but not there"] == gone
    assert "using 6.12.5-1: the archive lists 6.12.7-1 and others, but does not have the files" in told
    asked = len(server.requests)
    assert get("deb-src:6.12") == source
    assert len(server.requests) == asked, "it is not asked for them again"


def test_a_pinned_version_is_never_replaced(archive: Archive, server: Server) -> None:
    archive.source("stable", "6.12.5-1", FILES)
    shutil.rmtree(archive.source("stable", "6.12.7-1", FILES))
    archive.publish()
    for _ in range(2):
        with pytest.raises(ArchiveError) as caught:
            get("deb-src:6.12=6.12.7-1")
        assert caught.value.fact == "the archive lists 6.12=6.12.7-1, but does not have its files"
        assert caught.value.next_step == "the archive lists 6.12.5-1"


def test_lists_that_are_old_are_read_again_first(
    archive: Archive, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = archive.source("stable", "6.12.5-1", FILES)
    archive.publish()
    LISTING.load(soon(), lambda _: None)
    shutil.rmtree(old)
    archive.suites.clear()
    archive.source("stable", "6.12.6-1", FILES)
    archive.publish()
    monkeypatch.setattr("ccsight.kernels.deb_src.FRESH", 0.0)
    assert get("deb-src:6.12").title == "linux 6.12.6-1"


def test_warm_needs_no_network_and_outlives_the_archive(archive: Archive, server: Server) -> None:
    archive.source("stable", "6.12.5-1", FILES)
    archive.publish()
    cold = get("deb-src:6.12")
    assert fetched(server).count("linux_6.12.5.orig.tar.xz") == 1
    archive.suites.clear()
    archive.source("stable", "6.12.6-1", FILES)
    archive.publish()
    LISTING.refresh(time.time(), soon(), lambda _: None)
    server.stop()
    assert get("deb-src:6.12=6.12.5-1") == cold
    with pytest.raises(ArchiveError, match="cannot be downloaded"):
        get("deb-src:6.12")


def test_an_emptied_object_store_is_filled_again(archive: Archive, server: Server) -> None:
    archive.source("stable", "6.12.5-1", FILES)
    archive.publish()
    cold = get("deb-src:6.12")
    shutil.rmtree(cache_dir() / "objects.git")
    assert get("deb-src:6.12") == cold
    assert fetched(server).count("linux_6.12.5.orig.tar.xz") == 2


def test_what_the_archive_does_not_have(archive: Archive, server: Server) -> None:
    archive.source("stable", "6.1.5-1", FILES)
    archive.source("stable", "6.12.5-1", FILES)
    archive.publish()
    with pytest.raises(UsageError) as caught:
        get("deb-src:9.9")
    assert caught.value.evidence == "series: 6.1, 6.12"
    with pytest.raises(UsageError) as caught:
        get("deb-src:6.12=6.12.9-1")
    assert caught.value.evidence == "versions of 6.12: 6.12.5-1"


def test_a_file_with_a_wrong_hash(archive: Archive, server: Server) -> None:
    folder = archive.source("stable", "6.12.5-1", FILES)
    archive.publish()
    tar = folder / "linux_6.12.5.orig.tar.xz"
    content = bytearray(tar.read_bytes())
    content[40] ^= 1
    tar.write_bytes(content)
    with pytest.raises(ArchiveError, match="is not what the archive signed"):
        get("deb-src:6.12")
    assert not list((cache_dir() / "objects.git").glob("packages/*.json"))
