"""The inventory: what it takes, what it refuses and in which words, and how a machine gets into it."""

import re
import tomllib
from pathlib import Path

import pytest
from ssh_lab import lab, sshds
from sshd import keygen

from ccsight.cli import run
from ccsight.cli.orders import Order
from ccsight.errors import UsageError
from ccsight.evidence.plan import USUAL
from ccsight.kernels import spec as kernels
from ccsight.machines import adding, inventory, inventory_rows, registry
from ccsight.machines.host_keys import HostKey, WrongHostKey

__all__ = ["lab", "sshds"]

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWZnaGlq"
WHOLE = f"""
[altra]
address = "altra.lab"
user = "ann"
port = 2222
key = "~/.ssh/id"
host-key = ["{KEY}"]
jump = ["gate", "bob@10.0.0.1:22", {{ to = "[fe80::1]:2", host-key = "{KEY}" }}]
boot = "grub"
console = ["console", "altra"]
power = "switch 4 | tee log"
shell = true
sudo = true
cores = ["Neoverse-N1"]
tags = ["lab"]
notes = "mind the fan"
[gate]
address = "gate"
agent = true
jump = []
"""


def read(text):
    return inventory.read(text, "machines.toml")


def test_every_key_is_taken():
    altra = read(WHOLE)["altra"]
    assert (altra.name, altra.address, altra.user, altra.port) == ("altra", "altra.lab", "ann", 2222)
    assert altra.key.is_absolute()
    assert altra.host_keys == (HostKey(KEY, "machines.toml: [altra] host-key"),)
    gate, bob, other = altra.jumps
    assert (gate.name, gate.agent, gate.jumps) == ("gate", True, ())
    assert (bob.user, bob.address, bob.port, bob.jumps) == ("bob", "10.0.0.1", 22, None)
    assert (other.address, other.port, other.host_keys[0].text) == ("fe80::1", 2, KEY)
    assert altra.power == ("sh", "-c", "switch 4 | tee log")
    assert altra.console == ("console", "altra")
    assert (altra.boot, altra.sudo, altra.cores, altra.tags) == ("grub", True, ("Neoverse-N1",), ("lab",))
    assert altra.notes == "mind the fan"


def test_little_is_needed():
    entry = read('[n1]\naddress = "n1"\n')["n1"]
    assert (entry.user, entry.port, entry.key, entry.jumps, entry.host_keys) == ("", None, None, None, ())


@pytest.mark.parametrize(
    ("row", "said", "evidence"),
    [
        ("adress = 'x'", r"unknown key 'adress'", "'address'"),
        ("hostkey = 'x'", r"unknown key 'hostkey'", "'host-key'"),
        ("password = 'x'", "has a password, and none is ever stored", "secrets"),
        ("passphrase = 'x'", "has a passphrase", "secrets"),
        ("user = 'a b'", "user = 'a b' cannot be", "user"),
        ("user = '-lroot'", "user = '-lroot' cannot be", "user"),
        ("port = 0", "port = '0' cannot be", "65535"),
        ("port = '22'", "is malformed", "int"),
        ("key = 'x'\nagent = true", "agent = 'true' cannot be", "leave one out"),
        ("boot = 'grubb'", "boot = 'grubb' cannot be", "'grub'"),
        ("power = 'off now'", "power = 'off now' cannot be", "shell = true"),
        ("host-key = 'ssh-ed25519'", "host-key = 'ssh-ed25519' cannot be", "ssh-keyscan"),
        ("host-key = 'ssh-rsa AAAAC3NzaC1lZDI1NTE5'", "cannot be", "ssh-keyscan"),
        ("jump = 'gaet'", "jump = 'gaet' cannot be", "'gate'"),
        ("jump = 'm'", "jump = 'm → m' cannot be", "back to itself"),
        ("jump = [{ to = 'a@b', pasword = 'x' }]", "unknown key 'pasword'", ""),
        ("jump = ['-oProxyCommand=x@y']", "cannot be", "user"),
        ("jump = ['a@b:99999']", "cannot be", "65535"),
        ("sudo = 'yes'", "is malformed", "bool"),
    ],
)
def test_what_cannot_be_is_refused(row, said, evidence):
    with pytest.raises(UsageError, match=re.escape(said) if "=" in said else said) as refused:
        read(f"[m]\naddress = 'x'\n{row}\n[gate]\naddress = 'gate'\n")
    assert evidence in refused.value.evidence
    assert "machines.toml" in refused.value.fact
    assert refused.value.next_step


@pytest.mark.parametrize("address", ["", "-oProxyCommand=x", "a b", "a;b", "x" * 300])
def test_an_address_is_one_word_and_no_option(address):
    with pytest.raises(UsageError, match="address = "):
        read(f"[m]\naddress = '{address}'\n")


@pytest.mark.parametrize("name", ["local", "emulated", "Big", "'a b'", "'a:b'", "'a,b'"])
def test_a_name_is_a_spec_of_its_own(name):
    with pytest.raises(UsageError, match="a name that no machine can have"):
        read(f"[{name}]\naddress = 'x'\n")


def test_what_is_no_table_is_refused():
    with pytest.raises(UsageError, match="stands outside of all tables"):
        read("address = 'x'\n")
    with pytest.raises(UsageError, match="is not TOML"):
        read("[m\n")


def test_names_that_mean_a_kind_are_taken():
    assert set(inventory.TAKEN) == registry.KINDS.keys()


def test_the_example_has_every_key_and_reads_as_it_stands():
    text = adding.EXAMPLE.read_text()
    assert read(text).keys() == {"altra", "gateway"}
    lines = re.findall(r"^(?:# )?([a-z-]+) = ", text, re.MULTILINE)
    assert set(lines) == {field.replace("_", "-") for field in inventory_rows.EntryRow.__struct_fields__}
    assert not [line for line in text.splitlines() if len(line) > 110]


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "machines.toml"
    monkeypatch.setenv(inventory.VARIABLE, str(path))
    return path


def test_a_bare_name_is_a_machine_of_the_inventory(file):
    file.write_text("[altra]\naddress = 'x'\n")
    spec = registry.parse("altra")
    assert (spec.kind, spec.value, spec.text) == ("inventory", "altra", "altra")
    assert registry.machine("altra").spec == "altra"
    assert registry.running_on(spec) == "running:altra"
    with pytest.raises(UsageError, match="is not a machine") as wrong:
        registry.parse("altar")
    assert wrong.value.evidence == "did you mean 'altra'?"
    with pytest.raises(UsageError, match="is not an option of altra"):
        registry.parse("altra,cpus=4")


def test_one_of_them_is_in_no_table_and_in_the_list(file, capsys, monkeypatch):
    file.write_text("[altra]\naddress = 'x'\n")
    assert run(["machines", "show", "altra"]) == 2
    assert "ccsight capture --on altra" in capsys.readouterr().err
    monkeypatch.setattr(registry.emulated, "known", lambda *_: ["emulated:max"])
    assert run(["machines"]) == 0
    standing, models = capsys.readouterr().out.split("QEMU's own models")
    assert "altra" in standing
    assert "altra" not in models


def test_capture_takes_the_kernel_that_the_machine_runs(file, capsys, tmp_path):
    other = tmp_path / "other.toml"  # the option is an environment variable from there on: see the fixture
    other.write_text("[altra]\naddress = 'x'\n[more]\naddress = 'y'\n")
    words = ["capture", "--on", "altra", "--inventory", str(other), "--dry-run"]
    assert run(words) == 0
    assert "altra  running:altra" in capsys.readouterr().out
    assert inventory.file() == other
    assert run([*words, "--on", "more"]) == 2
    assert "missing argument KERNEL" in capsys.readouterr().err
    assert run(["capture", "running:altra", "--on", "more", "--dry-run"]) == 2
    assert "running:altra is the kernel of altra, and more is another one" in capsys.readouterr().err


def test_the_command_that_repeats_a_run_names_the_inventory(file):
    order = Order(("altra",), None, USUAL, (), Path("results"), 1, False, False, inventory=Path("m.toml"))
    assert order.words == ("--on", "altra", "--inventory", "m.toml")


def test_a_file_that_was_asked_for_must_be_there(file, monkeypatch, tmp_path):
    with pytest.raises(UsageError, match="there is no inventory"):
        registry.parse("altra")
    assert registry.parse("emulated:max").kind == "emulated"
    monkeypatch.delenv(inventory.VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    assert inventory.entries() == {}
    with pytest.raises(UsageError, match="is not a machine"):
        registry.parse("altra")


@pytest.mark.parametrize(
    ("kernel", "machine", "said"),
    [
        ("running:altra", "altra", ""),
        ("running:altra,build-id=00", "altra", ""),
        ("running", "altra", "running is the kernel of this machine, and altra is another one"),
        ("running:other", "altra", "running:other is the kernel of other, and altra is another one"),
        ("running:altra", "emulated:max", "running:altra is the kernel of altra"),
        ("running:altra", "local", "running:altra is the kernel of altra"),
        ("deb:6.1", "altra", "its entry says no way to boot another one"),
    ],
)
def test_a_machine_has_the_kernel_that_it_runs_and_no_other(file, kernel, machine, said):
    file.write_text("[altra]\naddress = 'x'\n[other]\naddress = 'y'\n")
    specs = kernels.parse(kernel), registry.parse(machine)
    if not said:
        registry.prove_fit(*specs)
        with pytest.raises(UsageError, match="cannot be booted as a guest of itself"):
            registry.prove_fit(*specs, linux=True)
        return
    with pytest.raises(UsageError, match=re.escape(said)) as refused:
        registry.prove_fit(*specs)
    if kernel == "deb:6.1":
        assert refused.value.next_step == "see which one it has: ccsight machines check altra"


class TestAdd:
    @pytest.fixture(autouse=True)
    def key(self, lab):
        lab.config.write_text(f"IdentityFile {lab.key}\n{lab.config.read_text()}")

    def add(self, lab, *words):
        return run(["machines", "add", f"127.0.0.1:{lab.machine.port}", "--name", "metal", *words])

    def test_a_new_key_is_shown_and_asked_about(self, lab, capsys, monkeypatch):
        asked = []
        monkeypatch.setattr("click.confirm", lambda text, **_: asked.append(text))
        inventory.file().write_text("# mine\n[other]  # old\naddress = 'y'")
        assert self.add(lab) == 0
        said = capsys.readouterr().err
        assert HostKey(lab.machine.host_key).fingerprint in said
        assert "new: nobody has said yet" in said
        assert len(asked) == 1
        text = inventory.file().read_text()
        assert text.startswith("# mine\n[other]  # old\naddress = 'y'\n\n[metal]\n")
        assert tomllib.loads(text)["metal"] == {
            "address": "127.0.0.1", "port": lab.machine.port, "host-key": lab.machine.host_key,
        }  # fmt: skip
        lab.connect("metal").close()

    def test_who_says_no_has_written_nothing(self, lab, monkeypatch):
        monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115, PTH123
        assert self.add(lab) == 130
        assert not inventory.file().exists()

    def test_yes_does_not_take_a_new_key(self, lab, capsys):
        assert self.add(lab, "--yes") == 2
        assert "--yes does not take a new host key" in capsys.readouterr().err
        assert not inventory.file().exists()

    def test_yes_takes_one_that_is_known(self, lab, capsys):
        lab.knows(lab.machine)
        assert self.add(lab, "--yes") == 0
        assert f"{lab.known_hosts}:1" in capsys.readouterr().err
        assert "metal" in inventory.entries()

    def test_a_fingerprint_is_as_good_as_an_answer(self, lab):
        right = HostKey(lab.machine.host_key).fingerprint
        assert self.add(lab, "--host-key-sha256", "SHA256:" + "A" * 43) == 3
        assert not inventory.file().exists()
        assert self.add(lab, "--yes", "--host-key-sha256", right) == 0
        lab.connect("metal").close()

    def test_another_key_than_the_known_one_is_refused(self, lab, capsys):
        lab.knows(lab.machine, keygen(lab.folder / "old"))
        assert self.add(lab) == 3
        assert "shows another host key" in capsys.readouterr().err

    def test_a_revoked_one_is_refused(self, lab, capsys):
        lab.knows(lab.machine, marker="@revoked")
        assert self.add(lab) == 3
        assert "a host key that was revoked" in capsys.readouterr().err

    def test_a_name_that_is_there_stays_as_it_is(self, lab, capsys):
        before = lab.entry("metal", lab.machine)
        lab.write(before)
        assert self.add(lab, "--yes") == 2
        assert "is there already, and stays as it is" in capsys.readouterr().err
        assert inventory.file().read_text() == before

    def test_nothing_is_told_to_a_machine_before_it_is_in(self, lab):
        before = lab.machine.log.count("Accepted")
        self.add(lab, "--yes")
        assert lab.machine.log.count("Accepted") == before

    def test_behind_a_gate(self, lab):
        one, _ = lab.gates
        lab.config.write_text(
            f"{lab.config.read_text()}Host behind\n  HostName 127.0.0.1\n"
            f"  Port {lab.machine.port}\n  ProxyJump 127.0.0.1:{one.port}\n"
        )
        lab.knows(one)
        right = HostKey(lab.machine.host_key).fingerprint
        assert run(["machines", "add", "behind", "--host-key-sha256", right]) == 0
        assert inventory.entry("behind").address == "behind"
        lab.connect("behind").close()

    def test_an_inventory_that_is_a_link_stays_one(self, lab):
        true = lab.folder / "true.toml"
        true.write_text("")
        inventory.file().symlink_to(true)
        lab.knows(lab.machine)
        assert self.add(lab, "--yes") == 0
        assert inventory.file().is_symlink()
        assert "[metal]" in true.read_text()


def test_the_example_is_printed(capfdbinary):
    assert run(["machines", "add", "--example"]) == 0
    assert capfdbinary.readouterr().out == adding.EXAMPLE.read_bytes()


def test_a_fingerprint_is_taken_with_or_without_its_name():
    entry = read('[n1]\naddress = "n1"\n')["n1"]
    found = adding.Candidate("n1", entry, "n1:22", HostKey(KEY))
    for text in (found.key.fingerprint, found.key.fingerprint.removeprefix("SHA256:"), None):
        adding.prove(found, text)
    with pytest.raises(WrongHostKey):
        adding.prove(found, "SHA256:x")
