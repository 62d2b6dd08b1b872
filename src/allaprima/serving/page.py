"""The page itself: paint a photograph, paint the camera, train for a painting of one's own."""

import contextlib
import functools
import logging
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from allaprima.errors import UserError
from allaprima.inference.brush import AUTO
from allaprima.inference.stylizer import Stylizer
from allaprima.losses.objective import StyleSettings
from allaprima.losses.style import bundled_style
from allaprima.media.bundled import bundled_names
from allaprima.media.images import open_upright
from allaprima.networks.base import BOLDEST, BOLDNESS
from allaprima.networks.files import network_name
from allaprima.serving.answers import Page, without_traceback
from allaprima.serving.watched_training import STEPS_A_MINUTE, TrainCommand, end_training, train_watched

WAITING = 64  # requests in the queue at most; who comes then is told to come back
LIVE_EVERY = 0.05  # seconds between the camera's frames
# Gradio's own choice, 1920 x 1440, takes longer to send than to paint.
CAMERA = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}}}
BRUSH_CHOICES = [("as the picture asks for", AUTO), ("fine", 1), ("medium", 2), ("wide", 4)]
SIZE = 1024  # pixels on the short side at most
FONTS = {"font": ["system-ui", "sans-serif"], "font_mono": ["monospace"]}  # none that a browser would have to fetch
# Gradio's own colours of these have less contrast than the 4.5 that reading takes (WCAG 2, AA).
CONTRAST = {
    "color_accent": "*primary_600",
    "body_text_color_subdued": "*neutral_600",
    "button_primary_background_fill": "*primary_600",
    "button_primary_background_fill_hover": "*primary_700",
}
DARK = ".dark { --color-accent: var(--primary-400) }"  # for which a theme has no name
KEPT = 3600  # seconds that uploads and results are kept


def upload(sources: list[str], label: str) -> gr.Image:
    """A place for a picture that a visitor gives, which comes as its file: `open_upright` knows what is a picture."""
    place = gr.Image(sources=sources, type="filepath", label=label)
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
) -> Iterator[tuple[Any, str, dict[str, str], Any, Any]]:
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
                    yield sheet, f"training for {report.seconds:.0f} s", trained, unchanged, unchanged
        network = report.network.replace(run.with_suffix(".safetensors"))
        trained = trained | {f"{name}, trained here": str(network)}
        styles = gr.Dropdown(choices=[*choices(), *((title, title) for title in trained)])
        note = f"{name} is trained: it is the last of the paintings on the other pages"
        yield sheet, note, trained, styles, styles
    finally:
        shutil.rmtree(run, ignore_errors=True)


def choices() -> list[tuple[str, str]]:
    """Title and name of every bundled painting."""
    return sorted((str(bundled_style(name).painting), name) for name in bundled_names("models/styles"))


def page(train_command: TrainCommand | None) -> gr.Blocks:
    """The page; without `train_command` visitors may not train."""
    with Page(title="Alla Prima", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as blocks:
        gr.Markdown("# Alla Prima\nA photograph in the manner of a painting, computed on the machine that serves this.")
        trained = gr.State({})
        with gr.Tab("Photograph"):
            style = paint_tab(trained)
        with gr.Tab("Camera"):
            live_style = camera_tab(trained)
        if train_command:
            with gr.Tab("Train"):
                train_tab(trained, style, live_style, train_command)
    return blocks


def paint_tab(trained: gr.State) -> gr.Dropdown:
    """A photograph in, the original and the stylized image under one slider out; its choice of paintings."""
    with gr.Row():
        with gr.Column():
            photo = upload(["upload", "webcam", "clipboard"], "Photograph")
            style = gr.Dropdown(choices(), value=StyleSettings().name, label="Painting")
            brush = gr.Radio(BRUSH_CHOICES, value=AUTO, label="Brush")
            boldness = gr.Slider(
                0, BOLDEST, BOLDNESS, step=0.05, label="Calm to bold", visible=has_choice(StyleSettings().name, {})
            )
            strength = gr.Slider(0, 1, 1, step=0.05, label="Strength")
            color = gr.Checkbox(label="Keep the photograph's colours")
            button = gr.Button("Paint", variant="primary")
        with gr.Column():
            result = gr.ImageSlider(label="Photograph and painting", format="png", interactive=False)
            note = gr.Markdown()
    asked = [photo, style, trained, brush, strength, color, boldness]
    button.click(paint, asked, [result, note], concurrency_id="processor")
    boldness.release(paint, asked, [result, note], concurrency_id="processor")
    style.change(lambda *choice: gr.Slider(visible=has_choice(*choice)), [style, trained], boldness)
    return style


def camera_tab(trained: gr.State) -> gr.Dropdown:
    """The visitor's camera in, its frames painted out; its choice of paintings."""
    with gr.Row():
        options = gr.WebcamOptions(constraints=CAMERA)
        camera = gr.Image(sources=["webcam"], streaming=True, type="numpy", label="Camera", webcam_options=options)
        with gr.Column():
            result = shown("Painted", format="jpeg")
            rate = gr.Markdown()
    style = gr.Dropdown(choices(), value=StyleSettings().name, label="Painting")
    strength = gr.Slider(0, 1, 1, step=0.05, label="Strength")
    last = gr.State(0.0)
    camera.stream(
        paint_live,
        [camera, style, trained, strength, last],
        [result, rate, last],
        stream_every=LIVE_EVERY,
        concurrency_id="processor",
        show_progress="hidden",
    )
    return style


def train_tab(trained: gr.State, style: gr.Dropdown, live_style: gr.Dropdown, train_command: TrainCommand) -> None:
    """A painting in, its sheets as they come out; one training at a time."""
    with gr.Row():
        with gr.Column():
            painting = upload(["upload", "clipboard"], "Painting")
            minutes = gr.Slider(1, 15, 5, step=1, label="Minutes, about")
            start = gr.Button("Train", variant="primary")
            stop = gr.Button("Stop")
        with gr.Column():
            sheet = shown("Photographs and how they are painted")
            note = gr.Markdown()
    run = start.click(
        functools.partial(train, train_command=train_command),
        [painting, minutes, trained],
        [sheet, note, trained, style, live_style],
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
            css=DARK,
        )
    finally:
        end_training()
