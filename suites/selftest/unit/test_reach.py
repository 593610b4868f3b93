"""Real sshds of OpenSSH: logins with every kind of key, through others; and host keys that are refused."""

import subprocess
import threading
import time

import paramiko
import pytest
from host_conformance import FeedingConformance, HoldingConformance, HostConformance
from ssh_lab import add_to_agent, agent, lab, sshds
from sshd import Sshd, keygen

from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded, HostLost, ToolMissing, UsageError
from ccsight.machines import inventory, reach, ssh_config
from ccsight.machines.host_keys import HostKey, UnknownHostKey, WrongHostKey
from ccsight.machines.sudo import SudoHost

__all__ = ["agent", "lab", "sshds"]

#: What sudo does for somebody whom it asks for nothing; -n and -- are what we give it.
_SUDO = '#!/bin/sh\n[ "$1 $2" = "-n --" ] || exit 99\nshift 2\nexec "$@"\n'


def ran(host, *argv):
    done = host.run(list(argv), Deadline(20))
    assert done.returncode == 0, done.stderr
    return done.text.strip()


class TestSshdHost(HostConformance, FeedingConformance, HoldingConformance):
    @pytest.fixture
    def host(self, lab):
        lab.write(lab.entry("metal", lab.machine))
        host = lab.connect("metal")
        yield host
        host.close()


class TestSudoHost(HostConformance, FeedingConformance, HoldingConformance):
    @pytest.fixture
    def host(self, lab, monkeypatch):
        programs = lab.folder / "sudo"
        programs.mkdir()
        (programs / "sudo").write_text(_SUDO)
        (programs / "sudo").chmod(0o755)
        monkeypatch.setattr("ccsight.machines.sudo.SUDO", (str(programs / "sudo"), "-n", "--"))
        lab.write(lab.entry("metal", lab.machine))
        host = lab.connect("metal")
        yield SudoHost(host)
        host.close()


def test_a_command_that_ends_while_its_input_is_sent_leaves_the_connection(lab, monkeypatch):
    """A server hangs up on whoever sends data or their end (RFC 4254: 94, 96) to a channel it has closed."""
    send = paramiko.Transport._send_user_message  # noqa: SLF001  # nothing else is late

    def late(transport, message):
        if message.asbytes()[0] in {94, 96} and threading.current_thread() is not transport:
            time.sleep(0.3)
        send(transport, message)

    lab.write(lab.entry("metal", lab.machine))
    host = lab.connect("metal")
    monkeypatch.setattr(paramiko.Transport, "_send_user_message", late)
    for content in (b"", b"short", b"x" * 50_000, b""):
        assert host.feed(["sh", "-c", "exit 3"], content, Deadline(20)).returncode == 3
    assert "nonexistent channel" not in lab.machine.log
    host.close()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_every_kind_of_key_logs_in(lab, kind):
    path = lab.folder / kind
    lab.machine.permit(keygen(path, kind))
    lab.write(lab.entry("metal", lab.machine, f'key = "{path}"'))
    host = lab.connect("metal")
    assert ran(host, "id", "-un") == lab.machine.user
    host.close()


def test_an_encrypted_key_is_for_an_agent(lab, agent):
    path = lab.folder / "locked"
    lab.machine.permit(keygen(path, passphrase="a secret"))
    lab.write(lab.entry("metal", lab.machine, f'key = "{path}"'))
    with pytest.raises(HostLost, match="does not take a login") as refused:
        lab.connect("metal")
    assert (
        f"{path}: encrypted; give it to an agent: ssh-add {path}, and agent = true" in refused.value.evidence
    )
    assert "a secret" not in str(refused.value)


def test_a_key_of_the_agent_logs_in_and_the_agent_stays_here(lab, agent):
    path = lab.folder / "held"
    lab.machine.permit(keygen(path))
    for number in range(3):  # the right one first, though others are older
        keygen(lab.folder / f"other{number}")
        add_to_agent(lab.folder / f"other{number}")
    add_to_agent(path)
    lab.config.write_text(f"{lab.config.read_text()}IdentityFile {path}\n")
    path.unlink()  # its public half says which one is meant
    lab.write(lab.entry("metal", lab.machine, "agent = true"))
    host = lab.connect("metal")
    assert ran(host, "sh", "-c", "echo ${SSH_AUTH_SOCK-none}") == "none"
    host.close()
    assert lab.machine.log.count("Failed publickey") == 0


def test_an_agent_where_ssh_config_has_it(lab, agent, monkeypatch):
    path = lab.folder / "held"
    lab.machine.permit(keygen(path))
    add_to_agent(path)
    path.unlink()
    monkeypatch.delenv("SSH_AUTH_SOCK")
    lab.write(lab.entry("metal", lab.machine, "agent = true"))
    with pytest.raises(ToolMissing, match="logged in to with an agent, and none is there"):
        lab.connect("metal")
    lab.config.write_text(f"{lab.config.read_text()}IdentityAgent {agent}\n")
    lab.connect("metal").close()


def test_a_key_that_nobody_knows_there(lab):
    path = lab.folder / "stranger"
    keygen(path)
    lab.write(lab.entry("metal", lab.machine, f'key = "{path}"'))
    with pytest.raises(HostLost, match=f"does not take a login of {lab.machine.user}") as refused:
        lab.connect("metal")
    assert f"{path}: Authentication failed" in refused.value.evidence


def test_a_chain_of_two_each_with_its_own_host_key(lab):
    one, two = lab.gates
    second = f'{{ to = "127.0.0.1:{two.port}", host-key = "{two.host_key}", key = "{lab.key}" }}'
    lab.write(lab.entry("gate", one), lab.entry("metal", lab.machine, f'jump = ["gate", {second}]'))
    host = lab.connect("metal")
    # The machine sees the last one on the way, which sees the first one.
    assert ran(host, "sh", "-c", "echo ${SSH_CONNECTION##* }") == str(lab.machine.port)
    at_work = {thread for thread in threading.enumerate() if isinstance(thread, type(host.transport))}
    assert len(at_work) >= 3
    host.close()
    for thread in at_work:
        thread.join(10)
    assert not at_work & set(threading.enumerate())
    assert "Accepted publickey" in one.log
    assert "Accepted publickey" in two.log


def test_a_host_on_the_way_that_shows_another_key_is_named(lab):
    one, _ = lab.gates
    table = lab.entry("gate", one).replace(one.host_key, keygen(lab.folder / "other"))
    lab.write(table, lab.entry("metal", lab.machine, 'jump = "gate"'))
    with pytest.raises(WrongHostKey, match="gate shows another host key than the one that is known") as seen:
        lab.connect("metal")
    assert "[gate] host-key has ssh-ed25519 SHA256:" in seen.value.evidence


def test_a_machine_behind_a_gate_that_is_not_there(lab):
    one, _ = lab.gates
    table = lab.entry("metal", lab.machine, 'jump = "gate"').replace(f"port = {lab.machine.port}", "port = 1")
    lab.write(lab.entry("gate", one), table)
    with pytest.raises(HostLost, match="metal does not take a login"):
        lab.connect("metal")


def test_ssh_config_says_what_the_inventory_leaves_out(lab):
    one, two = lab.gates
    (lab.folder / "more").write_text(
        f"Match originalhost lab-metal exec true\n  Port {lab.machine.port}\n  ProxyJump lab-one,lab-two\n"
        f"Match originalhost lab-one\n  Port {one.port}\n  HostKeyAlias known-as-one\n"
        f"Match originalhost lab-two\n  Port {two.port}\n"
        f"Host lab-*\n  HostName 127.0.0.1\n  IdentityFile {lab.key}\n  HostKeyAlias %n\n"
    )
    lab.config.write_text(f"Include {lab.folder}/more\n{lab.config.read_text()}")
    lab.write('[metal]\naddress = "lab-metal"\n')
    lab.known_hosts.write_text(
        f"lab-metal {lab.machine.host_key}\nknown-as-one {one.host_key}\nlab-two {two.host_key}\n"
    )
    stops = reach.stops(inventory.entry("metal"), Deadline(20))
    assert [stop.port for stop in stops] == [one.port, two.port, lab.machine.port]
    host = lab.connect("metal")
    assert ran(host, "echo", "there") == "there"
    host.close()


def test_the_inventory_wins_over_ssh_config(lab):
    lab.config.write_text(
        f"Host *\n  User nobody\n  Port 1\n  IdentityFile /none\n  ProxyJump nowhere\n"
        f"{lab.config.read_text()}"
    )
    lab.write(lab.entry("metal", lab.machine, f'user = "{lab.machine.user}"', "jump = []"))
    lab.connect("metal").close()


def test_a_proxy_command_is_refused(lab):
    lab.config.write_text("ProxyCommand nc %h %p\n")
    lab.write(lab.entry("metal", lab.machine))
    with pytest.raises(UsageError, match="by a ProxyCommand, which is not supported"):
        lab.connect("metal")


@pytest.mark.parametrize("program", ["ssh", "ssh-keygen"])
def test_without_a_client_of_openssh_it_says_so(lab, program, monkeypatch):
    programs = lab.folder / "few"
    programs.mkdir()
    for name in {"setpriv", "sh", "ssh", "ssh-keygen"} - {program}:
        found = subprocess.run(["which", name], check=True, capture_output=True, text=True).stdout.strip()
        (programs / name).symlink_to(found)
    lab.knows(lab.machine)
    lab.write(lab.entry("metal", lab.machine))
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(ToolMissing, match=f"{program} is not on this system") as missing:
        lab.connect("metal")
    assert "apt install openssh-client" in missing.value.next_step


class TestHostKeys:
    @pytest.fixture(autouse=True)
    def unpinned(self, lab):
        lab.write(lab.entry("metal", lab.machine, pinned=False))

    def test_an_unknown_one_is_refused_with_the_line_to_add(self, lab):
        with pytest.raises(UnknownHostKey, match="is not known, and none is accepted by itself") as seen:
            lab.connect("metal")
        assert HostKey(lab.machine.host_key).fingerprint in seen.value.evidence
        assert f'host-key = "{lab.machine.host_key}"' in seen.value.next_step
        assert "[metal]" in seen.value.next_step
        assert not lab.known_hosts.exists()
        assert "Accepted" not in lab.machine.log.splitlines()[-1]

    def test_the_fingerprint_is_what_ssh_keygen_says(self, lab):
        path = lab.machine.folder / "host.pub"
        said = subprocess.run(["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True).stdout
        assert HostKey(lab.machine.host_key).fingerprint == said.split()[1]

    @pytest.mark.parametrize("hashed", [False, True])
    def test_one_of_known_hosts_will_do(self, lab, hashed):
        lab.knows(lab.machine)
        if hashed:
            argv = ["ssh-keygen", "-q", "-H", "-f", lab.known_hosts]
            subprocess.run(argv, check=True, capture_output=True)
            assert "127.0.0.1" not in lab.known_hosts.read_text()
        lab.connect("metal").close()

    def test_a_changed_one_says_where_the_old_one_stands(self, lab):
        lab.known_hosts.write_text("# a comment\n\n")
        lab.knows(lab.machine, keygen(lab.folder / "old"))
        with pytest.raises(WrongHostKey, match="another host key") as seen:
            lab.connect("metal")
        assert f"{lab.known_hosts}:3 has ssh-ed25519 SHA256:" in seen.value.evidence

    def test_one_of_another_kind_is_no_answer_for_the_one_that_is_known(self, lab):
        lab.knows(lab.machine, keygen(lab.folder / "old", "rsa"))
        with pytest.raises((WrongHostKey, HostLost)):
            lab.connect("metal")

    def test_a_revoked_one_is_refused_though_it_is_pinned(self, lab):
        lab.knows(lab.machine, marker="@revoked")
        lab.write(lab.entry("metal", lab.machine))
        with pytest.raises(WrongHostKey, match="a host key that was revoked") as seen:
            lab.connect("metal")
        assert f"{lab.known_hosts}:1 (@revoked)" in seen.value.evidence

    def test_authorities_are_not_supported_and_it_says_so(self, lab):
        lab.knows(lab.machine, marker="@cert-authority")
        with pytest.raises(UnknownHostKey) as seen:
            lab.connect("metal")
        assert "(@cert-authority) are not supported" in seen.value.evidence

    def test_an_answer_that_never_comes_ends_by_the_clock(self, lab):
        lab.knows(lab.machine)
        lab.machine.child.send_signal(19)
        try:
            with pytest.raises(DeadlineExceeded, match="logging in to metal"):
                lab.connect("metal", 1)
        finally:
            lab.machine.child.send_signal(18)


def test_of_several_kinds_the_machine_is_asked_for_the_one_that_is_known(lab, tmp_path):
    both = Sshd(tmp_path / "both", (f"HostKey {tmp_path}/rsa",))
    rsa = keygen(tmp_path / "rsa", "rsa")
    both.start()
    try:
        both.permit(f"{lab.key.with_suffix('.pub').read_text()}")
        table = lab.entry("metal", both).replace(both.host_key, rsa)
        lab.write(table)
        host = lab.connect("metal")
        assert host.host_key.text == rsa
        host.close()
    finally:
        both.stop()


def test_what_ssh_says_is_read():
    said = (
        "user ann\nhostname h.example\nport 2200\nidentityfile ~/.ssh/%r-%h\nidentityagent none\n"
        "proxyjump a@one:1,two\nuserknownhostsfile /a /b\nglobalknownhostsfile /c\nhostkeyalias other\n"
    )
    found = ssh_config.parse(said, "h")
    assert (found.host, found.port, found.user, found.agent) == ("h.example", 2200, "ann", "")
    assert [key.name for key in found.keys] == ["ann-h.example"]
    assert found.jumps == ("a@one:1", "two")
    assert [str(file) for file in found.known_hosts] == ["/a", "/b", "/c"]
    assert found.known_as(2200) == "other"
    assert ssh_config.parse("hostname h\n", "h").known_as(2200) == "[h]:2200"
    assert ssh_config.parse("hostname h\n", "h").known_as(22) == "h"
