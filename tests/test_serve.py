import base64
import contextlib
import io
import json
import os
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

from allaprima.data.photos import packaged_photos
from allaprima.errors import UserError
from allaprima.inference.stylizer import Stylizer
from allaprima.serving.watched_training import train_watched

pytest.importorskip("gradio")
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from selenium.webdriver.support.ui import WebDriverWait

(COFFEE,) = packaged_photos(["skimage/data/coffee.png"])
CHOSEN = ("kandinsky", 1, 1.0, False)
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
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
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


def until(condition):
    """Wait for a condition, half a minute at most."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def painted(client, path, *chosen):
    (before, after), note = client.predict(handle_file(path), *(chosen or CHOSEN), api_name="/paint")
    return np.asarray(Image.open(before), float), np.asarray(Image.open(after).convert("RGB"), float), note


def test_a_photograph_is_painted_as_the_library_paints_it(client):
    before, after, note = painted(client, COFFEE)
    assert np.abs(before - np.asarray(Image.open(COFFEE), float)).mean() < 1
    expected = np.asarray(Stylizer.load("kandinsky")(COFFEE, size=1024), float)
    assert np.abs(after - expected).mean() < 3 < np.abs(after - before).mean()
    assert "600 by 400 pixels" in note


def test_what_is_no_picture_gets_a_sentence_and_postscript_is_not_run(client, tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "endless.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{} loop\n")
    for name in ("text.png", "endless.png"):
        with pytest.raises(AppError, match="not a picture"):
            painted(client, tmp_path / name)
    (tmp_path / "large.png").write_bytes(os.urandom(2 << 20))
    with pytest.raises(Exception, match=r"413|[Ll]arge|exceeds"):
        painted(client, tmp_path / "large.png")


def test_files_that_were_not_uploaded_are_not_read(served):
    file = {"path": str(COFFEE), "meta": {"_type": "gradio.FileData"}}  # the client would upload it
    call, headers = f"{served[0]}/gradio_api/call/paint", {"Content-Type": "application/json"}
    request = urllib.request.Request(call, json.dumps({"data": [file, *CHOSEN]}).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{call}/{event}") as answer:
        assert answer.read().startswith(b"event: error")


def test_many_at_once_are_all_served_and_one_bad_file_harms_nobody(client, tmp_path):
    small, bad = tmp_path / "small.png", tmp_path / "bad.png"
    Image.open(COFFEE).resize((60, 40)).save(small)
    bad.write_text("not a picture")

    def visit(number):
        try:
            return painted(client, bad if number == 7 else small)[1].shape
        except AppError as error:
            return str(error)

    with ThreadPoolExecutor(50) as visitors:
        answers = list(visitors.map(visit, range(50)))
    assert answers.count((40, 60, 3)) == 49 and "not a picture" in answers[7]


def test_training_is_watched_and_ends_with_a_network(tmp_path):
    Image.open(COFFEE).resize((96, 64)).save(tmp_path / "coffee.png")
    reports = list(train_watched(tmp_path / "coffee.png", 2, tmp_path))
    assert all(report.network is None for report in reports[:-1]) and reports[-1].sheet.exists()
    assert Stylizer.load(reports[-1].network).metadata.style.name == "coffee"


def test_training_ends_with_its_watcher_and_says_what_went_wrong(tmp_path):
    watched = train_watched(COFFEE, 1000, tmp_path)
    next(watched)
    assert processes_of(tmp_path)
    watched.close()
    until(lambda: not processes_of(tmp_path))
    with pytest.raises(UserError, match=r"missing\.png"):
        list(train_watched(tmp_path / "missing.png", 2, tmp_path))


def processes_of(folder):
    """How many processes have a folder in their command lines."""
    running = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    return running.count(str(folder))


def test_a_server_that_is_told_to_end_leaves_no_file_and_no_training(tmp_path):
    with serving(tmp_path) as (address, process):
        Client(address, verbose=False).submit(handle_file(COFFEE), 15, api_name="/train")
        until(lambda: processes_of(tmp_path))
        process.terminate()
        assert process.wait(20) == 0
    assert not list(tmp_path.iterdir())
    until(lambda: not processes_of(tmp_path))  # those that prepare photographs see after 5 s that they are alone


def test_training_that_is_stopped_leaves_nothing(client, served):
    _, folder = served
    job = client.submit(handle_file(COFFEE), 15, api_name="/train")
    until(lambda: processes_of(folder))
    job.cancel()
    until(lambda: not processes_of(folder) and not list(folder.glob("*/training-*")))


def test_serving_where_it_cannot_be_is_told_in_one_line(refused):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused(["serve.py", f"port={taken.getsockname()[1]}"], "port=")
    refused(["serve.py", "port=0"], "port")
    refused(["serve.py", "megabytes=1000"], "500")


def test_what_was_trained_on_the_page_paints_on_it(client, served, tmp_path):
    Image.open(COFFEE).resize((96, 64)).save(tmp_path / "my cup.png")
    told = list(client.submit(handle_file(tmp_path / "my cup.png"), 1, api_name="/train"))
    sheets, notes = [each[0] for each in told if isinstance(each[0], str)], [each[1] for each in told]
    assert min(Image.open(sheets[-1]).size) > 300
    assert "my_cup is trained" in notes[-1]
    until(lambda: [path.suffix for path in served[1].glob("*/training-*")] == [".safetensors"])
    before, after, _ = painted(client, COFFEE, "my_cup, trained here", 1, 1.0, False)
    assert np.abs(before - after).mean() > 5
    with pytest.raises(AppError):  # nor may a visitor name what is not among the choices
        painted(client, COFFEE, "../../models/udnie", 1, 1.0, False)


def shown(browser):
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
def test_the_page_paints_in_a_browser(served, browser, tmp_path, width):
    (tmp_path / "text.png").write_text("not a picture")

    def paint(path):
        browser.find_element("css selector", "input[type=file]").send_keys(str(path))
        WebDriverWait(browser, 30).until(lambda page: page.find_elements("css selector", "[aria-label='Remove Image']"))
        press("Paint")

    def press(label):
        (button,) = [each for each in browser.find_elements("tag name", "button") if each.text == label]
        browser.execute_script("arguments[0].click()", button)

    browser.set_window_size(width, 1000)
    browser.get(served[0])
    WebDriverWait(browser, 60).until(lambda page: page.find_elements("css selector", "input[type=file]"))
    paint(COFFEE)
    WebDriverWait(browser, 60).until(lambda page: "600 by 400 pixels" in page.find_element("tag name", "body").text)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width + 1
    expected = np.asarray(Stylizer.load("kandinsky", engine="torch")(COFFEE, size=1024), float)
    assert np.abs(shown(browser) - expected).mean() < 3
    requests = browser.execute_script("return performance.getEntriesByType('resource').map(each => each.name)")
    assert requests and all(request.startswith((served[0], "data:", "blob:")) for request in requests)
    browser.execute_script("document.querySelector(\"[aria-label='Remove Image']\").click()")
    WebDriverWait(browser, 30).until(lambda page: page.find_elements("css selector", "input[type=file]"))
    paint(tmp_path / "text.png")
    WebDriverWait(browser, 60).until(lambda page: "not a picture" in page.find_element("tag name", "body").text)


def test_the_page_paints_the_camera_and_sends_nothing_elsewhere(served, browser):
    def press(words):
        # The last, since Gradio has a row of tabs to measure before the one to press.
        script = """
            const all = [...document.querySelectorAll("button, [role=tab]")];
            const button = all.findLast((each) => each.offsetParent && each.innerText.trim() === arguments[0]);
            button?.click();
            return Boolean(button);
        """
        WebDriverWait(browser, 60).until(lambda page: page.execute_script(script, words))

    browser.set_window_size(1280, 1000)
    browser.get(served[0])
    for words in ("Camera", "Click to Access Webcam", "Record"):
        press(words)
    WebDriverWait(browser, 60).until(lambda page: "frames a second" in page.find_element("tag name", "body").text)
    # Between two frames the picture has no size.
    size = "const image = document.querySelector('img[alt=Painted]'); return [image.naturalWidth, image.naturalHeight]"
    WebDriverWait(browser, 60).until(lambda page: page.execute_script(size) == [640, 480])
    assert not browser.find_elements("css selector", "[aria-label=Share]")
    press("Stop")
