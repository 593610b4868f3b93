"""``tree:PATH``: the content of a folder as it is now, with the user's git only read."""

import os
import shutil
import time
from pathlib import Path

import pytest
from tiny_source import FILES, commit, fingerprint, git, resolve, soon, write

from ccsight.errors import UsageError
from ccsight.kernels import objects

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    write(tmp_path / "plain", FILES)
    return tmp_path / "plain"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    write(tmp_path / "linux", FILES)
    git(tmp_path / "linux", "init", "-q")
    commit(tmp_path / "linux", "import", {})
    return tmp_path / "linux"


def paths(source: objects.Source) -> set[str]:
    where = objects.ours(soon(), source.objects)
    return set(objects.git(["ls-tree", "-r", "--name-only", source.tree], soon(), where=where).text.split())


def test_with_or_without_git_it_is_the_same_source(plain: Path, clone: Path) -> None:
    first, second = resolve(f"tree:{plain}").source, resolve(f"tree:{clone}").source
    assert first.tree == second.tree == git(clone, "rev-parse", "HEAD^{tree}")
    assert dict(second.provenance)["commit"] == git(clone, "rev-parse", "HEAD")
    assert "modified" not in second.title


def test_a_dirty_tree_is_taken_as_it_lies_there(clone: Path) -> None:
    clean = resolve(f"tree:{clone}").source
    write(clone, {"drivers/a.c": "int dirty;\n", "drivers/new.c": "int new;\n", "drivers/a.o": "object"})
    (clone / "init/main.c").unlink()
    git(clone, "add", "drivers/new.c")
    dirty = resolve(f"tree:{clone}").source
    assert objects.changed_paths(clean, dirty, soon()) == ("drivers/a.c", "drivers/new.c", "init/main.c")
    assert "modified" in dirty.title
    assert "modified" in dict(dirty.provenance)["state"]


def test_what_git_tracks_though_it_is_ignored_is_source(clone: Path) -> None:
    write(clone, {"drivers/firmware.o": "blob", "drivers/product.o": "product"})
    git(clone, "add", "--force", "drivers/firmware.o")
    found = paths(resolve(f"tree:{clone}").source)
    assert "drivers/firmware.o" in found
    assert "drivers/product.o" not in found
    git(clone, "rm", "--quiet", "--cached", "drivers/firmware.o")
    assert "drivers/firmware.o" not in paths(resolve(f"tree:{clone}").source)


def test_what_git_was_told_not_to_look_at_is_looked_at(clone: Path) -> None:
    git(clone, "update-index", "--assume-unchanged", "drivers/a.c")
    git(clone, "update-index", "--skip-worktree", "init/main.c")
    clean = resolve(f"tree:{clone}").source
    write(clone, {"drivers/a.c": "int unseen;\n", "init/main.c": "int unseen;\n"})
    changed = resolve(f"tree:{clone}").source
    assert objects.changed_paths(clean, changed, soon()) == ("drivers/a.c", "init/main.c")


def test_a_change_of_the_same_size_and_second_is_seen(clone: Path) -> None:
    """The user's index and ours may be as old as the file: then only its content tells."""
    for text in ("int b;\n", "int c;\n", "int d;\n"):
        write(clone, {"drivers/a.c": text})
        git(clone, "add", "--all")
        first = resolve(f"tree:{clone}").source
        write(clone, {"drivers/a.c": text.upper()})
        assert resolve(f"tree:{clone}").source.tree != first.tree


@pytest.mark.parametrize("layout", ["split", "version 4", "worktree", "unborn", "bare index"])
def test_any_layout_of_the_users_git(clone: Path, tmp_path: Path, layout: str) -> None:
    place, expected = clone, resolve(f"tree:{clone}").source.tree
    if layout == "split":
        git(clone, "update-index", "--split-index")
        write(clone, {"drivers/b.c": ""})
        git(clone, "add", "--all")
        expected = git(clone, "write-tree")
    elif layout == "version 4":
        git(clone, "update-index", "--index-version", "4")
    elif layout == "worktree":
        place = tmp_path / "second"
        git(clone, "worktree", "add", "-q", str(place))
    elif layout == "unborn":
        shutil.rmtree(clone / ".git")
        git(clone, "init", "-q")
    else:
        (clone / ".git/index").unlink()
    before = fingerprint(clone)
    assert resolve(f"tree:{place}").source.tree == expected
    assert fingerprint(clone) == before


def test_a_folder_in_a_repository_is_not_its_top(clone: Path) -> None:
    write(clone / "inner", FILES)
    source = resolve(f"tree:{clone}/inner").source
    assert source.tree == git(clone, "rev-parse", "HEAD^{tree}")
    assert dict(source.provenance)["commit"] == ""


def test_packaging_that_ignores_the_source(plain: Path) -> None:
    expected = resolve(f"tree:{plain}").source
    write(plain, {".gitignore": "*.o\n/*\n!/debian/\n", "debian/changelog": "x", ".pc/applied": "x"})
    write(plain, {"vmlinux": "x", "drivers/b.o": "x", ".config": "x", "include/generated/x.h": "x"})
    found = resolve(f"tree:{plain}").source
    assert objects.changed_paths(expected, found, soon()) == (".gitignore",)


def test_the_users_repository_is_left_as_it_was(clone: Path, tmp_path: Path) -> None:
    write(clone, {"drivers/a.c": "int staged;\n"})
    git(clone, "add", "--all")
    write(clone, {"drivers/a.c": "int dirty;\n", "drivers/new.c": "int new;\n"})
    patch = tmp_path / "one.patch"
    patch.write_text("--- a/init/main.c\n+++ b/init/main.c\n@@ -1 +1 @@\n-int main;\n+int patched;\n")
    before = fingerprint(clone)
    inputs = resolve(f"tree:{clone},patch={patch}")
    objects.move(tmp_path / "build", inputs.base, soon())
    objects.move(tmp_path / "build", inputs.source, soon())
    assert not inputs.base.changed(soon())
    assert fingerprint(clone) == before
    assert (tmp_path / "build/init/main.c").read_text() == "int patched;\n"


def test_a_change_while_it_was_built_is_noticed(plain: Path) -> None:
    inputs = resolve(f"tree:{plain}")
    assert not inputs.source.changed(soon())
    time.sleep(0.01)
    os.utime(plain / "Makefile")
    assert not inputs.source.changed(soon())
    write(plain, {"Makefile": "changed:\n"})
    assert inputs.source.changed(soon())


def test_objects_that_the_users_git_drops_are_read_again(clone: Path) -> None:
    write(clone, {"drivers/new.c": "int new;\n"})
    git(clone, "add", "--all")
    first = resolve(f"tree:{clone}").source
    git(clone, "reset", "--quiet")
    git(clone, "prune", "--expire=now")
    assert resolve(f"tree:{clone}").source.tree == first.tree


def test_not_a_kernel_tree(tmp_path: Path) -> None:
    write(tmp_path / "other", {"Makefile": "", "Kconfig": ""})
    with pytest.raises(UsageError) as caught:
        resolve(f"tree:{tmp_path}/other")
    assert caught.value.evidence == "it has no arch/arm64"
    with pytest.raises(UsageError, match="is not a folder"):
        resolve(f"tree:{tmp_path}/missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="is not the source of an arm64 kernel"):
        resolve(f"tree:{tmp_path}/empty")


def test_a_changed_source_after_patching_is_noticed_too(plain: Path, tmp_path: Path) -> None:
    patch = tmp_path / "one.patch"
    patch.write_text("--- a/init/main.c\n+++ b/init/main.c\n@@ -1 +1 @@\n-int main;\n+int patched;\n")
    source = resolve(f"tree:{plain},patch={patch}").source
    assert not source.changed(soon())
    write(plain, {"Makefile": "changed:\n"})
    assert source.changed(soon())
