"""The private apt state: suites that are there, signatures that hold, and nothing of the system touched."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_archive import Archive, Key, Server

from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError, NoSpace
from ccsight.paths import cache_dir
from ccsight.toolbox import apt, packages, sources, stanzas, tools


def quiet(_: str) -> None:
    pass


@pytest.fixture
def other_key() -> Iterator[Key]:
    made = Key()
    yield made
    made.close()


def updated() -> apt.View:
    return apt.update(apt.available(Deadline(20), quiet), "arm64", Deadline(20), quiet)


def test_only_suites_that_are_there(archive: Archive, server: Server) -> None:
    for suite in ("unstable", "stable-backports", "oldstable"):
        archive.old_kernel(suite)
    archive.publish()
    assert [suite.name for suite in apt.available(Deadline(20), quiet).all] == [
        "oldstable",
        "unstable",
        "stable-backports",
    ]


def test_a_security_archive_is_asked_for_its_own(
    archive: Archive, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.old_kernel("stable")
    archive.old_kernel("stable-security")
    archive.publish()
    monkeypatch.setenv("CCSIGHT_SECURITY_MIRROR", os.environ["CCSIGHT_MIRROR"])
    assert [suite.name for suite in apt.available(Deadline(20), quiet).all] == ["stable", "stable-security"]


def test_an_archive_without_suites(server: Server) -> None:
    with pytest.raises(ArchiveError) as caught:
        apt.available(Deadline(20), quiet)
    assert "has no suite of Debian" in caught.value.fact


def test_lists_signed_with_a_wrong_key_are_refused(archive: Archive, server: Server, other_key: Key) -> None:
    archive.old_kernel("stable")
    archive.publish(other_key)
    with pytest.raises(ArchiveError) as caught:
        updated()
    assert "no suite is signed with a key of" in caught.value.evidence


def test_a_suite_with_an_unknown_key_does_not_cost_the_others(
    archive: Archive, server: Server, other_key: Key
) -> None:
    archive.old_kernel("testing")
    archive.publish(other_key)
    archive.suites.clear()
    archive.old_kernel("stable")
    archive.publish()
    told: list[str] = []
    view = apt.update(apt.available(Deadline(20), quiet), "arm64", Deadline(20), told.append)
    assert [suite.name for suite in view.suites] == ["stable"]
    assert "left out, signed with a key that is not in the keyring: testing" in told


@pytest.mark.parametrize("name", ["InRelease", "main/binary-arm64/Packages"])
def test_changed_lists_are_refused(archive: Archive, server: Server, name: str) -> None:
    archive.old_kernel("stable")
    archive.publish()
    path = archive.root / "dists/stable" / name
    path.write_bytes(path.read_bytes().replace(b"arm64", b"arm46", 1))
    with pytest.raises(ArchiveError, match="cannot be brought up to date"):
        updated()


def test_closure_and_download(archive: Archive, server: Server) -> None:
    archive.add("stable", "tool", "1:2.0+b~1-1", {"usr/bin/tool": b"tool"}, Depends="lib (>= 1)")
    archive.add("stable", "lib", "1", {"usr/lib/lib.so": b"lib"})
    archive.add("stable", "extra", "1", {})
    archive.publish()
    view = updated()
    found = apt.closure(view, ["tool"], view.suites[0], Deadline(20))
    assert sorted((each.package, each.version) for each in found) == [("lib", "1"), ("tool", "1:2.0+b~1-1")]
    told: list[str] = []
    debs = packages.fetch(found, view.config, Deadline(20), told.append)
    assert len(told) == 2
    out = cache_dir() / "out"
    out.mkdir()
    for deb in debs:
        packages.unpack(deb, out, Deadline(20))
    assert (out / "usr/bin/tool").read_bytes() == b"tool"
    server.stop()
    assert packages.fetch(found, view.config, Deadline(20), told.append) == debs, (
        "what is there is not fetched again"
    )
    with pytest.raises(ArchiveError):
        apt.closure(view, ["missing"], view.suites[0], Deadline(20))


def test_nothing_of_the_system_but_its_acquire_settings(server: Server, tmp_path: Path) -> None:
    Path(os.environ["APT_CONFIG"]).write_text(
        'Acquire::http::Proxy::127.0.0.1 "DIRECT";\nAcquire::https::CaInfo "/ca.pem";\n'
        'Acquire::AllowInsecureRepositories "true";\nAcquire::Languages:: "de";\n'
        'APT::Update::Post-Invoke:: "touch /tmp/never";\nDPkg::Post-Invoke:: "touch /tmp/never";\n'
    )
    text = apt.base_config(tmp_path, Deadline(20)).read_text()
    assert 'Acquire::https::CaInfo "/ca.pem";' in text
    assert "AllowInsecureRepositories" not in text
    assert "Invoke" not in text
    assert 'Languages:: "de"' not in text


def test_a_full_disk_is_told_apart(tmp_path: Path) -> None:
    script = tmp_path / "apt-get"
    script.write_text(
        "#!/bin/sh\necho 'E: Write error - write (28: No space left on device)' >&2\nexit 100\n"
    )
    script.chmod(0o755)
    with pytest.raises(NoSpace):
        tools.run([str(script), "update"], Deadline(5), expect=None)


def test_version_order() -> None:
    versions = ["6.12~rc1-1", "6.12.1-1~bpo12+1", "6.12.1-1", "6.12.10-1", "1:1"]
    mixed = versions[2:] + versions[:2]
    assert sorted(mixed, key=stanzas.by_version) == versions


class TestSystemSources:
    """Which archive the system's own configuration names."""

    @pytest.fixture
    def etc(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """An empty apt configuration in the place of the system's."""
        etc = tmp_path / "etc"
        (etc / "sources.list.d").mkdir(parents=True)
        config = tmp_path / "apt.conf"
        config.write_text(
            f'Dir::Etc::parts "/dev/null";\nDir::Etc::main "/dev/null";\n'
            f'Dir::Etc::sourcelist "{etc}/sources.list";\nDir::Etc::sourceparts "{etc}/sources.list.d";\n'
        )
        monkeypatch.setenv("APT_CONFIG", str(config))
        for name in ("CCSIGHT_MIRROR", "CCSIGHT_SECURITY_MIRROR", "CCSIGHT_KEYRING"):
            monkeypatch.delenv(name, raising=False)
        return etc

    def test_deb822(self, etc: Path) -> None:
        (etc / "sources.list.d/a.sources").write_text(
            "# where it is\nTypes: deb\nURIs: http://vendor.invalid\nSuites: stable\nComponents: main\n"
            "Signed-By: /usr/share/keyrings/vendor.gpg\n\n"
            "Types: deb\nEnabled: no\nURIs: http://off.invalid/\nSuites: stable\nComponents: main\n\n"
            "Types: deb deb-src\n# old\nURIs: http://main.invalid/debian/\nSuites: stable stable-updates\n"
            "Components: main contrib\nSigned-By: /x/debian-archive-keyring.gpg\n\n"
            "Types: deb\nURIs: http://sec.invalid/debian-security\n"
            "Suites: stable-security\nComponents: main\n"
        )
        found = sources.mirror(Deadline(10))
        assert (found.main, found.security) == (
            "http://main.invalid/debian",
            "http://sec.invalid/debian-security",
        )
        assert found.signed_by == "/x/debian-archive-keyring.gpg"

    def test_one_line(self, etc: Path) -> None:
        (etc / "sources.list").write_text(
            "deb http://vendor.invalid stable contrib\n# deb http://off.invalid stable main\n"
            "deb [arch=amd64 signed-by=/k.gpg] http://main.invalid/debian/ testing main # here\n"
        )
        found = sources.mirror(Deadline(10))
        assert (found.main, found.signed_by) == ("http://main.invalid/debian", "/k.gpg")
        assert found.security == "http://main.invalid/debian-security", "beside the main one, to be probed"

    def test_a_list_of_mirrors(self, etc: Path) -> None:
        (etc / "mirrors").write_text(
            "# nearest first\nhttp://near.invalid/debian/\tpriority:1\nhttp://far.invalid\n"
        )
        (etc / "sources.list").write_text(f"deb mirror+file:{etc}/mirrors stable main\n")
        assert sources.mirror(Deadline(10)).main == "http://near.invalid/debian"

    def test_none(self, etc: Path) -> None:
        (etc / "sources.list").write_text("deb http://vendor.invalid/ubuntu nonsense main\n")
        with pytest.raises(ArchiveError) as caught:
            sources.mirror(Deadline(10))
        assert "vendor.invalid" in caught.value.evidence
        assert "CCSIGHT_MIRROR" in caught.value.next_step

    def test_the_environment_comes_first(self, etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CCSIGHT_MIRROR", "http://mine.invalid/debian/")
        monkeypatch.setenv("CCSIGHT_KEYRING", "/mine.gpg")
        found = sources.mirror(Deadline(10))
        assert (found.main, found.security, found.signed_by) == (
            "http://mine.invalid/debian",
            "",
            "/mine.gpg",
        )


def test_apt_is_there() -> None:
    """What bootstrap installs for these tests; without it they fail instead of being skipped."""
    assert [name for name in ("apt-get", "dpkg-deb", "gpg", "gpgconf") if not shutil.which(name)] == []
