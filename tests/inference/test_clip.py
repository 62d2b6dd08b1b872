import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from allaprima.errors import UserError
from allaprima.inference import clip as clips
from allaprima.inference.stylizer import Stylizer

from ..conftest import TIMES, make_clip, paint
from .conftest import read_clip


@pytest.mark.parametrize(("width", "height"), [(50, 34), (51, 35)])
@pytest.mark.parametrize("rotation", [0, 90, 180])
def test_clip_properties_are_kept(tmp_path, width, height, rotation):
    clip = make_clip(tmp_path / "clip.mp4", width, height, rotation)
    (written,) = paint(f"input={clip}", f"output={tmp_path / 'painted.mp4'}", "strength=0")
    before, after = read_clip(clip), read_clip(written)
    assert after[0] == pytest.approx(before[0], abs=1e-3) and len(after[0]) == len(TIMES)
    assert after[2] == before[2] == (width, height, rotation)
    assert after[3] == before[3] != []
    for mine, theirs in zip(after[1], before[1], strict=True):
        assert mine.shape == theirs.shape == ((height, width, 3) if rotation in (0, 180) else (width, height, 3))
        assert np.abs(mine.astype(float) - theirs).mean() < 8
    assert not list(tmp_path.glob(".allaprima-*"))


def test_frames_are_painted(tmp_path):
    clip = make_clip(tmp_path / "clip.mkv", 64, 48, rotation=90)
    (written,) = paint(f"input={clip}", f"output={tmp_path}", "engine=torch", "fast=true")
    assert written.name == "clip_kandinsky.mkv"
    stylizer = Stylizer.load("kandinsky_realtime", engine="torch")
    for photo, pastiche in zip(read_clip(clip)[1], read_clip(written)[1], strict=True):
        assert np.abs(stylizer(photo).astype(float) - pastiche).mean() < 12
        assert np.abs(photo.astype(float) - pastiche).mean() > 20


@pytest.mark.parametrize("codec", ["mpeg4", "libvpx-vp9"])
def test_other_formats_become_mp4(tmp_path, codec):
    name = "clip.avi" if codec == "mpeg4" else "clip.webm"
    clip = make_clip(tmp_path / name, codec=codec, sound=False)
    (written,) = paint(f"input={clip}", f"output={tmp_path / 'out'}", "strength=0")
    assert written.name == "clip_kandinsky.mp4" and len(read_clip(written)[0]) == len(read_clip(clip)[0])


def test_colors_and_aspect_ratio(tmp_path):
    color = np.array([220, 40, 30])
    with av.open(str(tmp_path / "clip.mp4"), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), color, np.uint8), "rgb24")
        output.mux([*stream.encode(frame), *stream.encode(None)])
    (written,) = paint(f"input={tmp_path / 'clip.mp4'}", f"output={tmp_path / 'painted.mp4'}", "strength=0")
    with av.open(str(written)) as painted:
        (written_frame,) = painted.decode(video=0)
        assert painted.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
    assert written_frame.colorspace == Colorspace.ITU709 and written_frame.color_range == ColorRange.MPEG
    luma = 16 + 219 / 255 * np.dot([0.2126, 0.7152, 0.0722], color)  # ITU-R BT.709
    assert written_frame.to_ndarray()[:48].mean() == pytest.approx(luma, abs=2)


def test_changing_size(tmp_path):
    with av.open(str(tmp_path / "clip.mkv"), "w") as output:
        stream = output.add_stream("libvpx", rate=25)
        stream.width, stream.height = 160, 120
        stream.pix_fmt = "yuv420p"
        for second, (width, height) in enumerate([(160, 120), (320, 240)]):
            encoder = av.CodecContext.create("libvpx", "w")
            encoder.width, encoder.height = width, height
            encoder.pix_fmt = "yuv420p"
            encoder.time_base = Fraction(1, 25)
            for number in range(3):
                frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 90, np.uint8), "rgb24")
                frame.pts = 25 * second + number
                packets = encoder.encode(frame) + (encoder.encode(None) if number == 2 else [])
                for packet in packets:
                    packet.stream = stream
                    output.mux(packet)
    with av.open(str(tmp_path / "clip.mkv")) as changing:
        assert [frame.width for frame in changing.decode(video=0)] == [160] * 3 + [320] * 3
    (written,) = paint(f"input={tmp_path / 'clip.mkv'}", f"output={tmp_path / 'painted.mp4'}", "strength=0")
    assert [picture.shape for picture in read_clip(written)[1]] == [(120, 160, 3)] * 6


def test_invalid_videos_are_refused(refused, tmp_path):
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


def test_truncated_video(tmp_path, capsys):
    clip = make_clip(tmp_path / "clip.mkv", 128, 96, times=range(0, 4000, 40))
    clip.write_bytes(clip.read_bytes()[:300])
    with pytest.raises(UserError):
        paint(f"input={clip}", f"output={tmp_path / 'out'}")
    assert not list(tmp_path.glob("out/*"))


def test_unsupported_sound(tmp_path):
    with av.open(str(tmp_path / "clip.mkv"), "w") as output:
        pictures = output.add_stream("libx264", rate=25)
        pictures.width, pictures.height = 64, 48
        pictures.pix_fmt = "yuv420p"
        tone = output.add_stream("flac", rate=16000, layout="mono")
        for _ in range(5):
            output.mux(pictures.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        output.mux(pictures.encode(None))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), "s16", "mono")
        samples.sample_rate = 16000
        samples.pts = 0
        output.mux([*tone.encode(samples), *tone.encode(None)])
    with pytest.raises(UserError, match=r"give output=NAME\.mkv"):
        paint(f"input={tmp_path / 'clip.mkv'}", f"output={tmp_path / 'painted.mov'}")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mkv"]
    (written,) = paint(f"input={tmp_path / 'clip.mkv'}", f"output={tmp_path / 'painted.mkv'}")
    assert read_clip(written)[3] == read_clip(tmp_path / "clip.mkv")[3] != []


def test_interrupted_video_is_playable(tmp_path, monkeypatch):
    clip = make_clip(tmp_path / "clip.mp4")
    paint_one = Stylizer.paint
    calls = []

    def interrupted(self, *arguments, **options):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return paint_one(self, *arguments, **options)

    monkeypatch.setattr(Stylizer, "paint", interrupted)
    with pytest.raises(KeyboardInterrupt):
        paint(f"input={clip}", f"output={tmp_path / 'painted.mp4'}")
    assert 1 <= len(read_clip(tmp_path / "painted.mp4")[0]) <= 5
    calls[:] = [1] * 5
    with pytest.raises(KeyboardInterrupt):
        paint(f"input={clip}", f"output={tmp_path / 'nothing.mp4'}")
    assert not list(tmp_path.glob("nothing*")) and not list(tmp_path.glob(".allaprima-*"))


PROGRAM = """
import sys
from pathlib import Path
from types import SimpleNamespace
from allaprima.inference.clip import paint_clip

unchanged = SimpleNamespace(paint=lambda frame: (frame, "none"))
paint_clip(unchanged, Path(sys.argv[1]), Path(sys.argv[2]), 0.75)
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(peak)
"""


def test_memory_is_constant(tmp_path):
    def peak(count):
        clip = make_clip(tmp_path / f"{count}.mp4", 320, 240, sound=False, times=range(0, 40 * count, 40))
        command = [sys.executable, "-c", PROGRAM, clip, tmp_path / "painted.mp4"]
        return int(subprocess.run(command, capture_output=True, check=True).stdout) / 1024

    assert peak(1000) < peak(100) + 50  # MB; the frames between have 200


def test_failed_write_leaves_no_file(tmp_path, monkeypatch):
    clip = make_clip(tmp_path / "clip.mp4")

    class Full(clips.Recording):
        def write(self, frame):
            raise ArithmeticError

    monkeypatch.setattr(clips, "Recording", Full)
    with pytest.raises(ArithmeticError):
        paint(f"input={clip}", f"output={tmp_path / 'painted.mp4'}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4"]
