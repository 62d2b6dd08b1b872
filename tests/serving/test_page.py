import base64
import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from allaprima.inference.stylizer import Stylizer

from ..conftest import COFFEE, wait_for
from .conftest import count_processes

pytest.importorskip("gradio")
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from selenium.webdriver.support.ui import WebDriverWait

CHOICES = ("kandinsky", "auto", 1.0, False)
# The command, but that a minute of training has four steps.
SERVE = """
from allaprima.cli import run
from allaprima.serving import watched_training
watched_training.STEPS_A_MINUTE = 4
run('serve')
"""


@contextlib.contextmanager
def serving(folder):
    """The address of a server whose temporary files are in a folder, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", SERVE, f"port={port}", "megabytes=1"]
    environment = os.environ | {"TMPDIR": str(folder)}
    with folder.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=log)
    address = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(address).close()
            break
        except OSError:
            time.sleep(0.5)
    try:
        yield address, process
    finally:
        process.kill()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    with serving(folder) as (address, process):
        yield address, folder
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert not list(folder.iterdir())  # neither uploads nor results


@pytest.fixture
def client(served):
    return Client(served[0], verbose=False)


def paint_on_page(client, path, *chosen):
    (before, after), note = client.predict(handle_file(path), *(chosen or CHOICES), api_name="/paint")
    return np.asarray(Image.open(before), float), np.asarray(Image.open(after).convert("RGB"), float), note


def test_painting(client):
    before, after, note = paint_on_page(client, COFFEE)
    assert np.abs(before - np.asarray(Image.open(COFFEE), float)).mean() < 1
    expected = np.asarray(Stylizer.load("kandinsky")(COFFEE, size=1024), float)
    assert np.abs(after - expected).mean() < 3 < np.abs(after - before).mean()
    assert "600 by 400 pixels" in note


@pytest.mark.parametrize("name", ["cutout.png", "photo.avif", "photo.jfif", "turned.jpg"])
def test_pictures_of_every_kind(client, tmp_path, name):
    """The page paints the files that the library does, and shows what it gives."""
    image = Image.open(COFFEE).convert("RGB").resize((150, 100))
    exif = Image.Exif()
    if name == "cutout.png":
        image.putalpha(Image.radial_gradient("L").resize(image.size))
    if name == "turned.jpg":
        exif[0x0112] = 6
    image.save(tmp_path / name, {"jfif": "JPEG"}.get(name[-4:]), exif=exif)
    (before, after), _ = client.predict(handle_file(tmp_path / name), *CHOICES, api_name="/paint")
    shown, painted = Image.open(before), Image.open(after)
    expected = Stylizer.load("kandinsky")(tmp_path / name, size=1024)
    assert shown.mode == painted.mode == expected.mode and shown.size == painted.size == expected.size
    assert np.abs(np.asarray(painted, float) - np.asarray(expected, float)).mean() < 3
    assert name != "cutout.png" or shown.getchannel("A").tobytes() == painted.getchannel("A").tobytes()


def test_invalid_files_are_refused(client, tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "endless.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{} loop\n")
    for name in ("text.png", "endless.png"):
        with pytest.raises(AppError, match="not a picture"):
            paint_on_page(client, tmp_path / name)
    (tmp_path / "large.png").write_bytes(os.urandom(2 << 20))
    with pytest.raises(Exception, match=r"413|[Ll]arge|exceeds"):
        paint_on_page(client, tmp_path / "large.png")


def posted(address, function, data):
    """The answer to a request that no client of Gradio's would send."""
    call = f"{address}/gradio_api/call/{function}"
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(call, json.dumps({"data": data}).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{call}/{event}") as answer:
        return answer.read().decode()


def test_other_files_are_not_read(served):
    file = {"path": str(COFFEE), "meta": {"_type": "gradio.FileData"}}  # the client would upload it
    assert posted(served[0], "paint", [file, *CHOICES]).startswith("event: error")


@pytest.mark.parametrize(
    ("function", "data"),
    [
        ("paint", [None, *CHOICES]),
        ("paint", ["a picture", *CHOICES]),
        ("paint", [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, *CHOICES]),
        ("paint", [None, "nobody", 1, 1.0, False]),
        ("paint", [None, None, 1, 1.0, False]),
        ("paint", [None, ["kandinsky"], 1, 1.0, False]),
        ("paint", [None, "kandinsky", None, 1.0, False]),
        ("paint", [None, "kandinsky", 1, "strong", False]),
        ("paint", [None, "kandinsky", 1, float("nan"), False]),
        ("paint", [None, "kandinsky", 1, 7, False]),
        ("paint", [1]),
        ("paint_live", ["data:image/png;base64,x", "kandinsky", 1.0]),
        ("train", [None, 1]),
        ("train", [None, 1e9]),
    ],
)
def test_mistakes_of_visitors(served, function, data):
    """A sentence without Python's words on the page, one line in the log."""
    log = served[1].with_suffix(".log")
    before = log.stat().st_size
    answer = posted(served[0], function, data)
    message = json.loads(answer.partition("data: ")[2].splitlines()[0])["error"]
    assert answer.startswith("event: error")
    assert message in ("First give a picture.", "This page cannot make sense of that. Reload it and try again.")
    told = wait_for(lambda: log.read_bytes()[before:].decode())
    assert told.startswith("refused: ") and told.count("\n") == 1


def test_requests_that_no_browser_sends(served):
    log = served[1].with_suffix(".log")
    before = log.stat().st_size
    with pytest.raises(urllib.error.HTTPError, match="500"):
        posted(served[0], "no_such_function", [])
    told = wait_for(lambda: log.read_bytes()[before:].decode())
    assert "refused: " in told and told.count("\n") == 1


def test_fifty_visitors(client, tmp_path):
    small, bad = tmp_path / "small.png", tmp_path / "bad.png"
    Image.open(COFFEE).resize((60, 40)).save(small)
    bad.write_text("not a picture")

    def visit(number):
        try:
            return paint_on_page(client, bad if number == 7 else small)[1].shape
        except AppError as error:
            return str(error)

    with ThreadPoolExecutor(50) as visitors:
        answers = list(visitors.map(visit, range(50)))
    assert answers.count((40, 60, 3)) == 49 and "not a picture" in answers[7]


def test_termination(tmp_path):
    with serving(tmp_path) as (address, process):
        Client(address, verbose=False).submit(handle_file(COFFEE), 15, api_name="/train")
        wait_for(lambda: count_processes(tmp_path))
        process.terminate()
        assert process.wait(20) == 0
    assert not list(tmp_path.iterdir())
    wait_for(lambda: not count_processes(tmp_path))  # those that prepare photographs see after 5 s that they are alone


def test_cancelled_training(client, served):
    _, folder = served
    job = client.submit(handle_file(COFFEE), 15, api_name="/train")
    wait_for(lambda: count_processes(folder))
    job.cancel()
    wait_for(lambda: not count_processes(folder) and not list(folder.glob("*/training-*")))


def test_trained_network_is_offered(client, served, tmp_path):
    Image.open(COFFEE).resize((96, 64)).save(tmp_path / "my cup.png")
    told = list(client.submit(handle_file(tmp_path / "my cup.png"), 1, api_name="/train"))
    sheets = [each[0] for each in told if isinstance(each[0], str)]
    notes = [each[1] for each in told]
    assert any(re.fullmatch(r"step \d of 4, \d+ s, some \d+ s left", note) for note in notes)
    assert min(Image.open(sheets[-1]).size) > 300
    assert "my_cup is trained" in notes[-1]
    wait_for(lambda: [path.suffix for path in served[1].glob("*/training-*")] == [".safetensors"])
    before, after, _ = paint_on_page(client, COFFEE, "my_cup, trained here", 1, 1.0, False)
    assert np.abs(before - after).mean() > 5
    with pytest.raises(AppError):  # nor may a visitor name what is not among the choices
        paint_on_page(client, COFFEE, "../../models/udnie", 1, 1.0, False)


def shown_picture(browser):
    """The painting as the page shows it, (H, W, 3) from 0 to 255."""
    script = """
        const image = [...document.querySelectorAll("img")].filter((each) => each.src.endsWith(".png")).pop();
        const canvas = document.createElement("canvas");
        image.decode().then(() => {
            Object.assign(canvas, {width: image.naturalWidth, height: image.naturalHeight});
            canvas.getContext("2d").drawImage(image, 0, 0);
            arguments[0](canvas.toDataURL("image/png"));
        });
    """
    content = base64.b64decode(browser.execute_async_script(script).partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), float)


@pytest.mark.parametrize("width", [390, 1280])
def test_page_in_browser(served, browser, tmp_path, width):
    (tmp_path / "text.png").write_text("not a picture")

    def paint(path):
        browser.find_element("css selector", "#photograph input[type=file]").send_keys(str(path))
        shown = "#photograph [aria-label='Remove Image']"
        WebDriverWait(browser, 30).until(lambda page: page.find_elements("css selector", shown))
        press("Paint")

    def press(label):
        (button,) = [each for each in browser.find_elements("tag name", "button") if each.text == label]
        browser.execute_script("arguments[0].click()", button)

    browser.set_window_size(width, 1000)
    browser.get(served[0])
    WebDriverWait(browser, 60).until(lambda page: page.find_elements("css selector", "#photograph input[type=file]"))
    paint(COFFEE)
    WebDriverWait(browser, 60).until(lambda page: "600 by 400 pixels" in page.find_element("tag name", "body").text)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width + 1
    expected = np.asarray(Stylizer.load("kandinsky", engine="torch")(COFFEE, size=1024), float)
    assert np.abs(shown_picture(browser) - expected).mean() < 3
    (button,) = [each for each in browser.find_elements("tag name", "button") if each.text == "Paint"]
    assert button.location["y"] + button.size["height"] < 900
    browser.execute_script("document.querySelectorAll('.thumbnail-item')[1].click()")
    expected = np.asarray(Stylizer.load("edtaonisl", engine="torch")(COFFEE, size=1024), float)
    WebDriverWait(browser, 60).until(lambda page: np.abs(shown_picture(page) - expected).mean() < 3)
    requests = browser.execute_script("return performance.getEntriesByType('resource').map(each => each.name)")
    assert requests and all(request.startswith((served[0], "data:", "blob:")) for request in requests)
    press("Another photograph")
    WebDriverWait(browser, 30).until(lambda page: page.find_elements("css selector", "#photograph input[type=file]"))
    paint(tmp_path / "text.png")
    WebDriverWait(browser, 60).until(lambda page: "not a picture" in page.find_element("tag name", "body").text)


def test_camera(served, browser):
    def press(label):
        # The last, since Gradio has a row of tabs to measure before the one to press.
        script = """
            const all = [...document.querySelectorAll("button, [role=tab]")];
            const button = all.findLast((each) => each.offsetParent && each.innerText.trim() === arguments[0]);
            button?.click();
            return Boolean(button);
        """
        WebDriverWait(browser, 60).until(lambda page: page.execute_script(script, label))

    browser.set_window_size(1280, 1000)
    browser.get(served[0])
    press("Camera")
    WebDriverWait(browser, 60).until(lambda page: "frames a second" in page.find_element("tag name", "body").text)
    # Between two frames the picture has no size.
    size = "const image = document.querySelector('img[alt=Painted]'); return [image.naturalWidth, image.naturalHeight]"
    WebDriverWait(browser, 60).until(lambda page: page.execute_script(size) == [640, 480])
    assert not browser.find_elements("css selector", "[aria-label=Share]")
    press("Stop")
