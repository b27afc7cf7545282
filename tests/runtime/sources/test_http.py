"""Pictures over HTTP, as network cameras give them: a real server, one that hangs up, one that wants a password."""

from __future__ import annotations

import io
import itertools
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

import clipspect
from clipspect.base.errors import ClipspectError
from clipspect.sources import live
from support.drawn_video import number_in, numbered, write_video


class Camera(BaseHTTPRequestHandler):
    number = itertools.count()
    video = b""

    def do_GET(self) -> None:
        if self.path.endswith("/private"):
            self.send_error(401)
        elif self.path.endswith(".mp4"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.video)))
            self.end_headers()
            self.wfile.write(self.video)
        else:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for _ in range(10):  # then it hangs up
                content = io.BytesIO()
                Image.fromarray(numbered(next(self.number))).save(content, "JPEG", quality=95)
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {content.tell()}\r\n\r\n"
                self.wfile.write(head.encode() + content.getvalue() + b"\r\n")
                time.sleep(0.02)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def test_pictures_in_a_row_come_in_order_over_several_connections(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "FIRST_WAIT_S", 0.05)
    told: list[str | None] = []
    stream = clipspect.sources.video(f"{address}/stream.mjpg", policy="block", problem=told.append)
    items = list(itertools.islice(stream, 25))
    stream.close()
    drawn = [number_in(item.frame) for item in items]
    assert drawn == sorted(set(drawn))
    assert any(text is not None and "connecting again" in text for text in told)
    assert all((item.captured_monotonic or 0.0) <= time.monotonic() for item in items)


def test_a_password_that_is_wanted_is_an_error_of_the_address(address: str) -> None:
    with pytest.raises(ClipspectError, match="/private: Server returned 401 Unauthorized"):
        next(iter(clipspect.sources.video(f"{address}/private")))


def test_a_video_file_on_a_server_is_read_to_its_end(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", 30, movflags="faststart")
    monkeypatch.setattr(Camera, "video", path.read_bytes())
    items = list(clipspect.sources.open_source(f"{address}/a.mp4"))
    assert [number_in(item.frame) for item in items] == list(range(30))
