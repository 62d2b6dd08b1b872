import functools
import json
import re
import shutil

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from allaprima.commands import compare as compare_command
from allaprima.commands.compare import compare
from allaprima.commands.train import train
from allaprima.errors import UserError
from allaprima.networks.files import load_network

from ..conftest import CAT, COFFEE, SMALL, TOP, compose_config

compare_config = functools.partial(compose_config, "compare")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    for name, photo in (("coffee", COFFEE), ("cat", CAT)):
        (folder / "photos").mkdir(exist_ok=True)
        Image.open(photo).resize((120, 90)).save(folder / "photos" / f"{name}.png")
    for network in ("mine", "rival"):
        shutil.copy(TOP / "models/kandinsky.safetensors", folder / f"{network}.safetensors")
    rival = f"rivals=[{folder / 'rival.safetensors'}]"
    small = ("sizes=[48,64]", "iterations=6", f"photos={folder / 'photos'}", f"output={folder / 'out'}")
    page = compare(compare_config(f"model={folder / 'mine.safetensors'}", rival, *small, "record=true"))
    return folder, page


def test_starts(tmp_path, monkeypatch):
    found = []
    original = compare_command.compare_on_photo

    def kept(*arguments):
        found.append(original(*arguments))
        return found[-1]

    monkeypatch.setattr(compare_command, "compare_on_photo", kept)
    shutil.copy(CAT, tmp_path)
    small = ("sizes=[48]", "iterations=1", f"photos={tmp_path}", f"output={tmp_path / 'out'}")
    compare(compare_config(*small))
    from_noise, from_photo = (found[0].optimizer[start].terms[0] for start in ("noise", "photo"))
    assert from_photo.content < 1e-3 and from_photo.tv == pytest.approx(found[0].own.tv, rel=1e-3)
    assert from_noise.content > 0.5 and from_noise.tv > 3 * from_photo.tv


def test_page_and_sheet(compared):
    folder, page = compared
    assert page == folder / "out" / "mine.html"
    text = page.read_text()
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    # Per photograph and size: the photograph, two networks, two starts of the optimizer, the curves; then two plots.
    assert text.count("<img") == 4 * 6 + 2
    for words in ("Composition VII", "rival", "from noise", "from the photograph", "caffe-vgg19", "torch"):
        assert words in text
    with Image.open(folder / "out" / "mine.png") as sheet:
        assert sheet.width > 400 and sheet.height > 400


def test_number_is_recorded(compared, run_script):
    folder, _ = compared
    with safe_open(folder / "mine.safetensors", "pt") as ours, safe_open(folder / "rival.safetensors", "pt") as theirs:
        facts = json.loads(ours.metadata()["allaprima"])["equivalent_iterations"]
        before = json.loads(theirs.metadata()["allaprima"]).get("equivalent_iterations", {})
    states = [load_network(folder / f"{name}.safetensors")[0].state_dict() for name in ("mine", "rival")]
    assert all(torch.equal(states[0][name], weight) for name, weight in states[1].items())
    assert set(facts) == {"48", "64", *before} and {name: facts[name] for name in before} == before
    assert set(facts["48"]) == {"noise", "photo", "of", "photographs"}
    assert facts["48"]["photographs"] == 2 and facts["48"]["of"] == 6
    result = run_script("infer.py", f"model={folder / 'mine.safetensors'}", f"input={folder / 'photos/cat.png'}")
    assert f"{facts['64']['photo']:g} from photo at 64 pixels" in result.stdout.replace(" or more", "")


def test_number_is_printed(compared, run_script):
    folder, _ = compared
    (folder / "photos" / "broken.png").write_text("not a picture")
    result = run_script("compare.py", "sizes=[32]", "iterations=2", f"photos={folder / 'photos'}", "starts=[photo]")
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"equivalent iterations \d+(\.5)?", result.stdout.splitlines()[-1])
    assert "broken.png" in result.stderr and "2 photographs" in result.stdout


def test_own_painting(tmp_path, compared):
    size = ("style.size=64", f"style.image={CAT}")
    mine = train(compose_config("train", *SMALL, *size, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=0"))
    small = ("sizes=[32]", "iterations=2", "starts=[photo]", f"photos={compared[0] / 'photos'}", f"output={tmp_path}")
    page = compare(compare_config(f"model={mine}", f"style.image={CAT}", *small))
    assert page == tmp_path / "chelsea.html" and "chelsea" in page.read_text()


def test_interrupted_comparison(compared, tmp_path, monkeypatch, capsys):
    original = compare_command.compare_on_photo
    begun = []

    def interrupted(*arguments):
        if begun:
            raise KeyboardInterrupt
        begun.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(compare_command, "compare_on_photo", interrupted)
    shutil.copytree(compared[0] / "photos", tmp_path / "photos")
    shutil.copytree(compared[0] / "out", tmp_path / "out")  # with an earlier comparison's sheet, no photograph
    mine = shutil.copy(TOP / "models/kandinsky.safetensors", tmp_path / "mine.safetensors")
    small = ("sizes=[48]", "iterations=2", f"photos={tmp_path}", f"output={tmp_path / 'out'}", "record=true")
    page = compare(compare_config(f"model={mine}", *small))
    assert page.read_text().count("<img") == 7
    told = capsys.readouterr()
    assert "1 of 2 are on the page" in told.out + told.err and "not recorded" in told.out
    assert mine.read_bytes() == (TOP / "models/kandinsky.safetensors").read_bytes()


@pytest.mark.parametrize("width", [390, 1280])
def test_page_in_browser(compared, browser, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(compared[1].as_uri())
    images = browser.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert len(images) == 26 and all(images)
    assert browser.execute_script("return innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []


def test_invalid_settings_are_refused(compared, tmp_path):
    folder, _ = compared
    for overrides, words in (
        (["sizes=256"], "give a list, sizes="),
        (["sizes=[8]"], "32 or more"),
        (["sizes=[256,256]"], "rising"),
        (["starts=[noise,noise]"], "name each once"),
        ([f"rivals=[{TOP / 'models/udnie.safetensors'}]"], "was trained on Udnie"),
        (["starts=[painting]"], "'noise' or 'photo'"),
        (["iterations=0"], "iterations"),
        (["rivals=other"], "rivals"),
        (["rivals=[missing.safetensors]"], "missing"),
        (["model=missing.safetensors"], "missing"),
        ([f"photos={tmp_path}"], "no pictures"),
        ([f"style.image={COFFEE}", f"model={folder / 'mine.safetensors'}"], "give that picture"),
    ):
        with pytest.raises(UserError, match=words):
            compare(compare_config(*overrides))
