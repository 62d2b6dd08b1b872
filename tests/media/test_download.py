import contextlib
import http.server
import os
import threading
import time
from pathlib import Path

import pytest

from allaprima.errors import FileError
from allaprima.media.download import fetch_picture
from allaprima.media.images import read_picture


@pytest.fixture
def endless():
    """A server that sends a picture which never ends: as fast as it can, or in drips."""

    class Endless(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            drips = self.path.startswith("/drips")
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"x" if drips else bytes(1 << 16))
                    time.sleep(0.05 if drips else 0)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize(("path", "words"), [("drips.png", r"cannot download .*more than 1 s"), ("large.png", "3 MB")])
def test_download_limits(endless, path, words, monkeypatch):
    monkeypatch.setattr("allaprima.media.download.DOWNLOAD_SECONDS", 1)
    monkeypatch.setattr("allaprima.media.files.LARGEST_PICTURE", 3 << 20)
    with pytest.raises(FileError, match=words):
        fetch_picture(f"{endless}/{path}")


def test_devices_and_pipes_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for source in ("/dev/zero", str(tmp_path / "pipe.png")):
        with pytest.raises(FileError, match="a device or a pipe"):
            fetch_picture(source)
        with pytest.raises(FileError, match="a device or a pipe"):
            read_picture(Path(source))


def test_large_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("allaprima.media.files.LARGEST_PICTURE", 1 << 20)
    (tmp_path / "large.png").write_bytes(bytes(2 << 20))
    with pytest.raises(FileError, match="more than 1 MB"):
        fetch_picture(str(tmp_path / "large.png"))
