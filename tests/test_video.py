import functools
import subprocess
import sys
import threading
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from allaprima.commands.infer import paint_files
from allaprima.errors import UserError
from allaprima.inference import clip as clips
from allaprima.inference import live
from allaprima.inference.smoothing import Smoothing
from allaprima.inference.stream import DEPTH, prefetch, write_behind
from allaprima.inference.stylizer import Stylizer
from allaprima.media.camera import Camera
from allaprima.media.video import Video
from allaprima.media.window import Window

from .conftest import TIMES, make_clip, settings

configuration = functools.partial(settings, "infer")


def seen(path):
    """Times in seconds, upright pictures, size and rotation as stored, packets of sound."""
    video = Video(path)
    frames = list(video.frames())
    times = [float(frame.time * video.stream.time_base) for frame in frames]
    stored = (video.stream.width, video.stream.height, video.rotation)
    with av.open(str(path)) as again:
        sound = [bytes(packet) for packet in again.demux(audio=0) if packet.size] if again.streams.audio else []
    video.close()
    return times, [frame.pixels for frame in frames], stored, sound


def paint(*overrides):
    return paint_files(configuration(*overrides))


@pytest.mark.parametrize(("width", "height"), [(50, 34), (51, 35)])
@pytest.mark.parametrize("rotation", [0, 90, 180])
def test_a_clip_comes_back_with_its_frames_times_size_rotation_and_sound(tmp_path, width, height, rotation):
    clip = make_clip(tmp_path / "clip.mp4", width, height, rotation)
    (written,) = paint(f"input={clip}", f"output={tmp_path / 'painted.mp4'}", "strength=0")
    before, after = seen(clip), seen(written)
    assert after[0] == pytest.approx(before[0], abs=1e-3) and len(after[0]) == len(TIMES)
    assert after[2] == before[2] == (width, height, rotation)
    assert after[3] == before[3] != []
    for mine, theirs in zip(after[1], before[1], strict=True):
        assert mine.shape == theirs.shape == ((height, width, 3) if rotation in (0, 180) else (width, height, 3))
        assert np.abs(mine.astype(float) - theirs).mean() < 8
    assert not list(tmp_path.glob(".allaprima-*"))


def test_every_frame_is_painted_upright_as_a_picture_is(tmp_path):
    clip = make_clip(tmp_path / "clip.mkv", 64, 48, rotation=90)
    (written,) = paint(f"input={clip}", f"output={tmp_path}", "engine=torch", "fast=true")
    assert written.name == "clip_kandinsky.mkv"
    stylizer = Stylizer.load("kandinsky_realtime", engine="torch")
    for photo, pastiche in zip(seen(clip)[1], seen(written)[1], strict=True):
        assert np.abs(stylizer(photo).astype(float) - pastiche).mean() < 12
        assert np.abs(photo.astype(float) - pastiche).mean() > 20


@pytest.mark.parametrize("codec", ["mpeg4", "libvpx-vp9"])
def test_a_clip_of_another_kind_becomes_an_mp4(tmp_path, codec):
    name = "clip.avi" if codec == "mpeg4" else "clip.webm"
    clip = make_clip(tmp_path / name, codec=codec, sound=False)
    (written,) = paint(f"input={clip}", f"output={tmp_path / 'out'}", "strength=0")
    assert written.name == "clip_kandinsky.mp4" and len(seen(written)[0]) == len(seen(clip)[0])


def test_colours_and_the_shape_of_pixels_are_kept_and_said(tmp_path):
    color = np.array([220, 40, 30])
    with av.open(str(tmp_path / "clip.mp4"), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), color, np.uint8), "rgb24")
        output.mux([*stream.encode(frame), *stream.encode(None)])
    (written,) = paint(f"input={tmp_path / 'clip.mp4'}", f"output={tmp_path / 'painted.mp4'}", "strength=0")
    with av.open(str(written)) as painted:
        (frame,) = painted.decode(video=0)
        assert painted.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
    assert frame.colorspace == Colorspace.ITU709 and frame.color_range == ColorRange.MPEG
    luma = 16 + 219 / 255 * np.dot([0.2126, 0.7152, 0.0722], color)  # ITU-R BT.709
    assert frame.to_ndarray()[:48].mean() == pytest.approx(luma, abs=2)


def test_a_clip_that_changes_its_size_is_painted_at_the_first(tmp_path):
    with av.open(str(tmp_path / "clip.mkv"), "w") as output:
        stream = output.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for second, (width, height) in enumerate([(160, 120), (320, 240)]):
            encoder = av.CodecContext.create("libvpx", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
            encoder.time_base = Fraction(1, 25)
            for number in range(3):
                frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 90, np.uint8), "rgb24")
                frame.pts = 25 * second + number
                packets = encoder.encode(frame) + (encoder.encode(None) if number == 2 else [])
                for packet in packets:
                    packet.stream = stream
                    output.mux(packet)
    with av.open(str(tmp_path / "clip.mkv")) as clip:
        assert [frame.width for frame in clip.decode(video=0)] == [160] * 3 + [320] * 3
    (written,) = paint(f"input={tmp_path / 'clip.mkv'}", f"output={tmp_path / 'painted.mp4'}", "strength=0")
    assert [picture.shape for picture in seen(written)[1]] == [(120, 160, 3)] * 6


def test_what_is_no_video_is_told_in_one_line(refused, tmp_path):
    clip = make_clip(tmp_path / "clip.mp4")
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "empty.mp4").touch()
    with av.open(str(tmp_path / "sound.mkv"), "w") as output:
        tone = output.add_stream("aac", rate=16000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.int16), "s16", "mono")
        samples.sample_rate = 16000
        output.mux(tone.encode(samples))
        output.mux(tone.encode(None))
    for name in ("text.mp4", "empty.mp4", "sound.mkv", "missing.mp4"):
        refused(["infer.py", f"input={name}", "output=painted"], name)
    refused(["infer.py", f"input={clip}", "output=painted.png"], "videos are written as .mp4")
    refused(["infer.py", f"input={clip}", f"output={clip}"], "would be overwritten")
    refused(["infer.py", f"input={clip}", "model=udnie", "fast=true"], "leave out model=")
    assert not (tmp_path / "painted").exists() or not list((tmp_path / "painted").iterdir())


def test_a_clip_that_is_cut_off_leaves_one_line_and_no_file(tmp_path, capsys):
    whole = make_clip(tmp_path / "clip.mkv", 128, 96, times=range(0, 4000, 40))
    whole.write_bytes(whole.read_bytes()[:300])
    with pytest.raises(UserError):
        paint(f"input={whole}", f"output={tmp_path / 'out'}")
    assert not list(tmp_path.glob("out/*"))


def test_a_sound_that_has_no_room_in_a_file_is_told_and_fits_another(tmp_path):
    with av.open(str(tmp_path / "clip.mkv"), "w") as output:
        pictures, tone = output.add_stream("libx264", rate=25), output.add_stream("flac", rate=16000, layout="mono")
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            output.mux(pictures.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        output.mux(pictures.encode(None))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), "s16", "mono")
        samples.sample_rate, samples.pts = 16000, 0
        output.mux([*tone.encode(samples), *tone.encode(None)])
    with pytest.raises(UserError, match=r"give output=NAME\.mkv"):
        paint(f"input={tmp_path / 'clip.mkv'}", f"output={tmp_path / 'painted.mov'}")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mkv"]
    (written,) = paint(f"input={tmp_path / 'clip.mkv'}", f"output={tmp_path / 'painted.mkv'}")
    assert seen(written)[3] == seen(tmp_path / "clip.mkv")[3] != []


def test_ctrl_c_leaves_a_video_that_can_be_played(tmp_path, monkeypatch):
    clip = make_clip(tmp_path / "clip.mp4")
    paint_one, calls = Stylizer.__call__, []

    def interrupted(self, *arguments, **options):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return paint_one(self, *arguments, **options)

    monkeypatch.setattr(Stylizer, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        paint(f"input={clip}", f"output={tmp_path / 'painted.mp4'}")
    assert 1 <= len(seen(tmp_path / "painted.mp4")[0]) <= 5
    calls[:] = [1] * 5
    with pytest.raises(KeyboardInterrupt):
        paint(f"input={clip}", f"output={tmp_path / 'nothing.mp4'}")
    assert not list(tmp_path.glob("nothing*")) and not list(tmp_path.glob(".allaprima-*"))


PEAK = """
import sys
from pathlib import Path
from allaprima.inference.clip import paint_clip

paint_clip(lambda frame: frame, Path(sys.argv[1]), Path(sys.argv[2]), 0.75, {})
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(peak)
"""


def test_memory_does_not_grow_with_the_clip(tmp_path):
    def peak(count):
        clip = make_clip(tmp_path / f"{count}.mp4", 320, 240, sound=False, times=range(0, 40 * count, 40))
        command = [sys.executable, "-c", PEAK, clip, tmp_path / "painted.mp4"]
        return int(subprocess.run(command, capture_output=True, check=True).stdout) / 1024

    assert peak(1000) < peak(100) + 50  # MB; the frames between have 200


def test_an_error_while_writing_leaves_no_file(tmp_path, monkeypatch):
    clip = make_clip(tmp_path / "clip.mp4")

    class Full(clips.Recording):
        def write(self, frame):
            raise ArithmeticError

    monkeypatch.setattr(clips, "Recording", Full)
    with pytest.raises(ArithmeticError):
        paint(f"input={clip}", f"output={tmp_path / 'painted.mp4'}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4"]


def test_frames_are_made_ahead_and_used_behind_but_no_more_than_so_many():
    made, used, gate = [], [], threading.Semaphore(0)

    def source():
        for number in range(40):
            made.append(number)
            yield number

    def use(number):
        gate.acquire()
        used.append(number)

    for taken, _ in enumerate(write_behind(use, prefetch(source())), 1):
        assert len(made) <= taken + DEPTH + 1
        assert taken - len(used) <= DEPTH + 2
        gate.release()
    assert used == made == list(range(40))


def test_an_error_in_a_thread_comes_out():
    def source():
        yield 1
        raise UserError("broken")

    with pytest.raises(UserError, match="broken"):
        list(prefetch(source()))
    with pytest.raises(ZeroDivisionError):
        list(write_behind(lambda number: 1 / number, [1, 0, 1]))


def moving(count, step=2, noise=20):
    """Frames of a pan, and beside each a stylized image that flickers."""
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.random((150, 260, 3)), (0, 0), 3)
    scene = (255 * (scene - scene.min()) / np.ptp(scene)).astype(np.uint8)
    for number in range(count):
        frame = np.ascontiguousarray(scene[number : number + 120, step * number : step * number + 200])
        yield frame, np.clip(frame + rng.normal(0, noise, frame.shape), 0, 255).astype(np.uint8)


def test_smoothing_follows_the_picture_and_halves_the_flicker():
    smoothing = Smoothing(0.6)
    for frame, painted in moving(10):
        smoothed = smoothing(frame, painted)
    assert smoothed.shape == frame.shape and smoothed.dtype == np.uint8
    # Of a running mean that takes over 0.6 of the one before, sqrt(0.4 / 1.6) of the noise is left.
    left = (smoothed.astype(float) - frame).std() / (painted.astype(float) - frame).std()
    assert left == pytest.approx(0.5, abs=0.06)


def test_smoothing_shows_a_cut_at_once():
    smoothing = Smoothing(0.9)
    (frame, painted), _ = moving(2)
    smoothing(frame, painted)
    after = 255 - painted
    assert np.abs(smoothing(255 - frame, after).astype(float) - after).mean() < 5


@pytest.mark.parametrize("shape", [(48, 800), (800, 16), (9, 9)])
def test_thin_pictures_are_not_smoothed(shape):
    smoothing = Smoothing(0.9)
    for brightness in (100, 110):
        painted = np.full((*shape, 3), brightness, np.uint8)
        assert np.array_equal(smoothing(painted, painted), painted)


def test_without_smoothing_frames_stay_as_they_are():
    smoothing = Smoothing(0)
    assert all(np.array_equal(smoothing(frame, painted), painted) for frame, painted in moving(3))


class FileCamera(Camera):
    """A camera that films a clip, as fast as it can be read."""

    clip = None

    def __init__(self, number):
        with pytest.MonkeyPatch.context() as patch:
            capture = cv2.VideoCapture
            patch.setattr(cv2, "VideoCapture", lambda _: capture(str(self.clip)))
            super().__init__(number)


@pytest.fixture
def camera(tmp_path, monkeypatch):
    FileCamera.clip = make_clip(tmp_path / "clip.mp4", 64, 48, sound=False)
    monkeypatch.setattr(live, "Camera", FileCamera)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


def test_a_camera_is_recorded_where_there_is_no_screen(tmp_path, camera):
    (written,) = paint("input=camera:0", f"output={tmp_path / 'painted.mp4'}", "strength=0", "smooth=0")
    times, pictures, _, _ = seen(written)
    assert 1 <= len(times) <= len(TIMES) and times == sorted(set(times))
    last = seen(FileCamera.clip)[1][-1]  # frames that come while one is painted are passed over, but for the newest
    assert np.abs(pictures[-1].astype(float) - last).mean() < 8
    assert not list(tmp_path.glob(".allaprima-*"))


def test_a_camera_is_shown_until_the_window_is_closed(monkeypatch, camera):
    shown = []

    class Screen(Window):
        def __init__(self, title):
            self.title = title

        def show(self, picture, note):
            shown.append(picture)
            return False

        def close(self):
            shown.append("closed")

    monkeypatch.setattr(live, "Window", Screen)
    assert paint("input=camera:0", "fast=true") == []
    assert len(shown) == 2 and shown[0].shape == (48, 64, 3) and shown[1] == "closed"


def test_a_screen_that_is_named_but_not_there_is_told_in_one_line(refused, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":987")
    refused(["infer.py", "input=camera:77"], "no screen")


def test_a_camera_that_cannot_be_is_told_in_one_line(refused, tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    for output, words in (("painted", "no screen"), ("painted.mp4", "no camera 77"), ("painted.png", ".mp4")):
        refused(["infer.py", "input=camera:77", f"output={tmp_path / output}"], words)
    refused(["infer.py", "input=[camera:0,photo.jpg]"], "alone")
    refused(["infer.py", "input=camera:0", "style=all"], "one painting")
    assert not list(tmp_path.iterdir())
