"""The verb: what it refuses before anything is built, and what it promises."""

import json
from types import SimpleNamespace

import pytest
from bisect_lab import Lab
from dag import line, made
from tiny_source import fingerprint, git

from ccsight.campaign import trying
from ccsight.cli import run
from ccsight.evidence.bisection import Bisection
from ccsight.kernels import versions
from ccsight.kernels.index import Index, Row

ASK = "guest.CLIDR_EL1.LoC == 1"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def history(tmp_path):
    """A line of five, and a branch that left it after the second."""
    return made(tmp_path / "linux.git", [*line(5), [1]])


@pytest.fixture
def said(capfd):
    def call(*words):
        code = run(["bisect", *words])
        seen = capfd.readouterr()
        return code, " ".join((seen.out + seen.err).split())

    return call


def ends(history, good, bad):
    return "--good", history.spec(good), "--bad", history.spec(bad)


def test_a_plan_says_what_it_takes(history, said):
    before = fingerprint(history.place)
    code, text = said(*ends(history, 0, 4), ASK, "--dry-run")
    assert code == 0
    assert "4 suspects: 2 steps at most 7 builds and 7 boots" in text
    code, text = said(*ends(history, 0, 4), ASK, "--dry-run", "--json", "--repeat", "3")
    found = json.loads(text)
    assert (found["suspects"], found["steps"], found["boots"], found["build"]) == (4, 2, 21, None)
    assert fingerprint(history.place) == before


def test_the_wrong_order_names_the_right_one(history, said):
    code, text = said(*ends(history, 4, 0), ASK)
    assert code == 2
    assert "the bad end is older than the good one" in text
    assert f"ccsight bisect --good {history.spec(0)} --bad {history.spec(4)}" in text


def test_ends_of_two_branches_name_what_they_share(history, said):
    code, text = said(*ends(history, 4, 5), ASK)
    assert code == 2
    assert f"try that one as the good end: ref={history.commits[1]}" in text


def test_ends_that_share_nothing(tmp_path, said):
    history = made(tmp_path / "two.git", [[], []])
    code, text = said(*ends(history, 0, 1), ASK)
    assert (code, "they share none" in text) == (2, True)


def test_two_repositories(tmp_path, history, said):
    other = made(tmp_path / "other.git", line(3))
    code, text = said("--good", history.spec(0), "--bad", other.spec(2), ASK)
    assert (code, "are two repositories" in text) == (2, True)


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (["--good", "deb:6.1", "--bad", "tree:.", ASK], "nothing is known to lie between"),
        (["--good", "git:.,ref=a", "--bad", "git:.,ref=b,patch=x", ASK], "the ends differ in more than"),
        ([ASK], "bisect needs --good and --bad"),
        (["--resume", "latest"], "there is no bisection 'latest'"),
        (["--resume", "latest", ASK], "--resume goes on with the bisection as it was begun"),
        (["--good", "deb:6.1", "--bad", "deb:6.12", "guest.CLIDR_EL1.LoX == 1"], "LoX"),
        (["--good", "deb:6.1", "--bad", "deb:6.12", ASK, "--on", "local"], "is not booted"),
        (
            ["--good", "deb:6.1", "--bad", "deb:6.12", "same as nowhere.json"],
            "there is no capture nowhere.json",
        ),
    ],
)
def test_what_makes_no_sense(words, fact, said):
    code, text = said(*words)
    assert code == 2
    assert fact in text


def test_both_ends_are_one_commit(history, said):
    code, text = said(*ends(history, 3, 3), ASK)
    assert (code, "both ends are one commit" in text) == (2, True)


def test_paths_that_nothing_touches(history, said):
    code, text = said(*ends(history, 0, 4), ASK, "--", "no/such/path")
    assert (code, "no commit between the ends touches these paths" in text) == (2, True)


def test_a_dirty_checkout_is_not_touched(history, tmp_path, said):
    git(tmp_path, "clone", "-q", str(history.place), "clone")
    (tmp_path / "clone/file-0").write_text("dirty\n")
    before = fingerprint(tmp_path / "clone")
    code, _ = said(
        "--good", f"git:clone,ref={history.commits[1]}", "--bad", "git:clone,ref=HEAD", ASK, "--dry-run"
    )
    assert code == 0
    assert fingerprint(tmp_path / "clone") == before


def test_an_end_that_does_not_build_ends_it_and_is_kept_for_later(history, tmp_path, said, monkeypatch):
    """These commits hold no kernel at all."""
    monkeypatch.setattr("ccsight.campaign.bisections._prepare", lambda order, table: None)
    code, text = said(*ends(history, 0, 4), ASK)
    assert code == 3
    assert "the good end cannot be asked" in text
    assert "is not the source of an arm64 kernel" in text
    assert Bisection.find(tmp_path / "results", "latest").steps() == ()
    code, text = said("--resume", "latest")
    assert (code, "the good end cannot be asked" in text) == (3, True)


@pytest.fixture
def lab(history, monkeypatch):
    """Machines that find the third commit at fault, and whoever is bad from then on."""
    made_up = Lab(lambda suspect: suspect in history.commits[3:5], cpu=0.5)
    monkeypatch.setattr("ccsight.campaign.bisections._prepare", lambda order, table: None)
    monkeypatch.setattr(trying, "attempts", made_up.attempts)
    return made_up


def test_from_the_order_to_the_mail(history, lab, tmp_path, said):
    code, text = said(*ends(history, 0, 4), ASK)
    assert code == 0
    assert f'first bad {history.commits[3][:12]} ("change 3")' in text
    assert "proof good parent" in text
    (folder,) = (tmp_path / "results").iterdir()
    assert history.commits[3] in (folder / "bisect.txt").read_text()
    assert f"git bisect bad {history.commits[3]}" in (folder / "bisect.log").read_text()
    tried = len(lab.tried)
    code, text = said("--resume", "latest", "--json", "-v")
    assert (code, len(lab.tried)) == (0, tried), "nothing is done again"
    code, text = said(*ends(history, 0, 4), ASK, "--dry-run")
    assert "2.5 s a build, 1.2 s a boot so far" in text


def test_what_is_not_proven_is_not_a_success(history, lab, said):
    lab.with_part = lambda spec: "revert=" in spec
    code, text = said(*ends(history, 0, 4), ASK)
    assert (code, "not proven" in text) == (1, True)


def test_what_was_not_observed_is_named_and_can_be_left_out(history, lab, said):
    lab.lost = [history.commits[2]]
    code, text = said(*ends(history, 0, 4), ASK)
    assert (code, "nothing is guessed: no QEMU" in text) == (3, True)
    code, text = said("--resume", "latest", "--skip", history.commits[2][:9])
    assert code == 1
    assert "it is one of these 2; all but the last cannot be tried" in text
    assert history.commits[2][:12] in text


def test_interrupted(history, lab, said, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(trying, "attempts", stop)
    code, text = said(*ends(history, 0, 4), ASK)
    assert (code, "go on: ccsight bisect --resume results/" in text) == (130, True)


def test_versions_of_all_series_between_two(monkeypatch, said):
    rows = [
        Row(
            package=f"linux-image-{version}-arm64",
            version=version,
            series=".".join(version.split(".")[:2]),
            flavour="",
            suite="s",
            uri="u",
            size=1,
            sha256=version,
            depends=(),
        )
        for version in ("6.1.1-1", "6.1.2-1", "6.6.1-1", "6.12.1-1", "6.12.2-1")
    ]
    known = Index(schema=1, origin="", made=0, config="", rows=tuple(rows), gone=frozenset({"6.6.1-1"}))
    monkeypatch.setattr(versions, "LISTING", SimpleNamespace(load=lambda deadline, report: known))
    code, text = said("--good", "deb:6.1=6.1.1-1", "--bad", "deb:6.12", ASK, "--dry-run")
    assert (code, text.split(":")[0]) == (0, "3 suspects")
    code, text = said("--good", "deb:6.12", "--bad", "deb:6.1", ASK)
    assert (code, "to search for what did: ccsight bisect --good deb:6.1 --bad deb:6.12" in text) == (2, True)
    code, text = said("--good", "deb:6.1=6.1.9", "--bad", "deb:6.12", ASK)
    assert (code, "the archive has no kernel deb:6.1=6.1.9" in text) == (2, True)
    code, text = said("--good", "deb:6.1", "--bad", "deb:6.12", ASK, "--", "arch")
    assert (code, "paths are for commits" in text) == (2, True)
