"""A root filesystem with which ccsight runs on an emulated host: arm64 Python, its packages, and ccsight."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from ccsight import store
from ccsight.deadline import Deadline
from ccsight.machines import cpio
from ccsight.paths import data_dir
from ccsight.probes import build
from ccsight.toolbox import apt, elf, packages

#: What ``capture --on local`` imports, without what only other machines and other kernels need.
_WHEELS = (
    "cffi",
    "click",
    "filelock",
    "Jinja2",
    "junitparser",
    "msgspec",
    "pyelftools",
    "python-debian",
    "rich",
)
_UNUSED = {"pygments", "sitecustomize.py", "test", "idlelib", "ensurepip", "pydoc_data", "__pycache__"}
_PYTHON = "python3.13"
#: Parents that no folder of ours brings.
_FOLDERS = (
    *("r", "r/opt", "r/opt/harness", "r/root", "r/root/.cache"),
    *("r/root/.cache/ccsight", "r/root/.cache/ccsight/guests"),
)
#: Raised when what is put into the cache changes.
_RECIPE = 1


def layer(to: Path, deadline: Deadline) -> None:
    """Write it as a layer of an initramfs, below /r: over SSH it would take an emulated host minutes.

    The guests and the probe are in it as compiled here, since it has no compiler.
    """
    python = store.entry(
        "selftest", f"python-arm64-{_RECIPE}", lambda folder: _fill(folder, deadline), deadline
    )
    programs = build.built(deadline)
    entries = [cpio.folder(name) for name in _FOLDERS]
    entries += _below("r", python)
    entries += _below("r/opt/harness/ccsight", Path(build.__file__).parent.parent)
    entries += _below("r/opt/guests", data_dir("guests"))
    entries += _below(f"r/root/.cache/ccsight/guests/{programs.name}", programs)
    to.write_bytes(cpio.archive(entries))


def _below(place: str, folder: Path) -> list[cpio.Entry]:
    found = [cpio.folder(place)]
    for entry in cpio.tree(folder):
        if not _UNUSED & set(Path(entry.name).parts):
            found.append(replace(entry, name=f"{place}/{entry.name}"))
    return found


def ccsight(*words: str) -> list[str]:
    """Return the argv that runs ccsight below /r on the host."""
    main = "from ccsight.cli import main; main()"
    return ["env", "-i", "HOME=/root", "PATH=/usr/bin", "PYTHONPATH=/opt/site:/opt/harness", "LC_ALL=C.UTF-8",
            "/bin/chroot", "/r", f"/usr/bin/{_PYTHON}", "-c", main, *words]  # fmt: skip


def _fill(folder: Path, deadline: Deadline) -> None:
    raw = folder / "raw"
    raw.mkdir()
    suites = apt.available(deadline, print).only("stable")
    view = apt.update(suites, "arm64", deadline, print)
    wanted = apt.closure(view, ["python3-minimal", "libpython3-stdlib"], suites.all[0], deadline)
    for deb in packages.fetch(wanted, view.config, deadline, print):
        packages.unpack(deb, raw, deadline)
    _wheels(folder / "opt" / "site", deadline)
    shutil.copytree(
        raw / "usr/lib" / _PYTHON, folder / "usr/lib" / _PYTHON, ignore=lambda _, names: _UNUSED & set(names)
    )
    (folder / "usr/bin").mkdir(parents=True)
    shutil.copy2(raw / "usr/bin" / _PYTHON, folder / "usr/bin")
    _libraries(folder, raw)
    for name in ("dev", "proc", "sys", "tmp", "root"):
        (folder / name).mkdir()
    shutil.rmtree(raw)


def _libraries(folder: Path, raw: Path) -> None:
    """Copy the loader and the shared objects that Python and its extensions need."""
    (folder / "lib").mkdir()
    ours = (path for top in ("usr", "opt") for path in (folder / top).rglob("*"))
    needing = [path for path in ours if path.is_file() and elf.is_elf(path)]
    for name, path in elf.closure(needing, elf.libraries(raw)).items():
        shutil.copy2(path.resolve(), folder / "lib" / name)


def _wheels(site: Path, deadline: Deadline) -> None:
    draft = site.with_name("wheels")
    argv = [sys.executable, "-m", "pip", "download", "-q", "-d", draft, "--only-binary=:all:"]
    argv += ["--implementation", "cp", "--python-version", _PYTHON.removeprefix("python")]
    for platform in ("manylinux2014_aarch64", "manylinux_2_28_aarch64"):
        argv += ["--platform", platform]
    subprocess.run([*argv, *_WHEELS], check=True, timeout=deadline.remaining)
    for wheel in draft.glob("*.whl"):
        shutil.unpack_archive(wheel, site, "zip")
    for name in _UNUSED:
        shutil.rmtree(site / name, ignore_errors=True)
    shutil.rmtree(draft)
