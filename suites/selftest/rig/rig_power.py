"""The rig's power switch, as a command that an inventory can name: rig_power.py FOLDER [cycle|on|off|status].

It knows the folder only. What it talks to is in the process that made the rig (rig_supply.py), and ends
with it.
"""

import socket
import sys
from pathlib import Path

WORDS = ("cycle", "on", "off", "status")
#: Where the switch listens, in Linux's abstract names: nothing of it is left behind.
SWITCH = "switch"
#: While this file is there, the command fails, and the machine notices nothing.
BROKEN = "power-fails"
_PATIENCE = 30


def ask(folder: Path, word: str) -> str:
    """Have the switch do what a word says, and return the state after that. Raises OSError."""
    with socket.socket(socket.AF_UNIX) as switch:
        switch.settimeout(_PATIENCE)
        switch.connect("\0" + (folder / SWITCH).read_text())
        switch.sendall(word.encode())
        switch.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: switch.recv(4096), b""))
    return answer.decode()


def main() -> int:
    """Return the command's status: 0 where the machine is as was asked."""
    folder, word = Path(sys.argv[1]), (sys.argv[2:] or ["cycle"])[0]
    if word not in WORDS:
        print(f"{word} is none of {', '.join(WORDS)}", file=sys.stderr)
        return 2
    if (folder / BROKEN).exists():
        print("the switch does not answer", file=sys.stderr)
        return 1
    try:
        answer = ask(folder, word)
    except OSError as error:
        answer = f"the switch does not answer: {error}"
    print(answer)
    return 0 if answer in {"on", "off"} else 1


if __name__ == "__main__":
    sys.exit(main())
