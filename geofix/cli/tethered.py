"""Runs a command that must not outlive the process which started it.

``python -I -S tethered.py PARENT COMMAND…``: asks the kernel for SIGTERM when the parent dies, and
becomes the command. It imports nothing of Geofix, so that it starts at once; where the kernel has
no such request (it is Linux's), the command runs all the same.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1


def main() -> None:
    """Become the command of the arguments."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != int(parent):  # it died before the request was made
            sys.exit(f"{command[0]} was not started: its supervisor is gone")
    os.execvp(command[0], command)  # noqa: S606 - the supervisor's own children


if __name__ == "__main__":
    main()
