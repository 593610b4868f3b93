"""SSH against peers that misbehave, each in its own way. (The well-behaved one is the emulated host.)"""

import io
import socket
import threading
import time

import paramiko
import pytest

from ccsight.deadline import Deadline
from ccsight.errors import DeadlineExceeded, HostLost
from ccsight.machines import keys, ssh
from ccsight.machines.host_keys import WrongHostKey


class Server(paramiko.ServerInterface):
    """Lets everybody in, and answers a command as ``answer`` does."""

    def __init__(self, answer):
        self.answer = answer

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username):
        return "publickey"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        return self.answer(channel, command)


class Peers:
    """A listening socket, and what became of it."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.socket.settimeout(10)
        self.key = paramiko.Ed25519Key.from_private_key(io.StringIO(keys.fresh().client_private))
        self.commands = []
        self.transport = None

    def peer(self, host_key=None):
        pinned = host_key or f"ssh-ed25519 {self.key.get_base64()}"
        port = self.socket.getsockname()[1]
        return ssh.Peer("it", "127.0.0.1", port, "root", pinned, keys.fresh().client_private)

    def serve(self, answer):
        def run():
            link, _ = self.socket.accept()
            self.transport = paramiko.Transport(link)
            self.transport.add_server_key(self.key)
            self.transport.start_server(threading.Event(), Server(self.recorded(answer)))

        threading.Thread(target=run, daemon=True).start()

    def recorded(self, answer):
        def check(channel, command):
            self.commands.append(command)
            return answer(self.transport, channel)

        return check

    def close(self):
        if self.transport:
            self.transport.close()
        self.socket.close()


@pytest.fixture
def peers():
    made = Peers()
    yield made
    made.close()


def accepts(_transport, _channel):
    return True


def hangs(_transport, _channel):
    time.sleep(3)
    return True


def hangs_up(transport, _channel):
    transport.sock.shutdown(socket.SHUT_RDWR)
    return True


def ends_without_a_status(_transport, channel):
    threading.Timer(0.1, channel.close).start()
    return True


def test_a_peer_without_a_banner_ends_by_the_clock(peers):
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="logging in to it"):
        ssh.connect(peers.peer(), Deadline(0.5))
    assert time.monotonic() - start < 2


def test_nobody_there_is_lost(peers):
    peer = peers.peer()
    peers.socket.close()
    with pytest.raises(HostLost, match="does not take a login"):
        ssh.connect(peer, Deadline(5))


def test_a_peer_that_is_no_sshd_is_lost(peers):
    def run():
        link, _ = peers.socket.accept()
        link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        link.close()

    threading.Thread(target=run, daemon=True).start()
    with pytest.raises(HostLost, match="does not take a login"):
        ssh.connect(peers.peer(), Deadline(5))


def test_another_host_key_is_refused_and_no_login_tried(peers):
    peers.serve(accepts)
    with pytest.raises(WrongHostKey, match="another host key") as error:
        ssh.connect(peers.peer(keys.fresh().host_public), Deadline(5))
    assert peers.key.get_base64() in error.value.evidence
    assert not peers.transport.is_authenticated()
    assert peers.commands == []


def test_a_request_that_is_never_answered_ends_by_the_clock(peers):
    peers.serve(hangs)
    host = ssh.connect(peers.peer(), Deadline(5))
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="true on it"):
        host.run(["true"], Deadline(0.5))
    assert time.monotonic() - start < 2
    with pytest.raises(HostLost):
        host.run(["true"], Deadline(5))


@pytest.mark.parametrize("answer", [hangs_up, ends_without_a_status])
def test_a_peer_that_goes_away_is_lost(peers, answer):
    peers.serve(answer)
    host = ssh.connect(peers.peer(), Deadline(5), why_lost=lambda: "somebody pulled the plug")
    start = time.monotonic()
    with pytest.raises(HostLost) as error:
        host.run(["true"], Deadline(5))
    assert time.monotonic() - start < 3
    assert error.value.evidence == "somebody pulled the plug"


def test_a_reason_to_be_lost_ends_a_command_that_runs(peers):
    peers.serve(accepts)
    reasons = ["", "", "the kernel panicked"]
    host = ssh.connect(peers.peer(), Deadline(5), lambda: reasons.pop(0) if len(reasons) > 1 else reasons[0])
    with pytest.raises(HostLost) as error:
        host.run(["sleep", "100"], Deadline(5))
    assert error.value.evidence == "the kernel panicked"


def test_a_command_is_quoted_word_by_word(peers):
    peers.serve(ends_without_a_status)
    host = ssh.connect(peers.peer(), Deadline(5))
    with pytest.raises(HostLost):
        host.run(["a b", "$x", "it's", "\udcff"], Deadline(5))
    assert peers.commands == [b"""'a b' '$x' 'it'"'"'s' '\xff' </dev/null; exit $?"""]


def test_the_key_does_not_show(peers):
    assert "PRIVATE" not in repr(peers.peer())
