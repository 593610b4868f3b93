"""``ccsight bisect`` and a script for ``git bisect run`` on the same planned histories, one after the other.

    PYTHONPATH=suites/selftest/unit python suites/selftest/bench/bisect_run.py --case near --seed 0 --seed 1

near: 64 commits of one series, among them kernels that do not build, panic or hang. far: a few commits of
6.1, then all becomes 6.12, then a few more. Both sides have the same configuration, compiler, emulator and
programs, and no ccache. Both begin where whoever bisects does: the good and then the bad kernel were built,
in the store of the one and in the work tree of the other, which is not counted (--seen good: only the good
one was). The script knows git, but not why a kernel does not answer: it says bad.
"""

import argparse
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bisect_count import counted
from dag import Made
from history import planned
from history_faults import FAULTS
from history_plan import Plan, far, near

from ccsight.deadline import Deadline
from ccsight.kernels import kconfig, stored, toolchain
from ccsight.paths import cache_dir

#: What is no build, and may be shared.
_OWN = {"lineages", stored.BUILT, "histories"}
#: Which commits were built before, by their numbers.
_SEEN = {"good": (0,), "both": (0, -1)}
#: Seconds after which the script gives a boot up.
_PATIENCE = 120
_SCRIPT = """#!/bin/sh
echo build >>{log}
{make} KCONFIG_ALLCONFIG={config} allnoconfig Image >{log}.make 2>&1 || exit 125
echo boot >>{log}
timeout {patience} {ask} "$PWD/arch/arm64/boot/Image" {machine} {predicate} >{log}.boot 2>&1 || exit 1
"""
_STEP = re.compile(r"^ *\d+ (good|bad|skip) ")
_FIRST_BAD = re.compile(r"^([0-9a-f]{40}) is the first bad commit$", re.MULTILINE)
_LEFT = re.compile(r"^([0-9a-f]{40})$", re.MULTILINE)


@dataclass(frozen=True)
class Bench:
    """A history to be searched by both, in a folder that is thrown away."""

    plan: Plan
    made: Made
    folder: Path
    env: Mapping[str, str]
    seen: tuple[int, ...]

    def ccsight(self, *words: str) -> list[str]:
        return [sys.executable, "-c", "from ccsight.cli import main; main()", *words]


@dataclass
class Side:
    """What one of them took: ``answered`` seconds until its answer was there, ``seconds`` in all.

    ``busy`` is the CPU's seconds, which tell more where something else runs beside.
    """

    name: str
    plan: Plan
    answer: set[int] = field(default_factory=set)
    answered: float = 0.0
    seconds: float = 0.0
    busy: float = 0.0
    builds: int = 0
    boots: int = 0

    @property
    def wrong(self) -> bool:
        """Whether it leads its user astray: the culprit is not in what it names."""
        return self.plan.culprit not in self.answer

    def __str__(self) -> str:
        exact = self.answer == self.plan.answer
        word = "WRONG" if self.wrong else "right" if exact else "right, but too wide"
        said = ", ".join(map(str, sorted(self.answer))) or "nothing"
        return (
            f"  {self.name:8} {self.answered:7.1f} s to the answer {self.seconds:7.1f} s in all "
            f"{self.busy:7.1f} CPU s {self.builds:3} builds {self.boots:3} boots   answer {said}: {word}"
        )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=("near", "far"), action="append")
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--seen", choices=_SEEN, default="both")
    parser.add_argument("--side", choices=("ccsight", "plain"), action="append")
    asked = parser.parse_args()
    found: list[Side] = []
    for case in asked.case or ("near", "far"):
        for seed in asked.seed or (0,):
            found += _measured(case, seed, asked.side or ("ccsight", "plain"), _SEEN[asked.seen])
    for name in dict.fromkeys(side.name for side in found):
        own = [side for side in found if side.name == name]
        print(f"{name}: {sum(side.wrong for side in own)} wrong answers of {len(own)}")
    return 0


def _measured(case: str, seed: int, names: list[str], seen: tuple[int, ...]) -> list[Side]:
    plan = far(seed) if case == "far" else near(seed, FAULTS[seed % len(FAULTS)])
    made = planned(plan, f"bench-{case}-{seed}", Deadline(600))
    told = ", ".join(map(str, sorted(plan.answer)))
    print(
        f"{case}, seed {seed}: fault {plan.fault.name} is commit {plan.culprit}; best answer {told}",
        flush=True,
    )
    sides = []
    try:
        with tempfile.TemporaryDirectory() as place:
            bench = Bench(plan, made, Path(place), _environment(Path(place)), seen)
            for name in names:
                sides.append(_SIDES[name](bench))
                print(sides[-1], flush=True)
    finally:
        shutil.rmtree(made.place)
    if len(sides) == 2:
        ours, plain = sides
        ratios = [plain.seconds / seconds for seconds in (ours.answered, ours.seconds)]
        busy = plain.busy / ours.busy
        print(
            f"  plain / ccsight: {ratios[0]:.2f} to the answer, {ratios[1]:.2f} with its proof, "
            f"{busy:.2f} in CPU seconds",
            flush=True,
        )
    return sides


def _environment(place: Path) -> dict[str, str]:
    """Return variables with which ccsight has all but kernels, which it would have built before."""
    cache = place / "cache/ccsight"
    cache.mkdir(parents=True)
    for path in cache_dir().iterdir():
        if path.name not in _OWN:
            (cache / path.name).symlink_to(path)
    return dict(os.environ) | {"XDG_CACHE_HOME": str(cache.parent), "CCACHE_DISABLE": "1"}


def _ours(bench: Bench) -> Side:
    """Let ccsight find it; the last of its lines about a step is the answer, what follows the proof."""
    side = Side("ccsight", bench.plan)
    ids = bench.made.commits
    first, last = bench.made.spec(0), bench.made.spec(len(ids) - 1)
    for end in bench.seen:
        subprocess.run(
            bench.ccsight("build", bench.made.spec(end % len(ids))),
            env=bench.env,
            check=True,
            capture_output=True,
        )
    fault, results = bench.plan.fault, bench.folder / "results"
    words = ("bisect", "--good", first, "--bad", last, fault.predicate, "--on", fault.machine)
    began, busy = time.monotonic(), _busy()
    with subprocess.Popen(
        bench.ccsight(*words, "--out", str(results)),
        env=bench.env,
        stderr=subprocess.PIPE,
        text=True,
        stdout=subprocess.DEVNULL,
    ) as running:
        for line in running.stderr or ():
            if _STEP.match(line):
                side.answered = time.monotonic() - began
            print(f"    {time.monotonic() - began:7.1f} {line}", end="", file=sys.stderr)
    side.seconds, side.busy = time.monotonic() - began, _busy() - busy
    (folder,) = results.iterdir()
    count = counted(folder)
    side.builds, side.boots = count.builds, count.boots
    side.answer = set(_suspects(bench, folder))
    return side


def _suspects(bench: Bench, folder: Path) -> Iterator[int]:
    again = bench.ccsight("bisect", "--resume", str(folder), "--json")
    done = subprocess.run(again, env=bench.env, capture_output=True, text=True, check=False)

    for suspect in json.loads(done.stdout)["outcome"]["suspects"]:
        yield bench.made.number(suspect["id"])


def _plain(bench: Bench) -> Side:
    """Let git find it with a script, in a work tree of its own."""
    side = Side("plain", bench.plan)
    tree, log = bench.folder / "linux", bench.folder / "log"
    _git(bench, "clone", "--quiet", "--shared", "--no-checkout", str(bench.made.place), str(tree))
    first, last = bench.made.commits[0], bench.made.commits[-1]
    script = _script(bench, log)
    for end in bench.seen:
        _git(bench, "-C", str(tree), "checkout", "--quiet", "--detach", bench.made.commits[end])
        subprocess.run([script], cwd=tree, env=bench.env, check=end == 0)  # of the bad one it says so
    log.unlink()
    began, busy = time.monotonic(), _busy()
    _git(bench, "-C", str(tree), "bisect", "start", last, first)
    said = _git(bench, "-C", str(tree), "bisect", "run", str(script))
    side.answered = side.seconds = time.monotonic() - began
    side.busy = _busy() - busy
    lines = log.read_text().split()
    side.builds, side.boots = lines.count("build"), lines.count("boot")
    named = _FIRST_BAD.findall(said) or _LEFT.findall(said)
    side.answer = {bench.made.number(each) for each in named}
    return side


def _script(bench: Bench, log: Path) -> Path:
    config, script = bench.folder / "wanted.config", bench.folder / "try"
    config.write_text(kconfig.text(kconfig.wanted()))
    tools = toolchain.named("gcc", Deadline(60))
    make = ["env", *map("=".join, tools.env), "make", f"-j{os.cpu_count() or 1}", *tools.make]
    ask = [sys.executable, str(Path(__file__).with_name("bisect_ask.py"))]
    script.write_text(
        _SCRIPT.format(
            log=log,
            make=shlex.join(make),
            config=config,
            ask=shlex.join(ask),
            patience=_PATIENCE,
            machine=bench.plan.fault.machine,
            predicate=shlex.quote(bench.plan.fault.predicate),
        )
    )
    script.chmod(0o755)
    return script


def _busy() -> float:
    """Return the CPU seconds of all that this process started and that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _git(bench: Bench, *words: str) -> str:
    """Run git and return all that it says: a bisection that only has skipped commits left ends with 2."""
    done = subprocess.run(["git", *words], env=bench.env, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 2):
        sys.exit(f"git {' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout + done.stderr


_SIDES = {"ccsight": _ours, "plain": _plain}

if __name__ == "__main__":
    sys.exit(main())
