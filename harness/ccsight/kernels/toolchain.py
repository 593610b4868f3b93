"""What compiles a kernel: make's variables, an environment that tells nothing of this system, an identity.

Two builds with the same source, configuration and identity give the same bytes, whoever runs them, where
and when.
"""

import platform
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ccsight.arm64.suggest import nearest
from ccsight.deadline import Deadline
from ccsight.errors import ToolMissing, UsageError
from ccsight.process import run

_VERSION = re.compile(r"\d+\.\d+")
_NATIVE = ("aarch64", "arm64")

#: What kbuild would take from the clock, the user and the host, and what it would take from the environment
#: of whoever builds. A variable that is only empty here must be so: kbuild asks whether it is set.
_ENVIRONMENT = (
    ("CCACHE_DEPEND", "1"),  # a miss then costs nothing; otherwise every file is preprocessed twice
    ("KBUILD_BUILD_TIMESTAMP", "Thu Jan  1 00:00:00 UTC 1970"),
    ("KBUILD_BUILD_USER", "ccsight"),
    ("KBUILD_BUILD_HOST", "ccsight"),
    ("KBUILD_BUILD_VERSION", "1"),
    ("KBUILD_OUTPUT", ""),
    ("KCONFIG_CONFIG", ".config"),
    ("LC_ALL", "C"),
    ("MAKEFLAGS", ""),
    ("SOURCE_DATE_EPOCH", "0"),
    ("TZ", "UTC"),
)
#: On make's command line, where they also beat what a makefile or the environment sets. An empty LOCALVERSION
#: keeps the state of a git repository out of the release. Versions of programs that build nothing here would
#: be written into the .config: so they are called what nothing is called.
_VARIABLES = (
    *("ARCH=arm64", "LOCALVERSION=", "KCFLAGS=", "KAFLAGS=", "KCPPFLAGS="),
    *("RUSTC=no-rustc", "PAHOLE=no-pahole"),
)
_LLVM_OFF = ("LLVM=", "LLVM_IAS=")
#: Prefix of the GNU tools -> suffix of their Debian packages.
_PACKAGES = {"": "", "aarch64-linux-gnu-": "-aarch64-linux-gnu"}

#: Program -> Debian package, for what every build of a kernel runs on this system.
_HOST_TOOLS = {"make": "make", "gcc": "gcc", "ld": "binutils", "flex": "flex", "bison": "bison", "bc": "bc"}


@dataclass(frozen=True)
class Toolchain:
    """A set of compiler, assembler and linker.

    ``make``: variables for make's command line. ``env``: to be added to make's environment.
    ``identity``: the banners of the programs whose version can change a kernel's bytes, one a line; two
    toolchains with the same identity are the same. ``machine`` is where it is, "" for this system.
    """

    name: str
    make: tuple[str, ...]
    identity: str
    env: tuple[tuple[str, str], ...]
    machine: str = ""


@dataclass(frozen=True)
class _Kind:
    """A toolchain that can be asked for, on this system."""

    compiler: str
    programs: dict[str, str]  #: program -> Debian package
    judged: tuple[str, ...]  #: programs whose banner goes into the identity
    make: tuple[str, ...]


def _gcc(prefix: str | None = None) -> _Kind:
    prefix = _prefix() if prefix is None else prefix
    package = _PACKAGES[prefix]
    programs = {f"{prefix}gcc": f"gcc{package}", f"{prefix}ld": f"binutils{package}"}
    judged = tuple(f"{prefix}{tool}" for tool in ("gcc", "as", "ld", "objcopy"))
    return _Kind(f"{prefix}gcc", programs, judged, (*_LLVM_OFF, f"CROSS_COMPILE={prefix}"))


def _llvm() -> _Kind:
    programs = {
        "clang": "clang",
        "ld.lld": "lld",
        "llvm-ar": "llvm",
        "llvm-objcopy": "llvm",
        "llvm-nm": "llvm",
    }
    # clang is its own assembler; older trees take its target from CROSS_COMPILE, newer ones from ARCH.
    variables = ("LLVM=1", "LLVM_IAS=1", f"CROSS_COMPILE={_prefix()}")
    return _Kind("clang", programs, ("clang", "ld.lld", "llvm-objcopy"), variables)


def _prefix() -> str:
    """Return what the names of the GNU tools for arm64 begin with here."""
    return "" if platform.machine() in _NATIVE else "aarch64-linux-gnu-"


#: A new toolchain is a row here.
_KINDS: dict[str, Callable[[], _Kind]] = {"gcc": _gcc, "llvm": _llvm}
NAMES = tuple(_KINDS)


def named(name: str, deadline: Deadline) -> Toolchain:
    """Return the toolchain ``gcc`` or ``llvm`` of this system.

    Raises UsageError for another name, and ToolMissing with the line that installs what is not there.
    """
    if name not in _KINDS:
        raise UsageError(
            f"{name!r} is not a toolchain",
            evidence=nearest(name, NAMES),
            next_step=f"toolchain= takes {' or '.join(NAMES)}",
        )
    kind = _KINDS[name]()
    _require({**kind.programs, **_HOST_TOOLS}, name)
    banners = [run([program, "--version"], deadline, env={"LC_ALL": "C"}).text for program in kind.judged]
    identity = "\n".join([*(_banner(text) for text in banners), *kind.make])
    compiler = f"CC={'ccache ' if shutil.which('ccache') else ''}{kind.compiler}"
    return Toolchain(name, (*_VARIABLES, *kind.make, compiler), identity, _ENVIRONMENT)


def of_machine(said: Mapping[str, str], machine: str) -> Toolchain:
    """Return the toolchain of a machine, by what its programs say of their versions; "arm" says what it is.

    Raises UsageError for a machine that is not arm64, ToolMissing with what is to be installed there.
    """
    if "arm" not in said:
        raise UsageError(f"{machine} is not an arm64 machine", next_step="build here: leave build-on= out")
    kind = _gcc("")
    needed = {**kind.programs, **_HOST_TOOLS, "as": "binutils", "objcopy": "binutils", "perl": "perl"}
    if missing := sorted({package for program, package in needed.items() if not said.get(program)}):
        raise ToolMissing(
            f"{machine} cannot build a kernel: {', '.join(missing)} not there",
            next_step=f"there, as root: apt-get install {' '.join(missing)}",
        )
    identity = "\n".join([*(_banner(said[program]) for program in kind.judged), *kind.make])
    name = f"gcc of {machine}"
    return Toolchain(name, (*_VARIABLES, *kind.make, "CC=gcc"), identity, _ENVIRONMENT, machine)


def _require(programs: Mapping[str, str], name: str) -> None:
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        packages = sorted({programs[program] for program in missing})
        raise ToolMissing(
            f"toolchain {name}: {', '.join(missing)} {'are' if missing[1:] else 'is'} not on this system",
            next_step=f"apt-get install {' '.join(packages)}",
        )


def _banner(said: str) -> str:
    """Return the line of a program's ``--version`` that has its version."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next((line for line in lines if _VERSION.search(line)), "")
