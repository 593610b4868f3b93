"""Which options a kernel tree defines for arm64, where, and what each depends on. It knows no fragment.

The Kconfig files are read from the top as kconfig itself reads them: a file that only another
architecture sources does not count.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ccsight.errors import UsageError

_KEYWORD = re.compile(
    r"^\s*(?P<word>(?:menu)?config|if|endif|menu|endmenu|choice|endchoice|source|depends on|comment|mainmenu"
    r"|bool|tristate|string|int|hex|prompt|---help---|help)\b[ \t]*(?P<rest>.*)$"
)
_SYMBOL = re.compile(r"(?P<no>!\s*)?\b(?P<name>[A-Za-z_][A-Za-z0-9_]*)\b(?!\s*[<>=!]=?)")
_NOT_SYMBOLS = re.compile(r"\$\([^()]*(?:\([^()]*\)[^()]*)*\)|\"[^\"]*\"|\b[ymn]\b")
#: A file that sources itself would never end; real trees are six deep.
_DEEPEST = 20


@dataclass
class Definition:
    """An option of a tree: every place that defines it, and all conditions named there."""

    name: str
    places: list[str] = field(default_factory=list)
    depends: list[str] = field(default_factory=list)
    has_prompt: bool = False


@dataclass
class _Block:
    """What is open at a line of a Kconfig file: its conditions hold for everything inside."""

    word: str
    depends: list[str] = field(default_factory=list)


def definitions(tree: Path) -> dict[str, Definition]:
    """Return every option that the Kconfig files of a tree define for arm64, by name without ``CONFIG_``.

    Raises UsageError when the tree has no Kconfig file.
    """
    if not (tree / "Kconfig").is_file():
        raise UsageError(
            f"{tree} is not a kernel tree",
            evidence="it has no file named Kconfig",
            next_step="name the top folder of a kernel's source",
        )
    known: dict[str, Definition] = {}
    _Reader(tree, known).read("Kconfig", 0)
    return known


def unmet(definition: Definition, values: Mapping[str, str]) -> list[str]:
    """Return the conditions of an option that do not look met by a .config, each with the values at fault.

    Conditions that ask the compiler are not evaluated, and of ``A || B`` both are told.
    """
    found = []
    for condition in dict.fromkeys(definition.depends):
        faults = [name for name, negated in _symbols(condition) if (values.get(name, "n") != "n") == negated]
        if faults:
            told = ", ".join(f"{name} is {values.get(name, 'n')}" for name in dict.fromkeys(faults))
            found.append(f"depends on {condition} ({told})")
    return found


def _symbols(condition: str) -> Iterator[tuple[str, bool]]:
    """Yield each option that a condition names, and whether it must be off."""
    for match in _SYMBOL.finditer(_NOT_SYMBOLS.sub("", condition)):
        yield match["name"], bool(match["no"])


class _Reader:
    """Walks the Kconfig files of a tree and fills ``known``."""

    def __init__(self, tree: Path, known: dict[str, Definition]) -> None:
        self._tree = tree
        self._known = known
        #: What is open, the files that source this one included.
        self._opened: list[_Block] = []
        #: What a "depends on" or a prompt belongs to.
        self._entry: Definition | _Block | None = None

    def read(self, name: str, depth: int) -> None:
        """Read one file, and what it sources."""
        path = self._tree / name
        if depth > _DEEPEST or not path.is_file():
            return
        outer = len(self._opened)
        for number, word, rest in _statements(path.read_text(errors="replace")):
            if word == "source":
                self.read(_sourced(rest), depth + 1)
            elif word in ("config", "menuconfig"):
                self._entry = self._define(rest, f"{name}:{number}")
            elif word in ("if", "menu", "choice"):
                self._entry = _Block(word, [rest] if word == "if" else [])
                self._opened.append(self._entry)
            elif word.startswith("end") and len(self._opened) > outer:
                self._opened.pop()
                self._entry = None
            else:
                self._attribute(word, rest)
        del self._opened[outer:]

    def _define(self, option: str, place: str) -> Definition:
        definition = self._known.setdefault(option, Definition(option))
        definition.places.append(place)
        for block in self._opened:
            definition.depends += block.depends
        return definition

    def _attribute(self, word: str, rest: str) -> None:
        """Take a line that says something of the entry before it."""
        if word in ("comment", "mainmenu"):
            self._entry = None
        elif word == "depends on" and self._entry:
            self._entry.depends.append(rest)
        elif isinstance(self._entry, Definition):
            self._entry.has_prompt |= rest.startswith(('"', "'"))


def _sourced(rest: str) -> str:
    name = rest.strip().strip("\"'")
    for variable, value in (("$(SRCARCH)", "arm64"), ("$SRCARCH", "arm64"), ("$(srctree)/", "")):
        name = name.replace(variable, value)
    return name


def _statements(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line number, keyword and rest of each statement; help texts and comments are left out."""
    helped: int | None = None  #: the indentation of a help text, -1 before its first line
    for number, line in _joined(text):
        if not line.strip():
            continue
        indent = len(line.expandtabs()) - len(line.expandtabs().lstrip())
        if helped is not None:
            helped = indent if helped < 0 else helped
            if indent >= helped > 0:
                continue
            helped = None
        match = _KEYWORD.match(line)
        if match and "help" in match["word"]:
            helped = -1
        elif match:
            yield number, match["word"], " ".join(match["rest"].partition(" #")[0].split())


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers, those that end in a backslash joined with the next."""
    pending = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        yield number, pending + line if pending else line
        pending = ""
