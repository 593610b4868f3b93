"""Machines that must be left alone are told before anything is fetched or built for them."""

import threading
from dataclasses import dataclass, field

import pytest

from ccsight.campaign import readiness
from ccsight.deadline import Deadline
from ccsight.errors import ArchiveError, InfraError


@dataclass
class Asked:
    """A machine that is asked, and says why it may not be booted."""

    spec: str
    trouble: str = ""
    met: threading.Barrier | None = None
    log: list = field(default_factory=list)

    def prepare(self, deadline, report):
        self.log.append("prepare")

    def prove_may_boot(self, deadline):
        self.log.append("asked")
        if self.met:
            self.met.wait(10)
        if self.trouble:
            raise InfraError(f"{self.spec} {self.trouble}", evidence="as it says", next_step="ask it")


def prepared(*machines, boots=True):
    said = []
    readiness.prepare(machines, Deadline(60), said.append, boots=boots)
    return said


def test_machines_that_may_be_booted_are_told_of_with_no_word():
    machines = [Asked("altra"), Asked("emulated:max")]
    assert prepared(*machines) == []
    assert [each.log for each in machines] == [["prepare", "asked"], ["prepare"]]


def test_one_of_several_that_must_be_left_alone_is_told_and_the_rest_goes_on():
    said = prepared(Asked("altra", "is in use"), Asked("emulated:max"))
    assert said == ["altra would be MISS: altra is in use; as it says", "  to have it: ask it"]
    assert len(prepared(Asked("altra", "is in use"), Asked("graviton"))) == 2


def test_where_no_machine_would_be_left_nothing_is_begun():
    with pytest.raises(InfraError, match="altra is in use"):
        prepared(Asked("altra", "is in use"))
    with pytest.raises(InfraError, match="altra is in use"):
        prepared(Asked("altra", "is in use"), Asked("graviton", "was not admitted"))


def test_the_kernel_that_a_machine_runs_needs_no_boot():
    machine = Asked("altra", "is in use")
    assert prepared(machine, boots=False) == []
    assert machine.log == ["prepare"]


def test_they_are_asked_at_once():
    met = threading.Barrier(20)  # broken, and so raised, where one waits for another
    assert prepared(*(Asked(f"altra{number}", met=met) for number in range(20))) == []


def test_what_a_machine_takes_is_no_trouble_of_one_machine():
    machine = Asked("altra")
    machine.prepare = lambda deadline, report: (_ for _ in ()).throw(ArchiveError("no archive answers"))
    with pytest.raises(ArchiveError):
        prepared(machine, Asked("emulated:max"))
