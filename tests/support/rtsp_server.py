"""A real RTSP server for Debian's Python with GStreamer: python3 rtsp_server.py PORT FILE.

/line is live: numbered frames, 25 a second, and the number goes on whether anybody is there or not, as a camera's time
does. Each frame is encoded in several slices, as cameras do. /file gives FILE, an MP4, from its beginning to each.
"""

import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

BITS, FIELD, HEIGHT, FPS = 16, 8, 48, 25  # as in drawn_video.py
WIDTH = BITS * FIELD
LAUNCH = (
    f"( appsrc name=src is-live=true format=time do-timestamp=true block=false "
    f"caps=video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate={FPS}/1 "
    "! x264enc tune=zerolatency threads=2 speed-preset=ultrafast key-int-max=10 "
    "! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)
START = time.monotonic()


def picture(number: int) -> bytes:
    line = b"".join((b"\xe6" if number >> bit & 1 else b"\x14") * FIELD for bit in range(BITS))
    grey = b"\x5a" * WIDTH
    edge = HEIGHT // 4
    return grey * edge + line * (HEIGHT - 2 * edge) + grey * edge + b"\x80" * (WIDTH * HEIGHT // 2)


class Numbered(GstRtspServer.RTSPMediaFactory):
    def do_create_element(self, url: object) -> object:
        return Gst.parse_launch(LAUNCH)

    def do_configure(self, media: object) -> None:
        source = media.get_element().get_by_name_recurse_up("src")

        def feed() -> None:
            number = int((time.monotonic() - START) * FPS)
            while True:
                number += 1
                time.sleep(max(0.0, START + number / FPS - time.monotonic()))
                buffer = Gst.Buffer.new_wrapped_bytes(GLib.Bytes.new(picture(number)))
                if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                    return

        threading.Thread(target=feed, daemon=True).start()


Gst.init(None)
if any(Gst.ElementFactory.find(name) is None for name in ("appsrc", "x264enc", "rtph264pay")):
    sys.exit("GStreamer lacks appsrc, x264enc or rtph264pay")
server = GstRtspServer.RTSPServer.new()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
server.get_mount_points().add_factory("/line", Numbered())
recorded = GstRtspServer.RTSPMediaFactory()
recorded.set_launch(
    f'( filesrc location="{sys.argv[2]}" ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )'
)
server.get_mount_points().add_factory("/file", recorded)
server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
