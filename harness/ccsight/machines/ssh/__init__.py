"""The one door to paramiko: hosts that are reached over SSH. It knows nothing of how a host was booted."""

import logging

from ccsight.machines.ssh.host import SshHost
from ccsight.machines.ssh.login import connect, connect_through, shown
from ccsight.machines.ssh.stop import Peer, Stop

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # its tracebacks are not for users
logging.getLogger("paramiko").propagate = False

__all__ = ["Peer", "SshHost", "Stop", "connect", "connect_through", "shown"]
