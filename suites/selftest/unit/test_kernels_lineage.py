"""Which build folder a build borrows, when there is one more, and how they are copied and counted."""

import multiprocessing
import os
import shutil
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_source import commit, git, repository, resolve, soon, write

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded
from ccsight.kernels import lineage, objects, stock
from ccsight.kernels.objects import Source
from ccsight.paths import cache_dir
from ccsight.store import locked

pytestmark = pytest.mark.usefixtures("cache")

NAME = "0123456789ab"


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Source]:
    """Two series that lie far apart, of which the old one has two versions."""
    monkeypatch.setattr(lineage, "FAR", 3)
    place = repository(tmp_path / "linux")
    for number, name in enumerate(("old", "old.1", "new", "newer", "newest")):
        added = {f"drivers/{name}-{file}.c": "int a;\n" for file in range(1 if number == 1 else 4)}
        git(place, "tag", "-f", name, commit(place, name, added))
    return {
        name: resolve(f"git:{place},ref={name}").source for name in ("old", "old.1", "new", "newer", "newest")
    }


def lent(source: Source, said: list[str] | None = None) -> str:
    """The name of the folder that is lent for a source, as a build leaves it."""
    report = (said if said is not None else []).append
    with lineage.borrowed(NAME, source, soon(), report) as folder:
        objects.move(lineage.worktree(folder), source, soon())
        (lineage.worktree(folder) / "product.o").write_text(source.title)
        return folder.name


def test_a_near_source_has_the_folder_and_a_far_one_another(sources: dict[str, Source]) -> None:
    assert lent(sources["old"]) == f"{NAME}-1"
    assert lent(sources["new"]) == f"{NAME}-2"
    assert lent(sources["old.1"]) == f"{NAME}-1"
    assert lent(sources["new"]) == f"{NAME}-2"
    assert lent(sources["old"]) == f"{NAME}-1"


def test_sources_of_several_repositories_share_a_folder(sources: dict[str, Source], tmp_path: Path) -> None:
    lent(sources["old"])
    git(tmp_path, "clone", "-q", "linux", "elsewhere")
    (tmp_path / "linux").rename(tmp_path / "moved")  # its objects are where they were said to be no more
    assert lent(resolve(f"git:{tmp_path}/elsewhere,ref=old").source) == f"{NAME}-1"


@pytest.mark.parametrize(("gone", "folder"), [(False, f"{NAME}-1"), (True, f"{NAME}-2")])
def test_the_objects_of_a_folder_may_be_gone(
    sources: dict[str, Source], tmp_path: Path, gone: bool, folder: str
) -> None:
    lent(sources["newest"])
    shutil.copytree(tmp_path / "linux", tmp_path / "plain", ignore=shutil.ignore_patterns(".git"))
    write(tmp_path / "plain", {"drivers/one-more.c": "int a;\n"})
    if gone:
        shutil.rmtree(tmp_path / "linux")
    assert lent(resolve(f"tree:{tmp_path}/plain").source) == folder


def test_the_number_is_bounded_and_the_nearest_makes_room(
    sources: dict[str, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineage, "LIMIT", 2)
    lent(sources["old"])
    lent(sources["new"])
    with lineage.borrowed(NAME, sources["newest"], soon(), print) as folder:
        assert folder.name == f"{NAME}-2"
        assert not list(lineage.worktree(folder).iterdir()), "products of a far source are in the way"
    assert len(list((cache_dir() / lineage.FOLDERS).glob("*/"))) == 2


def test_a_full_disk_gets_no_more_folders(sources: dict[str, Source], full: None) -> None:
    assert lent(sources["old"]) == f"{NAME}-1", "one there has to be"
    assert lent(sources["new"]) == f"{NAME}-1"
    said: list[str] = []
    assert lineage.spread(NAME, sources["new"], 2, soon(), said.append) == 1
    assert "less than 5 GB" in said[-1]


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=6 << 30))


def test_a_near_one_that_is_busy_is_waited_for(sources: dict[str, Source]) -> None:
    lent(sources["old"])
    said: list[str] = []
    with (
        lineage.borrowed(NAME, sources["old"], soon(), print),
        pytest.raises(DeadlineExceeded, match="waiting for a build folder"),
        lineage.borrowed(NAME, sources["old.1"], Deadline(0.5), said.append),
    ):
        pass
    assert said == [f"waiting for a build folder near {sources['old.1'].title}"]
    assert lent(sources["old.1"]) == f"{NAME}-1"


def test_copies_are_lent_to_several_at_once(sources: dict[str, Source]) -> None:
    lent(sources["old"])
    said: list[str] = []
    assert lineage.spread(NAME, sources["old.1"], 3, soon(), said.append) == 3
    assert len(said) == 2
    with ExitStack() as stack:
        folders = [
            stack.enter_context(lineage.borrowed(NAME, sources["old.1"], soon(), print)) for _ in range(3)
        ]
        assert sorted(folder.name for folder in folders) == [f"{NAME}-{number}" for number in (1, 2, 3)]
    assert lineage.spread(NAME, sources["old"], 2, soon(), said.append) == 3
    assert len(said) == 2, "there are enough"


def test_nothing_is_copied_where_nothing_is_near(sources: dict[str, Source]) -> None:
    assert lineage.spread(NAME, sources["old"], 2, soon(), print) == 0
    lent(sources["new"])
    assert lineage.spread(NAME, sources["old"], 2, soon(), print) == 0


def test_a_move_of_a_copy_writes_only_what_differs(sources: dict[str, Source]) -> None:
    lent(sources["old"])
    lineage.spread(NAME, sources["old"], 2, soon(), print)
    origin, copied = (cache_dir() / lineage.FOLDERS / f"{NAME}-{number}/src" for number in (1, 2))
    before = {path: path.stat().st_mtime_ns for path in sorted(origin.rglob("*.c"))}
    assert [(copied / path.relative_to(origin)).stat().st_mtime_ns for path in before] == [*before.values()]
    time.sleep(0.01)
    objects.move(copied, sources["old.1"], soon())
    written = {path.name for path in copied.rglob("*.c")} - {path.name for path in before}
    assert written == {"old.1-0.c"}
    for path, date in before.items():
        assert (copied / path.relative_to(origin)).stat().st_mtime_ns == date, path


def _copy(source: Source) -> None:
    real = process.run

    def slow(argv, *args, **more):
        done = real(argv, *args, **more)
        return real(["sleep", "60"], *args, **more) if argv[0] == "cp" else done

    process.run = slow
    lineage.spread(NAME, source, 2, soon(), print)


def test_half_a_copy_is_never_lent(sources: dict[str, Source]) -> None:
    lent(sources["old"])
    child = multiprocessing.get_context("fork").Process(target=_copy, args=(sources["old"],))
    child.start()
    drafts, end = cache_dir() / lineage.FOLDERS, Deadline(30)
    while not list(drafts.glob(".*.draft/src/Makefile")) and not end.passed:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.join(20)
    assert list(drafts.glob(".*.draft"))
    assert lent(sources["old"]) == f"{NAME}-1"
    assert lent(sources["new"]) == f"{NAME}-2"
    assert not list(drafts.glob(".*.draft"))


def _lent_in_another(source: Source, names: "multiprocessing.Queue[str]") -> None:
    with lineage.borrowed(NAME, source, soon(), print) as folder:
        objects.move(lineage.worktree(folder), source, soon())
        names.put(folder.name)
        time.sleep(0.5)


def test_two_processes_never_have_the_same_folder(sources: dict[str, Source]) -> None:
    context = multiprocessing.get_context("fork")
    names: multiprocessing.Queue[str] = context.Queue()
    children = [
        context.Process(target=_lent_in_another, args=(sources[name], names)) for name in ("old", "new")
    ]
    for child in children:
        child.start()
    assert {names.get(timeout=30) for _ in children} == {f"{NAME}-1", f"{NAME}-2"}
    for child in children:
        child.join(20)
        assert child.exitcode == 0


def test_a_pruned_folder_leaves_its_number(sources: dict[str, Source]) -> None:
    lent(sources["old"])
    lent(sources["new"])
    with locked(cache_dir() / lineage.FOLDERS / f"{NAME}-2", soon()):
        gone = stock.prune(0)
    assert f"{NAME}-1" in {each.name for each in gone}
    assert f"{NAME}-2" not in {each.name for each in gone}, "somebody builds in it"


def test_folders_of_former_names_are_swept_and_not_counted(sources: dict[str, Source]) -> None:
    former = cache_dir() / lineage.FOLDERS / f"deb-6.12-{NAME}"
    write(former, {"src/Makefile": "all:\n"})
    assert lent(sources["old"]) == f"{NAME}-1"
    assert [each.name for each in stock.prune(1000)] == [former.name]
    assert not former.exists()
    assert lent(sources["old"]) == f"{NAME}-1"
