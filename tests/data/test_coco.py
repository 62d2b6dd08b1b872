import functools
import hashlib
import http.server
import io
import re
import threading
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from allaprima.data import coco
from allaprima.data.module import DataSettings, PhotoDataModule
from allaprima.errors import UserError

from .conftest import DATA_SETTINGS


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """Serves byte ranges, and breaks off the first answer to each file after `break_after` bytes."""

    break_after = 10**9

    def do_GET(self):
        content = (Path(self.directory) / self.path.lstrip("/")).read_bytes()
        start = int(re.match(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1])
        self.server.ranges.append((self.path, start))
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = len(content) if start else self.break_after
        self.wfile.write(content[start:end])

    def log_message(self, *_):
        pass


@pytest.fixture
def coco_server(tmp_path):
    """A small COCO on a server of its own: address, archives, the ranges asked for."""
    folder = tmp_path / "server"
    (folder / "zips").mkdir(parents=True)
    picture = io.BytesIO()
    Image.effect_noise((300, 300), 80).convert("RGB").save(picture, "JPEG")
    archives = []
    for file, names in (
        ("zips/train2017.zip", ["train2017/1.jpg", "train2017/2.jpg"]),
        ("zips/val2017.zip", ["val2017/3.jpg"]),
    ):
        with zipfile.ZipFile(folder / file, "w") as archive:
            for name in names:
                archive.writestr(name, picture.getvalue())
        digest = hashlib.md5((folder / file).read_bytes()).hexdigest()
        archives.append(coco.Archive(file, digest, names[0].split("/")[0]))
    handler = functools.partial(RangeHandler, directory=str(folder))
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    httpd.ranges = []
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}", tuple(archives), httpd.ranges
    httpd.shutdown()


def test_download_is_resumed(tmp_path, coco_server, monkeypatch):
    address, archives, ranges = coco_server
    root = tmp_path / "coco"
    monkeypatch.setattr(RangeHandler, "break_after", 5000)
    for _ in archives:
        with pytest.raises(UserError, match="run this again"):
            coco.download(root, address, archives)
    coco.download(root, address, archives)
    assert [start for path, start in ranges if path == "/zips/train2017.zip"] == [0, 5000]
    training, validation = coco.photos(root)
    assert [path.name for path in training] == ["1.jpg", "2.jpg"] and [path.name for path in validation] == ["3.jpg"]
    data = PhotoDataModule(DataSettings(source="coco", root=str(root), **DATA_SETTINGS), 0)
    assert data.validation.shape == (1, 3, 64, 64)
    assert sorted(path.name for path in root.iterdir()) == ["train2017", "val2017"]
    asked = len(ranges)
    coco.download(root, address, archives)
    assert len(ranges) == asked


def test_download_command(run_script, coco_server, monkeypatch, tmp_path):
    address, archives, _ = coco_server
    monkeypatch.setattr(coco.download, "__defaults__", (archives,))
    result = run_script("download.py", "root=mine", f"server={address}")
    assert result.returncode == 0, result.stderr
    assert "train2017.zip: 100%" in result.stderr and len(coco.photos(tmp_path / "mine")[0]) == 2


def test_failed_downloads_are_refused(tmp_path, coco_server):
    address, archives, _ = coco_server
    with pytest.raises(UserError, match="MD5"):
        coco.download(tmp_path / "a", address, (archives[0]._replace(md5="0" * 32),))
    assert list((tmp_path / "a").iterdir()) == []
    with pytest.raises(UserError, match="not a web address"):
        coco.download(tmp_path / "b", "127.0.0.1", archives)
    with pytest.raises(UserError, match="cannot reach"):
        coco.download(tmp_path / "b", "http://127.0.0.1:9", archives)
