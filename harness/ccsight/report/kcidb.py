"""The one door to kcidb-io: a run as the kernel's common database of test results takes it.

A *checkout* is the source of a kernel, a *build* a kernel, a *test* a planned case, whose statuses ccsight
has from there. A case that looks at two kernels counts for the later one: it is what changed. Ids come of
what they name, so that what is sent twice is there once.
"""

import hashlib
import re
from collections.abc import Iterator

from ccsight.errors import ProbeError, ToolMissing, UsageError
from ccsight.evidence.cases import Case
from ccsight.evidence.plan import PlannedKernel
from ccsight.evidence.record import to_json
from ccsight.report.discretion import Discretion
from ccsight.report.model import Result
from ccsight.report.printable import printable
from ccsight.report.wording import finding_line, gathered, headline, title, unexplained, version
from ccsight.status import Status

_Object = dict[str, object]

#: The schema that this follows; newer minor ones only add.
_MAJOR, _MINOR = 5, 3
#: Characters of an excerpt: half of what the schema takes, and what somebody reads.
_EXCERPT = 8192
ORIGIN = re.compile(r"[a-z0-9_]{1,64}")
_COMPATIBLE = re.compile(r"[^ \0,]+(,[^ \0,]+)*")


def document(result: Result, origin: str, discretion: Discretion) -> bytes:
    """Return a run as KCIDB's JSON, in the name of the CI system ``origin``.

    Raises UsageError for an origin that the schema does not take, ToolMissing without kcidb-io.
    """
    if not ORIGIN.fullmatch(origin):
        raise UsageError(
            f"{origin!r} is not the name of a CI system", next_step="--origin takes a-z, 0-9 and underscores"
        )
    said = _Document(result, origin, discretion).all()
    _prove(said)
    return to_json(said)


def _prove(said: _Object) -> None:
    """Hold a document to the schema of kcidb-io. Raises ProbeError where it is our fault that it is none."""
    try:
        from kcidb_io.schema import LATEST
    except ImportError as error:
        raise ToolMissing(
            "kcidb-io is not here, whose schema proves what is sent",
            evidence=str(error),
            next_step="beside ccsight: pip install kcidb-io",
        ) from error
    from jsonschema import ValidationError

    try:
        LATEST.validate(said)
    except ValidationError as error:
        raise ProbeError(
            "what ccsight made of the run is not as KCIDB has it",
            evidence=f"{'.'.join(map(str, error.path))}: {error.message[:500]}",
            next_step="this is a defect of ccsight: tell it, with the run",
        ) from error


class _Document:
    """What is said of a run, with the names that may be told."""

    def __init__(self, result: Result, origin: str, discretion: Discretion) -> None:
        self._result = result
        self._origin = origin
        self._told = discretion.text

    def all(self) -> _Object:
        plan = self._result.plan
        checkouts = {str(each["id"]): each for each in map(self._checkout, plan.kernels)}
        builds = {str(each["id"]): each for each in map(self._build, plan.kernels)}
        return {
            "version": {"major": _MAJOR, "minor": _MINOR},
            "checkouts": list(checkouts.values()),
            "builds": list(builds.values()),
            "tests": [self._test(case) for case in self._result.cases],
        }

    def _id(self, *of: str) -> str:
        named = hashlib.sha256("\0".join(of).encode()).hexdigest()
        return f"{self._origin}:{named[:32]}"

    def _text(self, text: str) -> str:
        return printable(self._told(text))

    def _checkout(self, kernel: PlannedKernel) -> _Object:
        """Say where a kernel's source is from. Of a package that is its version: there is no commit."""
        said: _Object = {
            "id": self._checkout_id(kernel),
            "origin": self._origin,
            "comment": self._text(f"{kernel.label} {version(kernel)}"),
            "valid": True,
            "misc": {"spec": self._text(kernel.spec)},
        }
        if kernel.build:
            commit = dict(kernel.build.provenance).get("commit", "")
            if re.fullmatch("[0-9a-f]{40}", commit):
                said["git_commit_hash"] = commit
            said["patchset_hash"] = _patchset(kernel)
        return said

    def _checkout_id(self, kernel: PlannedKernel) -> str:
        if kernel.build:
            return self._id("source", kernel.build.tree, _patchset(kernel))
        return self._id("source", *(package.sha256 for package in kernel.packages), kernel.pin)

    def _build(self, kernel: PlannedKernel) -> _Object:
        said: _Object = {
            "id": self._build_id(kernel),
            "checkout_id": self._checkout_id(kernel),
            "origin": self._origin,
            "architecture": "arm64",
            "comment": self._text(f"{kernel.label} {version(kernel)}"),
            "status": Status.PASS.value,
            "misc": {
                "release": printable(kernel.release),
                "image_sha256": kernel.image_sha256,
                "packages": [f"{package.name} {package.version}" for package in kernel.packages],
            },
        }
        if kernel.build:
            said["compiler"] = self._text(kernel.build.toolchain)
            said["config_name"] = self._text(" ".join(kernel.build.fragments))
        return said

    def _build_id(self, kernel: PlannedKernel) -> str:
        return self._id("build", kernel.image_sha256 or kernel.pin)

    def _test(self, case: Case) -> _Object:
        cells = [self._result.cell(cell) for cell in case.cells]
        said: _Object = {
            "id": self._id("test", self._result.plan.id, case.key),
            "build_id": self._build_id(self._result.plan.kernel(cells[-1].kernel)),
            "origin": self._origin,
            "path": f"ccsight.{case.check}",
            "comment": self._text(title(case.check)),
            "status": case.status.value,
            "start_time": self._result.plan.created,
            "environment": self._environment(case),
            "misc": {
                "outcome": case.outcome,
                "why": self._text(headline(case)),
                "cells": [self._text(cell.title) for cell in cells],
            },
        }
        if lines := "".join(f"{each}\n" for each in self._findings(case)):
            said["log_excerpt"] = lines[:_EXCERPT]
        return said

    def _environment(self, case: Case) -> _Object:
        """Say on what it ran; a machine that nobody observed is what it was called."""
        cells = [self._result.cell(cell) for cell in case.cells]
        machines = dict.fromkeys(cell.machine for cell in cells)
        said: _Object = {"comment": self._text(", ".join(machines))}
        capture = self._result.captures.get(case.cells[-1])
        if capture:
            facts = capture.machine
            compatible = [word for word in facts.compatible.split() if _COMPATIBLE.fullmatch(word)]
            said |= {"compatible": compatible} if compatible else {}
            said["misc"] = {
                "substrate": facts.substrate.value,
                "cpus": [f"MIDR_EL1 {cpu.midr:#x}" for cpu in facts.cpus],
                "emulator": self._text(facts.emulator),
            }
        return said

    def _findings(self, case: Case) -> Iterator[str]:
        for finding in gathered(unexplained(case)):
            yield self._text(finding_line(finding))


def _patchset(kernel: PlannedKernel) -> str:
    """Return the hash of a series as the schema has it: of the lines of its patches' hashes; "" of none."""
    patches = kernel.build.patches if kernel.build else ()
    lines = "".join(f"{patch.sha256}\n" for patch in patches)
    return hashlib.sha256(lines.encode()).hexdigest() if lines else ""
