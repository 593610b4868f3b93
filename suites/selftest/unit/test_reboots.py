"""A machine booted once into another kernel, and back: each way in which that ends, and what is left."""

from dataclasses import replace

import pytest
from metal import OURS, OWN, Metal

from ccsight.cli import run
from ccsight.deadline import Deadline
from ccsight.errors import BootError, InfraError, MachineLost
from ccsight.evidence.model import Reboot
from ccsight.machines import admit, inventory
from ccsight.machines.reboots import Errand, Trip, booted
from ccsight.machines.remote import INVENTORY, RemoteMachine
from ccsight.specs import Spec


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    """Have a wait end when it has looked three times: no time passes here."""
    looks = iter(range(10_000))

    class Looks(Deadline):
        def __init__(self, seconds):
            super().__init__(seconds)
            self._until = next(looks) + 40

        @property
        def passed(self):
            return next(looks) > self._until

    monkeypatch.setattr("ccsight.machines.reboots.Deadline", Looks)
    monkeypatch.setattr(Deadline, "within", lambda self, seconds: Looks(seconds))


def trip(metal, monkeypatch, **changes):
    said = []
    way = metal.way(monkeypatch, **changes)
    errand = Errand("a test", metal.lay_out, ("debug",))
    return booted(Trip(way, said.append), errand, Deadline(60)), said


def gone(metal):
    """Tell whether all that was ours is gone."""
    return not metal.armed and not metal.laid_out


def test_it_is_booted_and_comes_back(monkeypatch):
    metal = Metal()
    there, said = trip(metal, monkeypatch)
    with there as up:
        assert metal.release == OURS
        assert up.boot_token in metal.told
        assert metal.told[-1] == "debug"
        assert up.cpus == 4
    assert (metal.release, gone(metal)) == (OWN, True)
    assert said == ["look", "install", "boot", "return"]
    assert metal.log.index("clean") < metal.log.index("lay out")  # what somebody killed had left
    assert len({own for own, _ in metal.leases}) == 1


@pytest.mark.parametrize(("method", "recovery"), [("grub", ("panic", "timer")), ("kexec", ())])
def test_what_it_was_seen_to_come_back_by_is_of_the_method(monkeypatch, method, recovery):
    metal = Metal()  # what it says is that it was admitted for grub
    metal.name = method
    there, _ = trip(metal, monkeypatch)
    with there as up:
        assert up.reboot == Reboot(method=method, recovery=recovery)


@pytest.mark.parametrize("fails", ["lay out", "start"])
def test_what_fails_before_it_goes_leaves_nothing(monkeypatch, fails):
    metal = Metal(fails=fails)
    there, _ = trip(metal, monkeypatch)
    with pytest.raises(InfraError, match=f"{fails} failed"), there:
        pytest.fail("it was booted")
    assert (metal.boot, gone(metal), metal.away) == (1, True, 0)


def test_where_what_was_left_cannot_be_taken_away_nothing_is_added_to_it(monkeypatch):
    metal = Metal(fails="clean")
    there, said = trip(metal, monkeypatch)
    with pytest.raises(InfraError, match="clean failed"), there:
        pytest.fail("it was booted")
    assert "lay out" not in metal.log
    assert "clean failed: as it was told to" in said


@pytest.mark.parametrize(
    ("metal", "why"),
    [
        (Metal(users="eve"), "metal is in use.*\n.*logged in: eve"),
        (Metal(root="may"), "ann is not root there"),
    ],
)
def test_a_machine_that_must_be_left_alone_is(monkeypatch, metal, why):
    there, _ = trip(metal, monkeypatch)
    with pytest.raises(InfraError, match=why), there:
        pytest.fail("it was booted")
    assert metal.log == []


def test_one_that_was_not_admitted_for_its_method_is_left_alone(monkeypatch):
    metal = Metal()  # what it says is that it was for grub
    there, _ = trip(metal, monkeypatch, attended=False)
    with pytest.raises(InfraError, match="has not been admitted to be booted by kexec"), there:
        pytest.fail("it was booted")
    assert metal.log == []


def test_a_run_asks_whether_it_may_be_booted_before_it_begins(monkeypatch):
    metal = Metal(users="eve")
    entry = metal.way(monkeypatch).entry
    spec = Spec("metal", INVENTORY, "metal", (("attended", "on"),))
    with pytest.raises(InfraError, match="metal is in use"):
        RemoteMachine(spec, entry).prove_may_boot(Deadline(60))
    RemoteMachine(replace(spec, options=(*spec.options, ("force", "on"))), entry).prove_may_boot(Deadline(60))
    # One that is lent may be off until then: it is asked when it is had.
    RemoteMachine(spec, replace(entry, labgrid="a place")).prove_may_boot(Deadline(60))
    assert metal.log == []


def test_one_in_use_is_booted_by_force(monkeypatch):
    metal = Metal(users="eve")
    there, told = trip(metal, monkeypatch, force=True)
    with there:
        assert metal.release == OURS
    assert "metal is rebooted by force; this hits logged in: eve" in told


def test_a_kernel_that_fell_back_is_the_kernels_failure(monkeypatch):
    metal = Metal(comes_up="own")
    there, _ = trip(metal, monkeypatch)
    with pytest.raises(BootError, match="did not come up with that kernel") as failed, there:
        pytest.fail("it was booted")
    assert failed.value.evidence.endswith(f"it is back on {OWN} by itself")
    assert not failed.value.ends_machine
    assert gone(metal)


def test_a_kernel_that_hangs_is_ended_by_power(monkeypatch):
    metal = Metal(comes_up="never", power=True)
    there, said = trip(metal, monkeypatch)
    with pytest.raises(BootError, match=r"does not answer after 20 s; it is back on .* after it was turned"):
        with there:
            pytest.fail("it was booted")
    assert (said[-1], gone(metal)) == ("power", True)


@pytest.mark.parametrize(
    ("metal", "evidence"),
    [
        (Metal(comes_up="never"), "its entry has no power command"),
        (Metal(comes_up="never", power=True, power_helps=False), "it was turned off and on"),
        (Metal(leaves="never"), "its entry has no power command"),
        (Metal(leaves="other"), "6.99-other, before that 6.1-own"),
    ],
)
def test_a_machine_that_is_not_back_is_lost(monkeypatch, metal, evidence):
    there, _ = trip(metal, monkeypatch)
    with pytest.raises(MachineLost) as lost, there:
        pass
    assert lost.value.evidence == evidence


def test_one_that_does_not_come_back_from_a_boot_is_turned_off_and_on(monkeypatch):
    metal = Metal(leaves="never", power=True)
    there, said = trip(metal, monkeypatch)
    with there:
        pass
    assert (metal.release, said[-2:], gone(metal)) == (OWN, ["return", "power"], True)


def test_a_power_command_that_fails_is_said_with_what_it_said(monkeypatch):
    metal = Metal(comes_up="never", power=True, fails="power")
    there, _ = trip(metal, monkeypatch)
    with pytest.raises(MachineLost, match=r"its power command fails\n.*as it was told to"), there:
        pytest.fail("it was booted")


@pytest.mark.parametrize("error", [ValueError, InfraError])
def test_what_goes_wrong_while_it_is_up_leaves_it_at_home(monkeypatch, error):
    metal = Metal()
    there, _ = trip(metal, monkeypatch)
    with pytest.raises(error), there:
        raise error("while it was up")
    assert (metal.release, gone(metal)) == (OWN, True)


def test_whoever_is_interrupted_waits_for_nothing_and_is_awaited(monkeypatch):
    metal = Metal()
    there, said = trip(metal, monkeypatch)
    with pytest.raises(KeyboardInterrupt), there:
        raise KeyboardInterrupt
    assert said[-1] == "boot"
    assert metal.away > 0


class TestAdmission:
    """What each trial comes to is told apart: by itself, by the watchdog, by power, or not at all."""

    def tried(self, metal, monkeypatch, written):
        return admit.admit(self.way(metal, monkeypatch, written), Deadline(60), lambda text: None)

    def way(self, metal, monkeypatch, written):
        monkeypatch.setattr(admit.staging, "own", metal.lay_out)
        monkeypatch.setattr(admit.admission, "write", lambda root, said, deadline: written.append(said))
        return metal.way(monkeypatch)

    def test_one_that_comes_back_by_itself_is_admitted(self, monkeypatch):
        written = []
        admitted = self.tried(Metal(first="up", comes_up="own"), monkeypatch, written)
        assert admitted.recovery == ("panic", "timer", "watchdog")
        assert (admitted.method, admitted.release) == ("kexec", OWN)
        assert written == [admitted]

    def test_one_that_never_runs_ours_is_not(self, monkeypatch):
        """It would come back from every trial: none of the harm is ever done."""
        written = []
        with pytest.raises(BootError, match="metal did not come up with that kernel"):
            self.tried(Metal(comes_up="own"), monkeypatch, written)
        assert written == []

    def test_one_that_only_power_brings_back_is_not(self, monkeypatch):
        written = []
        with pytest.raises(InfraError, match="did not come back by itself from a kernel that panics"):
            self.tried(Metal(first="up", comes_up="never", power=True), monkeypatch, written)
        assert written == []

    def test_one_that_is_lost_is_not(self, monkeypatch):
        written = []
        with pytest.raises(MachineLost):
            self.tried(Metal(first="up", comes_up="never"), monkeypatch, written)
        assert written == []

    def test_one_in_use_is_left_alone(self, monkeypatch):
        metal = Metal(users="eve")
        with pytest.raises(InfraError, match="in use"):
            self.tried(metal, monkeypatch, [])
        assert metal.log == []

    def test_the_verb_says_each_trial_and_what_came_of_them(self, monkeypatch, tmp_path, capfd):
        metal, written = Metal(first="up", comes_up="own"), []
        self.way(metal, monkeypatch, written)
        (tmp_path / "machines.toml").write_text("[metal]\naddress = 'x'\nboot = 'kexec'\npatience = 20\n")
        monkeypatch.setenv(inventory.VARIABLE, str(tmp_path / "machines.toml"))
        assert run(["machines", "admit", "metal"]) == 0
        said = capfd.readouterr().err.splitlines()
        assert said[0] == "metal: its own kernel, booted once: look"
        assert f"metal: a kernel that panics: it is back on {OWN} by itself" in said
        assert said[-1] == (
            "metal is admitted to be booted by kexec; its recovery class: panic, timer, watchdog"
        )
        assert written

    def test_the_verb_leaves_one_in_use_alone_but_for_force(self, monkeypatch, tmp_path, capfd):
        metal = Metal(first="up", comes_up="own", users="eve")
        self.way(metal, monkeypatch, [])
        (tmp_path / "machines.toml").write_text("[metal]\naddress = 'x'\nboot = 'kexec'\npatience = 20\n")
        monkeypatch.setenv(inventory.VARIABLE, str(tmp_path / "machines.toml"))
        assert run(["machines", "admit", "metal"]) == 3
        assert "logged in: eve" in capfd.readouterr().err
        assert run(["machines", "admit", "metal", "--force"]) == 0
