"""A kernel's source as far as nobody builds it: a few small files, and git repositories made of them."""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.kernels import source
from ccsight.kernels.source import Inputs
from ccsight.kernels.spec import parse

FILES = {
    "Makefile": "all:\n\techo a kernel\n",
    "Kconfig": "config ARM64\n\tdef_bool y\n",
    ".gitignore": "*.o\n*.patch\n/vmlinux\n",
    "arch/arm64/Kconfig": "",
    "arch/arm64/kvm/sys_regs.c": "".join(f"int line_{number};\n" for number in range(1, 41)),
    "arch/arm64/kvm/arm.c": "int arm;\n",
    "drivers/a.c": "int a;\n",
    "init/main.c": "int main;\n",
}


#: What takes longer than all else where repositories are small and soon gone: upkeep, and samples of hooks.
BRISK = ("-c", "maintenance.auto=false", "-c", "gc.auto=0", "-c", "init.templateDir=")


def git(place: Path, *words: str, **more: str) -> str:
    """Run git as a user without any configuration would; keywords are environment variables."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    people = {
        f"GIT_{who}_{what}": "a@b.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    env |= people | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"} | more
    argv = ["git", "-C", str(place), "-c", "init.defaultBranch=master", *BRISK, *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True, env=env).stdout.rstrip("\n")


def write(place: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)


def commit(place: Path, subject: str, files: Mapping[str, str]) -> str:
    """Commit all that lies there, and return the id."""
    write(place, files)
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--allow-empty", "-m", subject)
    return git(place, "rev-parse", "HEAD")


def edited(number: int, text: str) -> str:
    """The long file with one line changed."""
    lines = FILES["arch/arm64/kvm/sys_regs.c"].splitlines(keepends=True)
    lines[number - 1] = f"{text}\n"
    return "".join(lines)


def fingerprint(place: Path) -> str:
    """A hash of everything below a folder, names and modes included."""
    digest = hashlib.sha256()
    for path in sorted(place.rglob("*")):
        content = b"" if path.is_dir() or path.is_symlink() else path.read_bytes()
        digest.update(f"{path.relative_to(place)} {path.lstat().st_mode} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def resolve(text: str, told: list[str] | None = None) -> Inputs:
    """What a spec says to build; ``told`` gathers what is reported."""
    return source.resolve_source(parse(text), Deadline(30), (told if told is not None else []).append)


def repository(place: Path) -> Path:
    """Make a repository of the files, in one commit, and return its place."""
    write(place, FILES)
    git(place, "init", "-q")
    commit(place, "import", {})
    return place


def soon() -> Deadline:
    """Return a deadline that begins now: one made at import may have passed when its test begins."""
    return Deadline(60)
