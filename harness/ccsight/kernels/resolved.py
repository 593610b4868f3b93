"""The .config that a build folder resolved last, for as long as Kconfig would say the same again.

Kconfig asks the compiler a hundred questions on each run: seconds, where a changed file costs no more.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from ccsight.store import write_atomically

NAME = "resolved.config"
#: What Kconfig, and the scripts that it runs, read of a source.
_READ = re.compile(r"(.*/)?Kconfig[^/]*|scripts/.*|Makefile|arch/arm64/Makefile")
#: ... and what tells which option makes which module.
_MAKEFILES = re.compile(r"(.*/)?(Makefile|Kbuild)")
_SALT = re.compile(r'^CONFIG_BUILD_SALT=".*"$', re.MULTILINE)


def identity(wanted: str, files: Mapping[str, str], *, makefiles: bool = False) -> str:
    """Hash what a .config follows from in a folder, whose toolchain is one: options, and Kconfig's files.

    With ``makefiles``, those of all folders, too: modules that are not loaded have been switched off.
    """
    read = sorted(
        f"{path} {content}\n"
        for path, content in files.items()
        if _READ.fullmatch(path) or (makefiles and _MAKEFILES.fullmatch(path))
    )
    return hashlib.sha256("".join([wanted, *read]).encode()).hexdigest()


def keep(folder: Path, identity: str, config: str) -> None:
    """Keep a .config that Kconfig made and that was proved."""
    write_atomically(folder / NAME, f"{identity}\n{config}".encode())


def known(folder: Path, identity: str, salt: str) -> str | None:
    """Return the .config of an identity with another salt, which no option depends on; None if not kept."""
    try:
        kept, config = (folder / NAME).read_text().split("\n", 1)
    except (FileNotFoundError, ValueError):
        return None
    return _SALT.sub(f'CONFIG_BUILD_SALT="{salt}"', config) if kept == identity else None
