"""What systemd is told of a service of Type=notify: it is ready, it lives, it stops. A datagram each, no library."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping


class Notifier:
    """Tells where NOTIFY_SOCKET says that somebody listens; elsewhere nothing. Any thread may call."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address  # of the abstract kind
        self._refused = False
        self.watchdog_s = _watchdog_s(environment)

    def tell(self, *states: str) -> None:
        """States as sd_notify(3) has them, e.g. "READY=1"."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(1.0)
                sender.sendto("\n".join(states).encode(), self._address)
        except OSError as error:
            if not self._refused:
                print(f"clipspect: systemd cannot be told ({error}): it may start this again", file=sys.stderr)
            self._refused = True
        else:
            self._refused = False


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """Within how many seconds systemd wants to hear of this process, again and again; None where it does not."""
    value, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not value.isdecimal() or int(value) == 0 or (process and process != str(os.getpid())):
        return None
    return int(value) / 1e6
