import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from av.video.reformatter import ColorPrimaries, ColorTrc

from allaprima.errors import FileError
from allaprima.media import video
from allaprima.media.hdr import ToneMapping, is_wide
from allaprima.media.video import is_video, open_video

from ..conftest import make_clip

ONE = 1 << 16  # of a display matrix
COUNT = 10


def pictures_of(path):
    video = open_video(path)
    frames = list(video.frames())
    video.close()
    return [frame.pixels for frame in frames]


def add_picture(output, codec, size, value, pixel_format="yuv420p"):
    """A stream of one gray picture, and its packets."""
    stream = output.add_stream(codec, rate=25)
    stream.width, stream.height = size
    stream.pix_fmt = pixel_format
    frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), value, np.uint8), "rgb24")
    return stream, [*stream.encode(frame), *stream.encode(None)]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("across", "down"), list(itertools.product([1, -1], repeat=2)))
def test_display_matrix(tmp_path, transposed, across, down):
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:16, :24] = 250
    stored[:16, 24:] = 120
    matrix = [0, down, 0, across, 0, 0, 0, 0, 1 << 14] if transposed else [across, 0, 0, 0, down, 0, 0, 0, 1 << 14]
    with av.open(str(tmp_path / "clip.mp4"), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height = 48, 32
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.set_display_matrix([ONE * value if abs(value) == 1 else value << 16 for value in matrix])
        output.mux([*stream.encode(av.VideoFrame.from_ndarray(stored, "rgb24")), *stream.encode(None)])
    video = open_video(tmp_path / "clip.mp4")
    (frame,) = video.frames()
    shown = stored.swapaxes(0, 1) if transposed else stored
    assert np.abs(frame.pixels.astype(float) - shown[::down, ::across]).mean() < 8
    assert video.pixel_aspect == (Fraction(3, 4) if transposed else Fraction(4, 3))
    video.close()


def test_cover_is_no_film(tmp_path):
    with av.open(str(tmp_path / "clip.mp4"), "w") as output:
        cover, picture = add_picture(output, "mjpeg", (320, 240), 250, "yuvj420p")
        cover.disposition = Disposition.attached_pic
        _, film = add_picture(output, "libx264", (96, 64), 90)
        output.mux([*picture, *film])
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        assert sum(bool(stream.disposition & Disposition.attached_pic) for stream in clip.streams.video) == 1
    (pixels,) = pictures_of(tmp_path / "clip.mp4")
    assert pixels.shape == (64, 96, 3) and abs(pixels.mean() - 90) < 4


def test_default_stream(tmp_path):
    with av.open(str(tmp_path / "clip.mkv"), "w") as output:
        _, large = add_picture(output, "libx264", (96, 64), 90)
        meant, film = add_picture(output, "libx264", (64, 48), 30)
        meant.disposition = Disposition.default
        output.mux([*large, *film])
    (pixels,) = pictures_of(tmp_path / "clip.mkv")
    assert pixels.shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp4", "libx264"),
        ("matroska", "libx264"),
        ("webm", "libvpx-vp9"),
        ("avi", "libx264"),
        ("mpegts", "libx264"),
        ("mpeg", "mpeg2video"),
        ("3gp", "h263"),
        ("asf", "wmv2"),
        ("flv", "flv"),
        ("h264", "libx264"),
    ],
)
def test_films_of_any_name(tmp_path, container, codec):
    path = tmp_path / "holiday"
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height = 176, 144
        for number in range(COUNT):
            pixels = np.full((144, 176, 3), 20 * number, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        output.mux(stream.encode(None))
    assert is_video(path)
    video = open_video(path)
    frames = list(video.frames())
    video.close()
    assert [round(frame.pixels.mean() / 20) for frame in frames] == list(range(COUNT))
    times = np.array([float(frame.time * video.time_base) for frame in frames])
    assert np.diff(times) == pytest.approx(0.04, abs=0.002) and 0 <= times[0] < 0.1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nclip.mp4\n#EXT-X-ENDLIST\n"),
        ("list", "ffconcat version 1.0\nfile clip.mp4\n"),
        ("letter.txt", "Dear friend,\n" * 100),
        ("art.ans", "\x1b[31mred\x1b[0m\r\n" * 100),
        ("testsrc", "testsrc=size=64x48"),
    ],
)
def test_lists_and_texts_are_no_films(tmp_path, name, content):
    make_clip(tmp_path / "clip.mp4")
    path = tmp_path / name
    path.write_text(content)
    assert not is_video(path)
    for called in (path, path.rename(path.with_name(f"{name}.mp4"))):
        with pytest.raises(FileError):
            open_video(called)


@pytest.mark.parametrize(
    "name", ["12:30:00.mp4", "concat:clip.mp4", "http:/nowhere/clip.mp4", "data:,clip.mp4", "%d.mp4"]
)
def test_names_are_no_addresses(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    clip = make_clip(tmp_path / "film.mp4")
    path = clip.relative_to(tmp_path).with_name("x").parent / name
    path.parent.mkdir(parents=True, exist_ok=True)
    clip.rename(path)
    assert is_video(path) and len(pictures_of(path)) == 10


def test_missing_address(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "open", lambda *_, **__: pytest.fail("opened"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileError, match="No such file"):
        open_video(Path("http://127.0.0.1/clip.mp4"))


def test_damaged_frames_are_passed_over(tmp_path):
    clip = make_clip(tmp_path / "clip.mkv", 128, 96, sound=False, times=range(0, 4000, 40))
    content = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    for position, size in packets[40:44]:
        content[position + 8 : position + size] = bytes(size - 8)
    clip.write_bytes(content)
    video = open_video(clip)
    times = []
    with pytest.raises(FileError, match="is damaged"):
        for frame in video.frames():
            times.append(frame.time)
    video.close()
    assert 80 <= len(times) < 100 and times[:30] == list(range(0, 1200, 40)) and times[-1] == 3960


@pytest.mark.parametrize("suffix", ["mkv", "flv"])
def test_films_that_are_cut_off(tmp_path, suffix):
    path = make_clip(tmp_path / f"clip.{suffix}", times=range(0, 4000, 40), sound=suffix != "flv")
    assert len(list(open_video(path).frames())) == 100
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    times = []
    with pytest.raises(FileError, match="is damaged: "):
        for frame in open_video(cut).frames():
            times.append(frame.time)
    assert 5 < len(times) < 90


def test_sound_may_be_longer(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "LEAST_MISSING", Fraction(1, 10))
    path = make_clip(tmp_path / "clip.mkv", times=[0])
    assert len(list(open_video(path).frames())) == 1


def code_values(transfer, light):
    """PQ's or HLG's code values, of 1023, of light in candelas a square metre, HLG's of a screen of 1000."""
    if transfer == ColorTrc.SMPTE2084:
        power = (light / 10000) ** (2610 / 16384)
        signal = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    else:
        scene = (light / 1000) ** (1 / 1.2)
        logarithmic = 0.17883277 * np.log(np.maximum(12 * scene, 1) - 0.28466892) + 0.55991073
        signal = np.where(scene <= 1 / 12, np.sqrt(3 * scene), logarithmic)
    return np.round(64 + 876 * signal).astype(np.uint16)


@pytest.mark.parametrize("transfer", [ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67])
def test_light_is_tone_mapped(transfer):
    light = np.array([5, 26, 100, 203, 500, 1000.0])
    pixels = np.full((48, 16 * len(light)), 512, np.uint16)
    pixels[:32] = code_values(transfer, light).repeat(16)
    frame = av.VideoFrame.from_ndarray(pixels, "yuv420p10le")
    frame.colorspace, frame.color_primaries, frame.color_range = 9, ColorPrimaries.BT2020, 1
    frame.color_trc = transfer
    assert is_wide(frame)
    mapped = ToneMapping()(frame, frame.width, frame.height)[16, 8::16].astype(int)
    assert np.ptp(mapped, axis=1).max() <= 2  # gray stays gray
    gray = mapped.mean(1)
    assert (np.diff(gray) > 15).all()  # what is brighter is brighter, clouds before the sun too
    assert 40 < gray[0] < 60 and 150 < gray[3] < 210 and gray[-1] > 235


def test_wide_colors_are_converted(tmp_path):
    color = np.array([0.5, 0.4, 0.3])  # of BT.2020, whose primaries are purer: in BT.709 it is farther from gray
    with av.open(str(tmp_path / "clip.mkv"), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuv420p10le"
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = 9, ColorPrimaries.BT2020, ColorTrc.BT2020_10
        pixels = np.broadcast_to((color * 65535).astype(np.uint16), (48, 64, 3))
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb48le")
        frame = frame.reformat(format="yuv420p10le", dst_colorspace=9, dst_color_range=1)
        output.mux([*stream.encode(frame), *stream.encode(None)])
    (pixels,) = pictures_of(tmp_path / "clip.mkv")
    matrix = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]  # ITU-R BT.2087
    expected = (np.clip(np.array(matrix) @ color**2.4, 0, 1)) ** (1 / 2.4) * 255
    assert pixels[24, 32] == pytest.approx(expected, abs=5)
