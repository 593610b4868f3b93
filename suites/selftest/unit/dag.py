"""Made-up git histories: any graph of commits, in a real repository, in one call of git."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tiny_source import git

#: The parents of each commit, by their numbers, which are smaller than its own; only the first has none.
Graph = Sequence[Sequence[int]]
#: A file for all objects, not one for each.
_ONE_PACK = ("-c", "fastimport.unpackLimit=1")


@dataclass(frozen=True)
class Made:
    """A bare repository; ``commits`` are its ids by number, the last one is its branch."""

    place: Path
    commits: tuple[str, ...]

    def spec(self, number: int) -> str:
        return f"git:{self.place},ref={self.commits[number]}"

    def number(self, commit: str) -> int:
        return self.commits.index(commit)


def made(place: Path, graph: Graph, files: Sequence[str] = ()) -> Made:
    """Make a repository of a graph; each commit writes a file of its own, or the one that it is given."""
    place.mkdir(parents=True)
    git(place, "init", "--quiet", "--bare")
    return imported(place, "".join(_commit(number, graph, files) for number in range(len(graph))))


def imported(place: Path, stream: str) -> Made:
    """Put commits into a bare repository as git fast-import takes them, their numbers from 1 as marks."""
    subprocess.run(
        ["git", "-C", str(place), *_ONE_PACK, "fast-import", "--quiet", "--export-marks=marks"],
        input=stream.encode(),
        check=True,
    )
    marks = dict(line.split() for line in (place / "marks").read_text().splitlines())
    return Made(place, tuple(marks[f":{number + 1}"] for number in range(len(marks))))


def _commit(number: int, graph: Graph, files: Sequence[str]) -> str:
    """Return a commit as git fast-import takes it; a merge has what all its sides have written."""
    parents, subject = graph[number], f"change {number}"
    written = sorted(ancestors(graph, number)) if len(parents) > 1 else [number]
    texts = "".join(
        f"M 100644 inline {files[each] if files else f'file-{each}'}\ndata {len(f'{each}')}\n{each}\n"
        for each in written
    )
    edges = "".join(f"{'merge' if place else 'from'} :{parent + 1}\n" for place, parent in enumerate(parents))
    head = "" if parents else "reset refs/heads/master\n"
    return (
        f"{head}commit refs/heads/master\nmark :{number + 1}\n"
        f"committer A <a@b.invalid> {1700000000 + number} +0000\ndata {len(subject)}\n{subject}\n{edges}"
        f"{texts}\n"
    )


def ancestors(graph: Graph, number: int) -> frozenset[int]:
    """Return a commit and all that came before it."""
    found, left = set[int](), [number]
    while left:
        at = left.pop()
        if at not in found:
            found.add(at)
            left += graph[at]
    return frozenset(found)


def line(length: int) -> list[list[int]]:
    """Return a history without merges."""
    return [[number - 1] if number else [] for number in range(length)]
