"""From a spec to what is built: the base, then patches and reverts in the order of the options."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from history import History, of
from tiny_archive import Archive, Server
from tiny_source import FILES, edited, fingerprint, git, resolve, soon, write

from ccsight.errors import UsageError
from ccsight.kernels import objects

pytestmark = pytest.mark.usefixtures("cache")

LONG = "arch/arm64/kvm/sys_regs.c"
PATCH = "--- a/init/main.c\n+++ b/init/main.c\n@@ -1 +1 @@\n-int main;\n+int patched;\n"


@pytest.fixture
def history(tmp_path: Path) -> History:
    write(tmp_path / "plain", FILES)
    made = of(f"tree:{tmp_path}/plain", "test", soon())
    made.edit("KVM: change a line", {LONG: ("int line_10;", "int changed;")})
    made.write("init: another main", {"init/main.c": "int other;\n", "init/new.c": "int new;\n"})
    return made


def test_without_changes_source_and_base_are_one(history: History) -> None:
    inputs = resolve(f"git:{history.place},ref=master")
    assert inputs.source == inputs.base
    assert inputs.patches == ()


def test_a_history_is_a_real_repository(history: History, tmp_path: Path) -> None:
    assert git(history.place, "log", "--format=%s").splitlines()[:2] == [
        "init: another main",
        "KVM: change a line",
    ]
    git(history.place, "fsck", "--strict")
    git(tmp_path, "clone", "-q", str(history.place), "clone")
    assert (tmp_path / "clone" / LONG).read_text() == edited(10, "int changed;")
    with pytest.raises(ValueError, match="has 0 of"):
        history.edit("nothing", {LONG: ("missing", "x")})


def test_each_commit_of_a_history_is_a_source(history: History, tmp_path: Path) -> None:
    before = fingerprint(history.place)
    sources = [resolve(f"git:{history.place},ref={commit}").source for commit in history.commits]
    assert objects.changed_paths(sources[0], sources[1], soon()) == (LONG,)
    assert objects.changed_paths(sources[1], sources[2], soon()) == ("init/main.c", "init/new.c")
    for source in (*sources, *reversed(sources)):
        objects.move(tmp_path / "build", source, soon())
    assert {name: (tmp_path / "build" / name).read_text() for name in FILES} == FILES
    assert fingerprint(history.place) == before


def test_options_are_applied_in_their_order(history: History, tmp_path: Path) -> None:
    (tmp_path / "a,b.patch").write_text(PATCH)
    spec, patch = f"git:{history.place},ref=master", f"patch={tmp_path}/a,,b.patch"
    inputs = resolve(f"{spec},revert=master,{patch}")
    assert [each.subject.split(" ")[0] for each in inputs.patches] == ["Revert", "a,b.patch"]
    assert objects.changed_paths(inputs.base, inputs.source, soon()) == ("init/main.c", "init/new.c")
    with pytest.raises(UsageError, match="does not apply"):
        resolve(f"{spec},{patch},revert=master")


def test_a_source_package_with_a_patch(archive: Archive, server: Server, tmp_path: Path) -> None:
    archive.source("stable", "6.12.5-1", FILES)
    archive.publish()
    (tmp_path / "one.patch").write_text(PATCH)
    inputs = resolve(f"deb-src:6.12,patch={tmp_path}/one.patch")
    assert inputs.source.title == "linux 6.12.5-1 with one.patch"
    assert objects.changed_paths(inputs.base, inputs.source, soon()) == ("init/main.c",)


def test_what_is_no_kernel(archive: Archive, server: Server) -> None:
    archive.source("stable", "6.12.5-1", {"Makefile": "all:\n"})
    archive.publish()
    with pytest.raises(UsageError) as caught:
        resolve("deb-src:6.12")
    assert caught.value.fact == "deb-src:6.12 is not the source of an arm64 kernel"
    assert caught.value.evidence == "it has no Kconfig, arch/arm64"


def test_two_processes_make_the_store_together(tmp_path: Path) -> None:
    write(tmp_path / "plain", FILES)
    (tmp_path / "one.patch").write_text(PATCH)
    code = "import sys; from tiny_source import resolve; print(resolve(sys.argv[1]).source.tree)"
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    argv = [sys.executable, "-c", code, f"tree:{tmp_path}/plain,patch={tmp_path}/one.patch"]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) for _ in range(3)]
    assert len({child.communicate(timeout=60)[0] for child in both}) == 1
    assert [child.returncode for child in both] == [0, 0, 0]
