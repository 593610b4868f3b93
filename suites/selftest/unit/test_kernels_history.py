"""Facts of a git history, on real repositories."""

import pytest
from dag import made
from tiny_source import git, soon

from ccsight.kernels.history import History

#: A merge of two branches, and one commit on top.
GRAPH = [[], [0], [1], [1], [2, 3], [4]]


@pytest.fixture
def linux(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return made(tmp_path / "linux.git", GRAPH)


def test_what_lies_between_is_what_git_says_the_best_first(linux):
    history, ids = History(linux.place), linux.commits
    found = history.between([ids[0]], ids[5], soon())
    assert set(found) == set(ids[1:])
    assert found[0] in (ids[2], ids[3]), "either has two commits on one side and three on the other"
    assert found[-1] == ids[5]
    assert set(history.between([ids[2]], ids[5], soon())) == {ids[3], ids[4], ids[5]}
    assert history.between([ids[5]], ids[5], soon()) == ()


def test_only_what_touches_some_paths(linux):
    history = History(linux.place, ("file-3", "file-5"))
    assert set(history.between([linux.commits[0]], linux.commits[5], soon())) == {
        linux.commits[3],
        linux.commits[5],
    }


def test_who_comes_before_whom(linux):
    history, ids = History(linux.place), linux.commits
    assert history.is_ancestor(ids[1], ids[4], soon())
    assert not history.is_ancestor(ids[4], ids[1], soon())
    assert not history.is_ancestor(ids[2], ids[3], soon())
    assert history.merge_base(ids[2], ids[3], soon()) == ids[1]


def test_a_commit_says_what_it_is_and_did(linux):
    history, ids = History(linux.place), linux.commits
    found = history.commit("master", soon())
    assert (found.id, found.parents, found.subject) == (ids[5], (ids[4],), "change 5")
    assert found.cited == f'{ids[5][:12]} ("change 5")'
    assert history.commit(ids[4], soon()).parents == (ids[2], ids[3])
    assert history.stat("master", soon())[0].split() == ["file-5", "|", "1", "+"]
    merge = [line.split()[0] for line in history.stat(ids[4], soon())]
    assert merge[:2] == ["file-3", "file-4"], "what the other side has brought"


def test_nobodys_settings_change_what_is_read(linux):
    git(linux.place, "config", "diff.external", "false")
    git(linux.place, "config", "log.showSignature", "true")
    assert History(linux.place).stat("master", soon())
    assert History(linux.place).commit("master", soon()).subject == "change 5"
