"""Kconfig fragments: read, merged without contradictions, and proved to be in the final .config.

A fragment is what kconfig itself reads, one option a line, and a comment may follow an option:
its reason, after a mark where one is needed.

    CONFIG_KVM=y            # what all this is about
    CONFIG_ARM64_VHE=y      # optional: trees that do not define it always have it
    CONFIG_ARM64_4K_PAGES=n # override: another fragment's value is replaced, on purpose
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ccsight.arm64.suggest import nearest
from ccsight.errors import UsageError, reason
from ccsight.kernels import kconfig_tree
from ccsight.kernels.machine_config import MachineConfig
from ccsight.paths import data_dir

#: The shipped fragments that every kernel built here has. The others are there to be asked for.
DEFAULT = (
    "base",
    "kvm-host",
    "cpu-features",
    "errata",
    "mte",
    "aarch32",
    "emulated-host",
    "linux-guest",
    "qemu-vmm",
)
#: What every kernel has that is built on a machine's own configuration, instead of all of those.
METAL = ("metal",)

_WANTED = "kconfig=FILE, a file with lines such as CONFIG_UBSAN=y"
_OPTION = re.compile(
    r"^CONFIG_(?P<name>\w+)=(?P<value>\"(?:[^\"\\]|\\.)*\"|[^\s#\"]+)(?:\s+#(?P<comment>.*))?\s*$"
)
_IS_OFF = re.compile(r"^# CONFIG_(?P<name>\w+) is not set\s*$")
_MARKS = re.compile(r"^\s*(?P<marks>(?:optional|override)(?:\s*,\s*(?:optional|override))*):\s*")
_NUMBER = re.compile(r"^-?\d+$|^0[xX][0-9a-fA-F]+$")


class KconfigDropped(UsageError):
    """An option that was asked for is not in the final .config, or has another value there."""


class Contradiction(UsageError):
    """Two fragments ask for different values of one option, and neither says that it overrides."""


@dataclass(frozen=True)
class Wanted:
    """What a fragment asks for: a value as kconfig writes it, with "n" for off, and where it does so.

    ``optional``: may be missing where the tree does not define the option. ``override``: replaces what
    an earlier fragment asks for.
    """

    name: str
    value: str
    place: str
    reason: str = ""
    optional: bool = False
    override: bool = False


@dataclass(frozen=True)
class Fragment:
    """A fragment that was read. ``name`` is a shipped one's name, or the path of the user's."""

    name: str
    options: tuple[Wanted, ...]


@dataclass(frozen=True)
class Merged:
    """Several fragments as one: an option once, sorted by name. ``names`` says whose they are.

    ``base`` is the machine's configuration that they go on top of; without one, all else is off.
    """

    names: tuple[str, ...]
    options: tuple[Wanted, ...]
    base: MachineConfig | None = None


def wanted(extra: Sequence[str] = ()) -> Merged:
    """Return the configuration of every kernel built here, with further fragments after it.

    Each of ``extra`` is the name of a shipped fragment or a file. Raises UsageError or Contradiction.
    """
    return merge([parse(find(name)) for name in dict.fromkeys((*DEFAULT, *extra))])


def on_top(base: MachineConfig, extra: Sequence[str] = ()) -> Merged:
    """Return a machine's configuration with what a build here changes in it, and further fragments."""
    merged = merge([parse(find(name)) for name in dict.fromkeys((*METAL, *extra))])
    return replace(merged, names=(base.pinned, *merged.names), base=base)


def shipped() -> list[str]:
    """Return the names of the fragments that travel with this package."""
    return sorted(path.stem for path in data_dir("kconfigs").glob("*.config"))


def find(name: str) -> Path:
    """Return the file of a shipped fragment's name, or of a path. Raises UsageError with the nearest name."""
    if name in shipped():
        return data_dir("kconfigs") / f"{name}.config"
    path = Path(name).expanduser()
    if path.is_file():
        return path
    raise UsageError(
        f"{name!r} is neither a file nor a fragment of ours",
        evidence=nearest(name, shipped()),
        next_step=_WANTED,
    )


def parse(path: Path) -> Fragment:
    """Read a fragment. Raises UsageError with file and line, and Contradiction within the file."""
    name = path.stem if path.parent == data_dir("kconfigs") else str(path)
    shown = path.name if path.parent == data_dir("kconfigs") else str(path)
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{shown} cannot be read", evidence=reason(error), next_step=_WANTED) from error
    options: dict[str, Wanted] = {}
    for number, line in enumerate(lines, 1):
        option = _option(line, f"{shown}:{number}")
        if option:
            _refuse_contradiction(options.get(option.name), replace(option, override=False))
            options[option.name] = option
    return Fragment(name, tuple(options.values()))


def _option(line: str, place: str) -> Wanted | None:
    """Return what a line asks for; None for a blank or a comment."""
    if off := _IS_OFF.match(line):
        return Wanted(off["name"], "n", place)
    if not line.strip() or line.lstrip().startswith("#"):
        return None
    match = _OPTION.match(line)
    if not match:
        raise UsageError(
            f"{place}: not a line of a fragment: {line.strip()!r}",
            next_step="CONFIG_NAME=VALUE: y, n, a number or a quoted string; a comment may follow",
        )
    _check_value(match["name"], match["value"], place)
    comment = match["comment"] or ""
    marks = _MARKS.match(comment)
    said = marks["marks"] if marks else ""
    reason = comment[marks.end() if marks else 0 :].strip()
    return Wanted(match["name"], match["value"], place, reason, "optional" in said, "override" in said)


def _check_value(name: str, value: str, place: str) -> None:
    if value == "m":
        raise UsageError(
            f"{place}: CONFIG_{name}=m, but a fragment makes no modules: they are what a machine has loaded",
            next_step=f"CONFIG_{name}=y builds it in",
        )
    if value not in ("y", "n") and not value.startswith('"') and not _NUMBER.match(value):
        raise UsageError(
            f"{place}: CONFIG_{name}={value} has no value that kconfig knows",
            next_step="y, n, a number (12, 0x1f) or a string in double quotes",
        )


def merge(fragments: Iterable[Fragment]) -> Merged:
    """Return fragments as one. A later one that says ``override`` wins; Contradiction if none does."""
    names: list[str] = []
    options: dict[str, Wanted] = {}
    for fragment in fragments:
        names.append(fragment.name)
        for option in fragment.options:
            before = options.get(option.name)
            _refuse_contradiction(before, option)
            if before is None or before.optional or before.value != option.value:
                options[option.name] = option
    return Merged(tuple(names), tuple(options[name] for name in sorted(options)))


def _refuse_contradiction(before: Wanted | None, option: Wanted) -> None:
    if before is None or option.override or _same(before.value, option.value):
        return
    raise Contradiction(
        f"{option.place} asks for CONFIG_{option.name}={option.value}, {before.place} for ={before.value}",
        evidence=before.reason and f"{before.place} says why: {before.reason}",
        next_step=f"to replace it on purpose: CONFIG_{option.name}={option.value} # override: your reason",
    )


def text(merged: Merged) -> str:
    """Return what kconfig reads as ``KCONFIG_ALLCONFIG``; the same for the same options in any order.

    With a base, it is what kconfig reads as ``.config``.
    """
    below = merged.base.without(frozenset(option.name for option in merged.options)) if merged.base else ""
    return below + "".join(
        f"# CONFIG_{option.name} is not set\n"
        if option.value == "n"
        else f"CONFIG_{option.name}={option.value}\n"
        for option in merged.options
    )


def prove(merged: Merged, dot_config: str, tree: Path) -> None:
    """Prove that a resolved .config has everything that was asked for.

    An optional one may be missing only where the tree does not define it. Raises KconfigDropped, which
    names every option that was dropped with the wanted and the got value and what it depends on, or
    UsageError for an option that the tree does not know.
    """
    values = read_values(dot_config)
    off = [option for option in merged.options if not _has(values, option)]
    absent = [
        option for option in merged.options if option.value in ("n", '""') and option.name not in values
    ]
    if not off and not absent:
        return
    known = kconfig_tree.definitions(tree)
    for option in (*off, *absent):
        if option.name not in known and not option.optional:
            raise _unknown(option, known)
    if dropped := [option for option in off if option.name in known]:
        raise _dropped(dropped, values, known)


def read_values(dot_config: str) -> dict[str, str]:
    """Return the options of a .config by name, without those that are off."""
    found = (_OPTION.match(line) for line in dot_config.splitlines())
    return {match["name"]: match["value"] for match in found if match}


def _has(values: dict[str, str], option: Wanted) -> bool:
    """Tell whether a .config has what was asked for; a string that is not there is an empty one."""
    return _same(option.value, values.get(option.name, '""' if option.value == '""' else "n"))


def _same(left: str, right: str) -> bool:
    if _NUMBER.match(left) and _NUMBER.match(right):
        return int(left, 0) == int(right, 0)
    return left == right


def _unknown(option: Wanted, known: Iterable[str]) -> UsageError:
    close = difflib.get_close_matches(option.name, known, n=1)
    return UsageError(
        f"{option.place}: this tree has no option {option.name}",
        evidence=f"did you mean {close[0]!r}?" if close else "",
        next_step="where other trees have it, mark the line: # optional: your reason",
    )


def _dropped(
    dropped: list[Wanted], values: dict[str, str], known: dict[str, kconfig_tree.Definition]
) -> KconfigDropped:
    told = [
        f"{option.name} (wanted {option.value}, got {values.get(option.name, 'n')})" for option in dropped
    ]
    why = [f"{option.place}: {option.name} {_why(known[option.name], values)}" for option in dropped]
    return KconfigDropped(
        f"not in the final .config: {', '.join(told)}",
        evidence="\n            ".join(why),
        next_step="ask for what it depends on as well, or leave it out",
    )


def _why(definition: kconfig_tree.Definition, values: dict[str, str]) -> str:
    """Return what kept an option from its value, as far as its Kconfig files tell."""
    conditions = kconfig_tree.unmet(definition, values)
    if not definition.has_prompt:
        conditions.append("cannot be asked for: only other options select it")
    reason = (
        "; ".join(conditions) or "has no unmet dependency that its Kconfig file tells: a choice, or a range"
    )
    return f"{reason} [{definition.places[0]}]"
