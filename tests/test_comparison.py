import functools
import json
import re
import shutil

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from allaprima.commands import compare as comparison_run
from allaprima.commands.compare import compare
from allaprima.commands.train import train
from allaprima.data.photos import packaged_photos
from allaprima.errors import UserError
from allaprima.evaluation.comparison import (
    NetworkResult,
    OptimizerRun,
    PhotoComparison,
    by_size,
    compare_on_photo,
    equivalent_iterations,
    median_equivalent,
)
from allaprima.evaluation.report import equivalent_rows, time_rows
from allaprima.losses.gram import gram_matrix
from allaprima.losses.perceptual import PerceptualLoss, Terms, total_variation

from .conftest import SMALL, TOP, settings

(COFFEE, CAT) = packaged_photos(["skimage/data/coffee.png", "skimage/data/chelsea.png"])


configuration = functools.partial(settings, "compare")


def terms(total):
    return Terms(total, 0.0, total, 0.0)


def made_up(network, totals, allowed=3):
    picture = torch.zeros(1, 3, 4, 4)
    optimizer_run = OptimizerRun(allowed, [terms(total) for total in totals], [0.1 * i for i in range(len(totals))], {})
    result = NetworkResult(picture, terms(network), 0.01)
    return PhotoComparison("made up", 4, picture, terms(9.0), {"a": result}, {"noise": optimizer_run})


def test_equivalent_is_the_iteration_at_which_the_optimizer_is_as_good():
    comparisons = [
        made_up(0.5, [3.0, 1.0, 0.5, 0.4]),
        made_up(0.1, [3.0, 1.0, 0.5, 0.4]),
        made_up(4.0, [3.0, 1.0, 0.5, 0.4]),
    ]
    assert [
        equivalent_iterations(comparison.networks["a"], comparison.optimizer["noise"]) for comparison in comparisons
    ] == [2, 3, 0]
    assert median_equivalent(comparisons, "a", "noise") == (2, 0, 3)
    ended_early = made_up(0.1, [3.0, 1.0], allowed=500)
    assert equivalent_iterations(ended_early.networks["a"], ended_early.optimizer["noise"]) == 500


def test_the_pages_tables_say_what_was_measured():
    sizes = by_size([made_up(0.5, [3.0, 1.0, 0.5, 0.4]), made_up(0.1, [3.0, 1.0, 0.5, 0.4])])
    (row,) = equivalent_rows(sizes)
    assert row == {"network": "a", "size": 4, "start": "from noise", "of": 3} | {
        "median": "2.5",
        "least": 2,
        "most": "3 or more",
        "gain": pytest.approx((9.0 / 0.5 + 9.0 / 0.1) / 2),
    }
    (row,) = time_rows(sizes, [1, 3, 500])
    assert row["slow"] == pytest.approx([0.1, 0.3, 0.3]) and row["fast"] == pytest.approx(0.01)
    assert row["speedup"] == pytest.approx(30)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    for name, photo in (("coffee", COFFEE), ("cat", CAT)):
        (folder / "photos").mkdir(exist_ok=True)
        Image.open(photo).resize((120, 90)).save(folder / "photos" / f"{name}.png")
    for name in ("mine", "rival"):
        shutil.copy(TOP / "models/kandinsky.safetensors", folder / f"{name}.safetensors")
    rival = f"rivals=[{folder / 'rival.safetensors'}]"
    small = ("sizes=[48,64]", "iterations=6", f"photos={folder / 'photos'}", f"output={folder / 'out'}")
    page = compare(configuration(f"model={folder / 'mine.safetensors'}", rival, *small, "record=true"))
    return folder, page


@pytest.fixture
def objective(vgg):
    painting = torch.rand(1, 3, 64, 64)
    grams = {layer: gram_matrix(features)[0] for layer, features in vgg(painting, ["relu1_1", "relu3_1"]).items()}
    return PerceptualLoss(vgg, grams, ["relu3_1"], "relative", 0.5, 1.0, 0.3)


def test_each_side_is_judged_on_the_picture_that_it_paints(objective):
    red = torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1).expand(1, 3, 48, 48)
    noise = torch.rand(1, 3, 48, 48)
    starts = {"noise": noise, "photo": None}
    found = compare_on_photo(CAT, 48, {"red": lambda photo: red}, objective, starts, 2, [0, 2], lambda _: None)
    content = objective.content_features(found.photo)
    for judged, picture in (
        (found.networks["red"].terms, red),
        (found.own, found.photo),
        (found.optimizer["noise"].terms[0], noise),
        (found.optimizer["photo"].terms[0], found.photo),
        (found.optimizer["noise"].terms[2], found.optimizer["noise"].pictures[2]),
    ):
        with torch.no_grad():
            assert tuple(judged) == pytest.approx(objective(picture, content).numbers(), rel=1e-3, abs=1e-6)
    assert torch.equal(found.networks["red"].picture, red)
    grams = comparison_run.grams_of(found, objective)
    for layer in ("relu1_1", "relu3_1"):
        for name, picture in (("photograph", found.photo), ("red", red)):
            expected = gram_matrix(objective.vgg(picture, [layer])[layer])[0]
            assert torch.allclose(grams[layer][name], expected, rtol=1e-3, atol=1e-2)
        assert torch.equal(grams[layer]["painting"], objective.get_buffer(f"gram_{layer}"))


def test_the_command_starts_from_noise_and_from_the_photograph(tmp_path, monkeypatch):
    found, whole = [], comparison_run.compare_on_photo

    def kept(*arguments):
        found.append(whole(*arguments))
        return found[-1]

    monkeypatch.setattr(comparison_run, "compare_on_photo", kept)
    shutil.copy(CAT, tmp_path)
    small = ("sizes=[48]", "iterations=1", f"photos={tmp_path}", f"output={tmp_path / 'out'}")
    compare(configuration(*small))
    noise, photo = (found[0].optimizer[start].terms[0] for start in ("noise", "photo"))
    assert photo.content < 1e-3 and photo.tv == pytest.approx(found[0].own.tv, rel=1e-3)
    assert noise.content > 0.5 and noise.tv > 3 * photo.tv


def test_one_of_the_optimizers_pictures_is_without_total_variation(objective):
    red = torch.rand(1, 3, 48, 48)
    found = compare_on_photo(CAT, 48, {"red": lambda photo: red}, objective, {"photo": None}, 2, [2], lambda _: None)
    objective.tv_weight = 20.0
    pictures = comparison_run.deltas_of(found, "red", objective, 12, lambda _: None)
    with_it, without = (pictures[name] for name in ("optimizer", "optimizer without total variation"))
    assert total_variation(with_it) < 0.9 * total_variation(without)
    assert torch.equal(pictures["pastiche (red)"], red) and torch.equal(pictures["photograph"], found.photo)


def test_the_page_and_the_sheet_hold_what_was_measured(compared):
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


def test_the_number_is_recorded_and_told_by_infer(compared, command):
    folder, _ = compared
    with safe_open(folder / "mine.safetensors", "pt") as mine, safe_open(folder / "rival.safetensors", "pt") as theirs:
        facts = json.loads(mine.metadata()["allaprima"])["equivalent_iterations"]
        before = json.loads(theirs.metadata()["allaprima"]).get("equivalent_iterations", {})
        assert all(torch.equal(mine.get_tensor(key), theirs.get_tensor(key)) for key in theirs.keys())  # noqa: SIM118
    assert set(facts) == {"48", "64", *before} and {name: facts[name] for name in before} == before
    assert set(facts["48"]) == {"noise", "photo", "of", "photographs"}
    assert facts["48"]["photographs"] == 2 and facts["48"]["of"] == 6
    result = command("infer.py", f"model={folder / 'mine.safetensors'}", f"input={folder / 'photos/cat.png'}")
    assert f"{facts['64']['photo']:g} from photo at 64 pixels" in result.stdout.replace(" or more", "")


def test_the_command_ends_with_its_number(compared, command):
    folder, _ = compared
    (folder / "photos" / "broken.png").write_text("not a picture")
    result = command("compare.py", "sizes=[32]", "iterations=2", f"photos={folder / 'photos'}", "starts=[photo]")
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"equivalent iterations \d+(\.5)?", result.stdout.splitlines()[-1])
    assert "broken.png" in result.stderr and "2 photographs" in result.stdout


def test_a_network_of_ones_own_painting_is_compared_on_that(tmp_path, compared):
    size = ("style.size=64", f"style.image={CAT}")
    mine = train(settings("train", *SMALL, *size, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=0"))
    small = ("sizes=[32]", "iterations=2", "starts=[photo]", f"photos={compared[0] / 'photos'}", f"output={tmp_path}")
    page = compare(configuration(f"model={mine}", f"style.image={CAT}", *small))
    assert page == tmp_path / "chelsea.html" and "chelsea" in page.read_text()


def test_an_interrupted_comparison_is_shown_and_not_recorded(compared, tmp_path, monkeypatch, capsys):
    whole, begun = comparison_run.compare_on_photo, []

    def interrupted(*arguments):
        if begun:
            raise KeyboardInterrupt
        begun.append(arguments)
        return whole(*arguments)

    monkeypatch.setattr(comparison_run, "compare_on_photo", interrupted)
    shutil.copytree(compared[0] / "photos", tmp_path / "photos")
    shutil.copytree(compared[0] / "out", tmp_path / "out")  # with an earlier comparison's sheet, no photograph
    mine = shutil.copy(TOP / "models/kandinsky.safetensors", tmp_path / "mine.safetensors")
    small = ("sizes=[48]", "iterations=2", f"photos={tmp_path}", f"output={tmp_path / 'out'}", "record=true")
    page = compare(configuration(f"model={mine}", *small))
    assert page.read_text().count("<img") == 7
    told = capsys.readouterr()
    assert "1 of 2 are on the page" in told.out + told.err and "not recorded" in told.out
    assert mine.read_bytes() == (TOP / "models/kandinsky.safetensors").read_bytes()


@pytest.mark.skipif(not shutil.which("chromedriver"), reason="needs Debian's chromium and chromium-driver")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_opens_in_a_browser(compared, width):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.get(compared[1].as_uri())
        images = driver.execute_script("return [...document.images].map(image => image.naturalWidth)")
        assert len(images) == 26 and all(images)
        assert driver.execute_script("return innerWidth") == width
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        assert driver.get_log("browser") == []
    finally:
        driver.quit()


def test_mistakes_are_refused(compared, tmp_path):
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
            compare(configuration(*overrides))
