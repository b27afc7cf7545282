"""A TCP proxy that a test can cut off, as somebody who pulls a cable, and stall, as a camera that hangs."""

from __future__ import annotations

import contextlib
import socket
import threading


class Cable:
    """Between a port of its own and another; `cut` ends every connection, `plugged` lets new ones in."""

    def __init__(self, port: int) -> None:
        self._to, self.plugged, self.stalled = port, True, threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.plugged = False
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._server.accept()
            except OSError:
                return
            if not self.plugged:
                here.close()
                continue
            there = socket.create_connection(("127.0.0.1", self._to))
            self._open += [here, there]
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := one.recv(65536):
                while self.stalled.is_set():
                    threading.Event().wait(0.05)
                other.sendall(content)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
