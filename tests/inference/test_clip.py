import os
import signal
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

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
    assert after[2] == before[2] != []
    for mine, theirs in zip(after[1], before[1], strict=True):
        assert theirs.shape == ((height, width, 3) if rotation in (0, 180) else (width, height, 3))
        # Colours at half the size need even sides: an odd one ends twice.
        assert mine.shape == (theirs.shape[0] + theirs.shape[0] % 2, theirs.shape[1] + theirs.shape[1] % 2, 3)
        assert np.abs(mine[: theirs.shape[0], : theirs.shape[1]].astype(float) - theirs).mean() < 8
    with av.open(str(written)) as file:
        assert file.streams.video[0].pix_fmt == "yuv420p" and not next(file.decode(video=0)).rotation
    assert not list(tmp_path.glob(".allaprima-*"))


def test_frames_are_painted(tmp_path):
    clip = make_clip(tmp_path / "clip.mkv", 64, 48, rotation=90)
    (written,) = paint(f"input={clip}", f"output={tmp_path}", "engine=torch", "fast=true")
    assert written.name == "clip_kandinsky.mkv"
    stylizer = Stylizer.load("kandinsky_realtime", engine="torch")
    for photo, pastiche in zip(read_clip(clip)[1], read_clip(written)[1], strict=True):
        assert np.abs(stylizer(photo, brush=1).astype(float) - pastiche).mean() < 12
        assert np.abs(photo.astype(float) - pastiche).mean() > 20


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
    refused(["infer.py", f"input={clip}", "output=painted.jpg"], "videos are written as .mp4")
    refused(["infer.py", f"input={clip}", f"output={clip}"], "would be overwritten")
    refused(["infer.py", f"input={clip}", "model=udnie", "fast=true"], "leave out model=")
    assert not (tmp_path / "painted").exists() or not list((tmp_path / "painted").iterdir())


def test_truncated_video(tmp_path, capsys):
    clip = make_clip(tmp_path / "clip.mkv", 128, 96, times=range(0, 4000, 40))
    clip.write_bytes(clip.read_bytes()[:300])
    with pytest.raises(UserError):
        paint(f"input={clip}", f"output={tmp_path / 'out'}")
    assert not list(tmp_path.glob("out/*"))


def test_what_is_left_is_said(tmp_path, capsys):
    clip = make_clip(tmp_path / "clip.mp4")
    paint(f"input={clip}", f"output={tmp_path / 'painted.gif'}", "strength=0")
    assert "painted.gif has no room for sound (aac): give output=NAME.mkv to keep it\n" in capsys.readouterr().err


def test_damaged_video_keeps_what_can_be_read(tmp_path):
    clip = make_clip(tmp_path / "clip.mkv", 128, 96, sound=False, times=range(0, 1200, 40))
    content = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    for position, size in packets[20:24]:
        content[position + 8 : position + size] = bytes(size - 8)
    clip.write_bytes(content)
    with pytest.raises(UserError, match=r"is damaged: .*painted\.mp4 has the 2\d frames that can be read"):
        paint(f"input={clip}", f"output={tmp_path / 'painted.mp4'}", "strength=0")
    assert 20 <= len(read_clip(tmp_path / "painted.mp4")[0]) < 30


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_stay_animations(tmp_path, suffix):
    pictures = [Image.new("RGB", (40, 30), (60 * number, 90, 90)) for number in range(3)]
    pictures[0].save(tmp_path / f"clip{suffix}", save_all=True, append_images=pictures[1:], duration=[50, 50, 100])
    (written,) = paint(f"input={tmp_path / f'clip{suffix}'}", f"output={tmp_path}", "strength=0")
    assert written.name == f"clip_kandinsky{suffix}" and Image.open(written).n_frames == 3


def test_numbered_sequence(tmp_path):
    for number in range(3):
        Image.new("RGB", (40, 30), (60 * number, 90, 90)).save(tmp_path / f"frame_{number:04d}.png")
    (written,) = paint(f"input={tmp_path}/frame_%04d.png", f"output={tmp_path / 'out'}", "strength=0")
    assert written.name == "frame_kandinsky.mp4" and read_clip(written)[0] == pytest.approx([0, 0.04, 0.08])


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
    with pytest.raises(KeyboardInterrupt, match=r"painted\.mp4 has what was painted so far"):
        paint(f"input={clip}", f"output={tmp_path / 'painted.mp4'}")
    assert 1 <= len(read_clip(tmp_path / "painted.mp4")[0]) <= 5
    calls[:] = [1] * 5
    with pytest.raises(KeyboardInterrupt):
        paint(f"input={clip}", f"output={tmp_path / 'nothing.mp4'}")
    assert not list(tmp_path.glob("nothing*")) and not list(tmp_path.glob(".allaprima-*"))


@pytest.mark.parametrize("moment", ["tqdm", "prefetch", "write_behind"])
def test_interrupted_as_it_begins(tmp_path, monkeypatch, moment):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(clips, moment, interrupted)
    with pytest.raises(KeyboardInterrupt):
        paint(f"input={make_clip(tmp_path / 'clip.mp4')}", f"output={tmp_path / 'painted.mp4'}")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


SLOW = """
import sys, time
from allaprima.cli import run
from allaprima.inference.stylizer import Stylizer, Stylized

def paint(self, image, **options):
    time.sleep(0.05)
    print("painted", flush=True)
    return Stylized(image, "none")

Stylizer.paint = paint
run("infer", sys.argv[1:])
"""


def test_terminated_video_is_playable(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", times=range(0, 40000, 40))
    output = tmp_path / "painted.mp4"
    command = [sys.executable, "-c", SLOW, f"input={clip}", f"output={output}", "engine=torch"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        for _ in range(12):
            process.stdout.readline()
        os.killpg(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors
    assert errors.splitlines()[-1] == f"interrupted: {output} has what was painted so far"
    assert 5 <= len(read_clip(output)[0]) < 1000 and not list(tmp_path.glob(".allaprima-*"))


PROGRAM = """
import sys
from pathlib import Path
from types import SimpleNamespace
from allaprima.inference.clip import paint_clip

unchanged = SimpleNamespace(paint=lambda frame: (frame, "none"))
paint_clip(unchanged, Path(sys.argv[1]), Path(sys.argv[2]), 0.75, lambda frame: {})
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
