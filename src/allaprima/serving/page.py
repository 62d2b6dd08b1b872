"""The page itself: paint a photograph, paint the camera, train for a painting of one's own."""

import contextlib
import functools
import logging
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import numpy as np
from PIL import Image

from allaprima.errors import UserError
from allaprima.inference.brush import AUTO
from allaprima.inference.stylizer import Stylizer
from allaprima.inference.thumbnails import thumbnail
from allaprima.losses.objective import StyleSettings
from allaprima.losses.style import bundled_style
from allaprima.media.bundled import bundled_names
from allaprima.media.images import open_upright
from allaprima.networks.base import BOLDEST, BOLDNESS
from allaprima.networks.files import network_name
from allaprima.serving.answers import Page, without_traceback
from allaprima.serving.watched_training import STEPS_A_MINUTE, Progress, TrainCommand, end_training, train_watched

WAITING = 64  # requests in the queue at most; who comes then is told to come back
LIVE_EVERY = 0.05  # seconds between the camera's frames
# Gradio's own choice, 1920 x 1440, takes longer to send than to paint.
CAMERA = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}}}
BRUSH_CHOICES = [("as the picture asks for", AUTO), ("fine", 1), ("medium", 2), ("wide", 4)]
# Presses what Gradio has for it: who opens the camera's tab wants to be seen, and to record nothing.
START_CAMERA = """() => {
    const camera = document.getElementById("camera");
    camera.querySelector("[title='grant webcam access'] button")?.click();
    const waiting = setInterval(() => {
        const start = camera.querySelector("button:has([title='start recording'])");
        if (start) clearInterval(waiting);
        start?.click();
    }, 100);
    setTimeout(() => clearInterval(waiting), 60_000);
}"""
SIZE = 1024  # pixels on the short side at most
PICTURE_HEIGHT = 440  # of the page
FONTS = {"font": ["system-ui", "sans-serif"], "font_mono": ["monospace"]}  # none that a browser would have to fetch
# Gradio's own colours of these have less contrast than the 4.5 that reading takes (WCAG 2, AA).
CONTRAST = {
    "color_accent": "*primary_600",
    "body_text_color_subdued": "*neutral_600",
    "button_primary_background_fill": "*primary_600",
    "button_primary_background_fill_hover": "*primary_700",
}
# One place for the photograph and for the result. In the browser alone: Gradio makes a component that a function has
# changed anew, without its `preprocess`, see `upload`.
ONE_PLACE = """
    body:not(.painted) :is(#result, #another), body.painted #photograph { display: none }
"""
SHOW_RESULT = "() => document.body.classList.add('painted')"
SHOW_PHOTOGRAPH = """() => {
    document.body.classList.remove("painted");
    document.querySelector("#photograph [aria-label='Remove Image']")?.click();
}"""
DARK = ".dark { --color-accent: var(--primary-400) }"  # for which a theme has no name
KEPT = 3600  # seconds that uploads and results are kept


def upload(sources: list[str], label: str, height: int) -> gr.Image:
    """A place for a picture that a visitor gives, which comes as its file: `open_upright` knows what is a picture."""
    place = gr.Image(sources=sources, type="filepath", label=label, height=height, elem_id=label.lower())
    # Not in a subclass, beside whose source Gradio would write a file. It has checked that the file is an upload.
    place.preprocess = lambda payload: Path(payload.path) if payload and payload.path else None
    return place


def shown(label: str, **options: Any) -> gr.Image:
    """A picture for the visitor to look at and to keep, without Gradio's button that sends it to Hugging Face."""
    return gr.Image(label=label, alt_text=label, interactive=False, buttons=["download", "fullscreen"], **options)


load_stylizer = functools.lru_cache(maxsize=4)(Stylizer.load)


def opened(path: Path | None) -> Image.Image:
    """The picture that a visitor gave. Raises UserError, which the page shows, for what is none."""
    if path is None:
        raise UserError("First give a picture")
    return open_upright(path, name="That file")


def network_of(style: str, trained: dict[str, str], fast: bool = False) -> str:
    """The network of a choice on the page: a bundled one by its name, or of those that this visitor has trained."""
    return trained.get(style) or network_name(style, fast)


def has_choice(style: str, trained: dict[str, str]) -> bool:
    """Whether the network of a choice can paint calmly or boldly."""
    return load_stylizer(network_of(style, trained)).network.levels > 1


def paint(
    photo: Path | None,
    style: str,
    trained: dict[str, str],
    brush: float | str,
    strength: float,
    color: bool,
    boldness: float,
) -> tuple[tuple[Image.Image, Image.Image], str]:
    """The photograph and its stylized image, and what to say of them."""
    image = opened(photo)
    started = time.monotonic()
    bold = boldness if has_choice(style, trained) else None
    painted = load_stylizer(network_of(style, trained))(image, strength, color, SIZE, brush, bold)
    for each in (image, painted):
        # Gradio calls a result by what is in it, and writes it again while another visitor still reads the same.
        each.info["visit"] = secrets.token_hex()
    return (image, painted), f"{image.width} by {image.height} pixels in {time.monotonic() - started:.1f} s"


def paint_again(photo: Path | None, *choice: Any) -> Any:
    """What `paint` gives where there is a photograph; else nothing changes."""
    return paint(photo, *choice) if photo else (gr.skip(), gr.skip())


@functools.cache
def thumbnail_of(network: str) -> Image.Image:
    """A photograph as a network paints it, to choose the painting by."""
    stylizer = Stylizer.load(network, engine="torch")
    return thumbnail(stylizer.network, stylizer.code())


def paint_live(
    frame: np.ndarray | None, style: str, trained: dict[str, str], strength: float, last: float
) -> tuple[np.ndarray | None, str, float]:
    """One frame of the camera, the rate, and when it was."""
    if frame is None:
        return None, "", last
    painted = load_stylizer(network_of(style, trained, fast=True))(frame, strength, size=384, brush=1)
    now = time.monotonic()
    return painted, f"{1 / (now - last):.0f} frames a second" if last else "", now


def train(
    painting: Path | None, minutes: int, trained: dict[str, str], train_command: TrainCommand
) -> Iterator[tuple[Any, ...]]:
    """Train, and show the sheets as they come; at the end the painting is among the choices of this visitor."""
    image = opened(painting)
    name = re.sub(r"\W+", "_", painting.stem, flags=re.ASCII).strip("_")[:40] or "painting"
    run = Path(tempfile.mkdtemp(prefix="training-"))
    unchanged = gr.skip()
    last = None
    try:
        image.save(run / f"{name}.png")
        command = train_command(run / f"{name}.png", minutes * STEPS_A_MINUTE, run)
        with contextlib.closing(train_watched(command, run)) as reports:
            for report in reports:
                # As a picture, which Gradio keeps for a while, since its file is deleted at the end.
                sheet = Image.open(report.sheet) if report.sheet != last else unchanged
                last = report.sheet
                if report.network is None:
                    yield sheet, progress_note(report, minutes * STEPS_A_MINUTE), trained, *(unchanged,) * 4
        network = report.network.replace(run.with_suffix(".safetensors"))
        trained = trained | {f"{name}, trained here": str(network)}
        note = f"{name} is trained: it is the last of the paintings on the other pages"
        styles = gr.Dropdown(choices=choices(trained))
        pictures = gr.Gallery(value=thumbnails(trained))
        yield sheet, note, trained, styles, styles, pictures, pictures
    finally:
        shutil.rmtree(run, ignore_errors=True)


def progress_note(report: Progress, steps: int) -> str:
    """Where training stands, in words."""
    if not report.step:
        return f"starting, {report.seconds:.0f} s"
    left = report.seconds / report.step * (steps - report.step)
    return f"step {report.step} of {steps}, {report.seconds:.0f} s, some {left:.0f} s left"


def choices(trained: Mapping[str, str]) -> list[tuple[str, str]]:
    """Title and name of every bundled painting, and of those that the visitor has trained."""
    bundled = sorted((str(bundled_style(name).painting), name) for name in bundled_names("models/styles"))
    return bundled + [(title, title) for title in trained]


def thumbnails(trained: Mapping[str, str]) -> list[tuple[Image.Image, str]]:
    """A picture and a title for each of `choices`."""
    short = {name: title.partition(" (")[0] for title, name in choices(trained)}  # there is no room for the painter
    return [(thumbnail_of(network_of(name, trained, fast=True)), title) for name, title in short.items()]


def page(train_command: TrainCommand | None) -> gr.Blocks:
    """The page; without `train_command` visitors may not train."""
    with Page(title="Alla Prima", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as blocks:
        gr.Markdown("# Alla Prima\nA photograph in the manner of a painting, computed on the machine that serves this.")
        trained = gr.State({})
        with gr.Tab("Photograph"):
            tabs = [paint_tab(trained)]
        with gr.Tab("Camera") as camera:
            tabs.append(camera_tab(trained))
        camera.select(None, js=START_CAMERA)
        if train_command:
            with gr.Tab("Train"):
                train_tab(trained, tabs, train_command)
    return blocks


class Paintings(NamedTuple):
    """What a visitor chooses a painting by: pictures, which set a name."""

    name: gr.Dropdown
    pictures: gr.Gallery


def paintings(trained: gr.State, columns: int) -> Paintings:
    """Every painting as a picture with its title, in so many columns."""
    name = gr.Dropdown(choices({}), value=StyleSettings().name, label="Painting", visible="hidden")
    first = [each for _, each in choices({})].index(StyleSettings().name)
    pictures = gr.Gallery(
        thumbnails({}),
        label="Paintings",
        columns=columns,
        selected_index=first,
        allow_preview=False,
        object_fit="cover",
        interactive=False,
        buttons=[],
    )

    def chosen(trained: dict[str, str], event: gr.SelectData) -> str:
        return choices(trained)[event.index][1]

    pictures.select(chosen, trained, name, api_visibility="private")
    return Paintings(name, pictures)


def paint_tab(trained: gr.State) -> Paintings:
    """A photograph in, the original and the stylized image under one slider in its place; its choice of paintings."""
    with gr.Row():
        with gr.Column(scale=3):
            photo = upload(["upload", "webcam", "clipboard"], "Photograph", PICTURE_HEIGHT)
            result = gr.ImageSlider(
                label="Photograph and painting",
                format="png",
                interactive=False,
                height=PICTURE_HEIGHT,
                elem_id="result",
            )
            with gr.Row():
                button = gr.Button("Paint", variant="primary")
                other = gr.Button("Another photograph", elem_id="another")
            note = gr.Markdown()
        with gr.Column(scale=2):
            style = paintings(trained, 3)
            boldness = gr.Slider(
                0, BOLDEST, BOLDNESS, step=0.05, label="Calm to bold", visible=has_choice(StyleSettings().name, {})
            )
            strength = gr.Slider(0, 1, 1, step=0.05, label="Strength")
            brush = gr.Radio(BRUSH_CHOICES, value=AUTO, label="Strokes")
            color = gr.Checkbox(label="Keep the photograph's colours")
    asked = [photo, style.name, trained, brush, strength, color, boldness]
    painted = [result, note]
    button.click(paint, asked, painted, concurrency_id="processor").success(None, js=SHOW_RESULT)
    other.click(None, js=SHOW_PHOTOGRAPH)
    style.name.change(
        lambda *choice: gr.Slider(visible=has_choice(*choice)),
        [style.name, trained],
        boldness,
        api_visibility="private",
    )
    for change in (style.name.change, boldness.release, strength.release, brush.input, color.input):
        change(paint_again, asked, painted, concurrency_id="processor", api_visibility="private")
    return style


def camera_tab(trained: gr.State) -> Paintings:
    """The visitor's camera in, its frames painted out; its choice of paintings."""
    with gr.Row():
        options = gr.WebcamOptions(constraints=CAMERA)
        camera = gr.Image(
            sources=["webcam"], streaming=True, type="numpy", label="Camera", webcam_options=options, elem_id="camera"
        )
        with gr.Column():
            result = shown("Painted", format="jpeg")
            rate = gr.Markdown()
    style = paintings(trained, 6)
    strength = gr.Slider(0, 1, 1, step=0.05, label="Strength")
    last = gr.State(0.0)
    camera.stream(
        paint_live,
        [camera, style.name, trained, strength, last],
        [result, rate, last],
        stream_every=LIVE_EVERY,
        concurrency_id="processor",
        show_progress="hidden",
    )
    return style


def train_tab(trained: gr.State, tabs: Sequence[Paintings], train_command: TrainCommand) -> None:
    """A painting in, its sheets as they come out; one training at a time."""
    with gr.Row():
        with gr.Column():
            painting = upload(["upload", "clipboard"], "Painting", PICTURE_HEIGHT)
            minutes = gr.Slider(1, 15, 5, step=1, label="Minutes, about")
            start = gr.Button("Train", variant="primary")
            stop = gr.Button("Stop")
        with gr.Column():
            sheet = shown("Photographs and how they are painted")
            note = gr.Markdown()
    offered = [*(tab.name for tab in tabs), *(tab.pictures for tab in tabs)]
    run = start.click(
        functools.partial(train, train_command=train_command),
        [painting, minutes, trained],
        [sheet, note, trained, *offered],
        api_name="train",
        concurrency_id="training",
        concurrency_limit=1,
    )
    stop.click(None, cancels=[run])


def launch(host: str, port: int, megabytes: int, train_command: TrainCommand | None) -> None:
    """Serve the page, and end with it what is being trained; without `train_command` visitors may not train."""
    blocks = page(train_command).queue(max_size=WAITING, default_concurrency_limit=1)
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(without_traceback)
    try:
        blocks.launch(
            server_name=host,
            server_port=port,
            max_file_size=f"{megabytes}mb",
            share=False,
            quiet=True,
            ssr_mode=False,
            footer_links=[],
            theme=gr.themes.Base(**FONTS).set(**CONTRAST),
            css=DARK + ONE_PLACE,
        )
    finally:
        end_training()
