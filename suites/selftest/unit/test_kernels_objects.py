"""Trees kept as git objects, and folders moved from tree to tree with only what differs written."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_source import FILES, fingerprint, git, soon, write

from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded, NoSpace
from ccsight.kernels import objects
from ccsight.kernels.objects import Folder, GitFailed, Source

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "linux", FILES)
    return tmp_path / "linux"


def taken(folder: Path, *words: str) -> Source:
    index = folder.with_name(f"{folder.name}.our-index")
    tree = objects.import_folder(Folder(folder, index, words or ("--", ".")), soon())
    return Source(tree, (objects.store(soon()) / "objects",), "fake")


def dates(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()
    }


def test_equal_content_is_one_tree_however_often_it_is_read(folder: Path) -> None:
    first = taken(folder)
    os.utime(folder / "Makefile")
    assert taken(folder) == first
    (folder / "Makefile").write_text("other:\n")
    assert taken(folder).tree != first.tree
    (folder / "Makefile").write_text(FILES["Makefile"])
    assert taken(folder) == first


def test_build_products_and_git_itself_are_not_source(folder: Path) -> None:
    first = taken(folder)
    write(folder, {"drivers/a.o": "object", "vmlinux": "kernel", ".git/HEAD": "whatever"})
    assert taken(folder) == first


def test_bytes_stay_as_they_are(folder: Path, tmp_path: Path) -> None:
    write(folder, {".gitattributes": "*.c text eol=crlf ident filter=x\n", "init/crlf.c": "a;\r\n$Id$\nb;\n"})
    objects.move(tmp_path / "tree", taken(folder), soon())
    assert fingerprint(tmp_path / "tree") == fingerprint(folder)


def test_links_and_modes_are_kept(folder: Path, tmp_path: Path) -> None:
    (folder / "init/link").symlink_to("main.c")
    (folder / "init/main.c").chmod(0o755)
    objects.move(tmp_path / "tree", taken(folder), soon())
    assert (tmp_path / "tree/init/link").readlink() == Path("main.c")
    assert os.access(tmp_path / "tree/init/main.c", os.X_OK)


def test_only_what_differs_is_written(folder: Path, tmp_path: Path) -> None:
    base = taken(folder)
    write(folder, {"arch/arm64/kvm/arm.c": "int other;\n", "init/new.c": "int new;\n"})
    (folder / "drivers/a.c").unlink()
    patched, tree = taken(folder), tmp_path / "tree"
    assert objects.changed_paths(base, patched, soon()) == (
        "arch/arm64/kvm/arm.c",
        "drivers/a.c",
        "init/new.c",
    )
    objects.move(tree, base, soon())
    before = dates(tree)
    time.sleep(0.01)
    objects.move(tree, patched, soon())
    after = dates(tree)
    assert {name for name in after if after[name] != before.get(name)} == {
        "arch/arm64/kvm/arm.c",
        "init/new.c",
    }
    assert "drivers/a.c" not in after
    objects.move(tree, patched, soon())
    assert dates(tree) == after


def test_what_a_build_leaves_stays_and_what_it_broke_is_repaired(folder: Path, tmp_path: Path) -> None:
    base, tree = taken(folder), tmp_path / "tree"
    objects.move(tree, base, soon())
    write(tree, {"drivers/a.o": "object", "init/main.c": "half wri"})
    (tree / "Makefile").unlink()
    objects.move(tree, base, soon())
    assert (tree / "drivers/a.o").read_text() == "object"
    assert {name: (tree / name).read_text() for name in FILES} == FILES


def test_a_killed_move_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    base, tree = taken(folder), tmp_path / "tree"
    write(folder, {"init/new.c": "int new;\n"})
    patched = taken(folder)
    objects.move(tree, base, soon())
    write(tree, {"init/new.c": "int new;\n"})  # what was written before the kill
    (tmp_path / "tree.moving").write_text("\n".join([patched.tree, *map(str, patched.objects)]))
    (tmp_path / "tree.index.lock").touch()
    objects.move(tree, base, soon())
    assert not (tree / "init/new.c").exists()
    assert not (tmp_path / "tree.moving").exists()


@pytest.mark.parametrize("lost", ["tree.index", "tree"])
def test_half_of_a_worktree_is_made_anew(folder: Path, tmp_path: Path, lost: str) -> None:
    base, tree = taken(folder), tmp_path / "tree"
    objects.move(tree, base, soon())
    write(tree, {"stray.c": ""})
    (tmp_path / lost).rename(tmp_path / "gone")
    objects.move(tree, base, soon())
    assert fingerprint(tree) == fingerprint(folder)


def test_a_torn_index_is_made_anew(folder: Path, tmp_path: Path) -> None:
    base, tree = taken(folder), tmp_path / "tree"
    objects.move(tree, base, soon())
    (tmp_path / "tree.index").write_bytes(b"DIRC")
    objects.move(tree, base, soon())
    assert fingerprint(tree) == fingerprint(folder)


def test_nobodys_environment_or_configuration_matters(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = taken(folder)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "config").write_text(
        "[core]\n\tautocrlf = true\n\texcludesFile = /dev/stdin\n[alias]\n\tadd = !false\n"
    )
    for name in (
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_WORK_TREE",
        "GIT_TRACE",
        "GIT_NAMESPACE",
    ):
        monkeypatch.setenv(name, str(theirs / name))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(theirs / "config"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.bare")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "nonsense")
    (folder / "init/main.c").write_text("a\r\n")
    changed = taken(folder)
    objects.move(tmp_path / "tree", changed, soon())
    assert first != changed
    assert (tmp_path / "tree/init/main.c").read_bytes() == b"a\r\n"
    assert sorted(path.name for path in theirs.iterdir()) == ["config"]


def test_an_emptied_cache_is_noticed(folder: Path, cache: Path, tmp_path: Path) -> None:
    base = taken(folder)
    assert objects.holds(base.tree, (), soon())
    (cache / "ccsight/objects.git").rename(tmp_path / "gone")
    assert not objects.holds(base.tree, (), soon())


def test_a_folder_with_a_colon_serves_as_alternate(folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / 'a:b"c'
    write(odd, FILES)
    git(odd, "init", "-q")
    git(odd, "add", "-A")
    tree = git(odd, "write-tree")
    source = Source(tree, (objects.store(soon()) / "objects", odd / ".git/objects"), "odd")
    objects.move(tmp_path / "tree", source, soon())
    assert {name: (tmp_path / "tree" / name).read_text() for name in FILES} == FILES


def test_git_says_what_was_wrong() -> None:
    with pytest.raises(GitFailed) as caught:
        objects.git(["cat-file", "tree", "0" * 40], soon(), where=objects.ours(soon()))
    assert caught.value.fact == "git cat-file ended with status 128"
    assert "0000" in caught.value.evidence


def test_a_full_disk_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text(
        "#!/bin/sh\necho 'fatal: write error: No space left on device' >&2\nexit 128\n"
    )
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(NoSpace):
        objects.git(["status"], soon())


def test_one_that_does_not_end_can_be_repeated_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told what git works on in variables, which no list of its words has."""
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(DeadlineExceeded, match="git did not end") as caught:
        objects.git(["status"], Deadline(0.1), where={"GIT_DIR": "/a b"})
    words = shlex.split(caught.value.next_step.removeprefix("by hand: "))
    assert words[0] == "env"
    assert words[-1] == "status"
    assert "GIT_DIR=/a b" in words[: words.index("git")]


def test_two_processes_read_one_folder_at_once(folder: Path, tmp_path: Path) -> None:
    code = "import sys; from tiny_source import resolve; print(resolve(f'tree:{sys.argv[1]}').source.tree)"
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    argv = [sys.executable, "-c", code, str(folder)]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) for _ in range(2)]
    assert len({child.communicate(timeout=60)[0] for child in both}) == 1
    assert [child.returncode for child in both] == [0, 0]
