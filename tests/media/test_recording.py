import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from allaprima.errors import FileError
from allaprima.media.frame import Frame
from allaprima.media.recording import Recording
from allaprima.media.video import open_video

from ..conftest import make_clip

TIMES = (0, 40, 80, 200, 240)
SUBTITLES = "1\n00:00:00,000 --> 00:00:00,300\nGood morning\n\n"


def copied(source, target):
    """A video written anew; what there was no room for."""
    video = open_video(source)
    with Recording.of(video, target) as recording:
        for frame in video.frames():
            recording.write(frame)
        recording.finish()
    video.close()
    return recording.left


def make_transparent(path):
    with Recording(path, 25, Fraction(1, 1000), transparent=True) as recording:
        for number, time in enumerate(TIMES):
            alpha = np.zeros((48, 64, 1), np.uint8)
            alpha[:, :32] = 255
            alpha[24:, 32:] = 128
            pixels = np.full((48, 64, 3), (200, 60, 20), np.uint8)
            pixels[40:, 4 * number : 4 * number + 4] = 0  # WebP takes frames that are all the same for one
            recording.write(Frame(pixels, time, alpha))
        recording.finish()
    return path


@pytest.mark.parametrize("suffix", [".webm", ".mkv", ".mov", ".png", ".webp", ".gif"])
def test_alpha_is_kept(tmp_path, suffix):
    path = make_transparent(tmp_path / f"clip{suffix}")
    assert copied(path, tmp_path / f"again{suffix}") == []
    for each in (path, tmp_path / f"again{suffix}"):
        video = open_video(each)
        frames = list(video.frames())
        video.close()
        assert [float(frame.time * video.time_base) for frame in frames] == pytest.approx(np.array(TIMES) / 1000)
        for frame in (Frame(frame.pixels.astype(int), 0, frame.alpha.astype(int)) for frame in frames):
            assert frame.pixels[12, 12] == pytest.approx([200, 60, 20], abs=6)
            assert (frame.pixels[12, 50] > 250).all() and frame.alpha[12, 12, 0] > 250 and frame.alpha[12, 50, 0] < 5
            assert suffix == ".gif" or abs(frame.alpha[36, 50, 0] - 128) < 5


def test_white_where_there_is_no_alpha(tmp_path):
    path = make_transparent(tmp_path / "clip.webm")
    assert copied(path, tmp_path / "clip.mp4") == ["transparency"]
    video = open_video(tmp_path / "clip.mp4")
    frame = next(video.frames())
    video.close()
    assert frame.alpha is None and (frame.pixels[12, 50] > 250).all()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm", ".gif", ".webp", ".png"])
def test_every_kind_of_file(tmp_path, suffix):
    clip = make_clip(tmp_path / "clip.mp4", 51, 35, sound=False)
    assert copied(clip, tmp_path / f"copy{suffix}") == []
    videos = [open_video(path) for path in (clip, tmp_path / f"copy{suffix}")]
    before, after = ([(float(f.time * video.time_base), f.pixels) for f in video.frames()] for video in videos)
    # 13 ms are too short for GIF, whose viewers show what is faster than 20 ms at 100 ms.
    before = [each for each in before if suffix != ".gif" or each[0] != 0.333]
    assert [time for time, _ in after] == pytest.approx([time for time, _ in before], abs=0.006)
    sides = (36, 52, 3) if suffix in (".mp4", ".mkv", ".mov") else (35, 51, 3)
    for (_, mine), (_, theirs) in zip(after, before, strict=True):
        assert mine.shape == sides and np.abs(mine[:35, :51].astype(float) - theirs).mean() < 8
    for video in videos:
        video.close()
    if suffix in (".mp4", ".mkv", ".mov", ".webm"):
        with av.open(str(tmp_path / f"copy{suffix}")) as written:
            assert written.streams.video[0].pix_fmt == "yuv420p"


def test_last_frame_lasts(tmp_path):
    pictures = [Image.new("RGB", (40, 30), (80 * number, 90, 90)) for number in range(3)]
    pictures[0].save(tmp_path / "clip.gif", save_all=True, append_images=pictures[1:], duration=[50, 50, 900])
    for suffix in (".gif", ".png"):
        copied(tmp_path / "clip.gif", tmp_path / f"copy{suffix}")
        assert float(open_video(tmp_path / f"copy{suffix}").last_duration) == pytest.approx(0.9)
        with Image.open(tmp_path / f"copy{suffix}") as picture:
            assert picture.info["loop"] == 0  # for ever


def make_sounds(path, *codecs):
    """A clip with several sounds, the last the default, and subtitles."""
    (path.parent / "film.srt").write_text(SUBTITLES)
    with av.open(str(path), "w") as output, av.open(str(path.parent / "film.srt")) as subtitles:
        pictures = output.add_stream("libx264", rate=25)
        pictures.width, pictures.height = 64, 48
        tones = [output.add_stream(codec, rate=48000, layout="stereo") for codec in codecs]
        for tone, language in zip(tones, ("ger", "eng"), strict=False):
            tone.metadata["language"] = language
        tones[-1].disposition = Disposition.default
        words = output.add_stream_from_template(subtitles.streams[0])
        for _ in range(10):
            output.mux(pictures.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        output.mux(pictures.encode(None))
        for number, tone in enumerate(tones):
            wave = (9000 * np.sin(np.arange(19200) * 2 * np.pi * (number + 1) / 100)).astype(np.int16)
            samples = av.AudioFrame.from_ndarray(wave.repeat(2)[None], "s16", "stereo")
            samples.sample_rate, samples.pts = 48000, 0
            output.mux([*tone.encode(samples), *tone.encode(None)])
        for packet in subtitles.demux(0):
            if packet.size:
                packet.stream = words
                output.mux(packet)
    return path


def sounds_of(path):
    """Codec, language, whether it is the default, and pitch in Hz, of every sound; texts."""
    with av.open(str(path)) as clip:
        found = []
        for number, stream in enumerate(clip.streams.audio):
            clip.seek(0)
            wave = np.concatenate([frame.to_ndarray().astype(float)[0] for frame in clip.decode(audio=number)])
            wave = wave.reshape(-1, 2)[:, 0] if not stream.format.is_planar else wave
            pitch = np.abs(np.fft.rfft(wave[:9600])).argmax() * 5
            default = bool(stream.disposition & Disposition.default)
            found.append((stream.codec.canonical_name, stream.language, default, pitch))
        clip.seek(0)
        packets = [packet for packet in clip.demux() if packet.stream.type == "subtitle" and packet.size]
        return found, [bytes(packet) for packet in packets]


@pytest.mark.parametrize(
    ("suffix", "codecs", "kept"),
    [
        (".mkv", ("aac", "flac"), ("aac", "flac")),
        (".mp4", ("aac", "ac3"), ("aac", "ac3")),
        (".mp4", ("pcm_s16le", "aac"), ("aac", "aac")),
        (".mov", ("flac", "libopus"), ("aac", "aac")),
        (".webm", ("aac", "libopus"), ("opus", "opus")),
    ],
)
def test_sounds_and_subtitles(tmp_path, suffix, codecs, kept):
    left = copied(make_sounds(tmp_path / "clip.mkv", *codecs), tmp_path / f"copy{suffix}")
    sounds, texts = sounds_of(tmp_path / f"copy{suffix}")
    assert sounds == [(kept[0], "ger", False, 480), (kept[1], "eng", True, 960)]
    assert (left, texts) == (([], [b"Good morning"]) if suffix == ".mkv" else (["subtitles (subrip)"], []))


def test_no_room_for_sound(tmp_path):
    clip = make_sounds(tmp_path / "clip.mkv", "aac")
    assert copied(clip, tmp_path / "copy.gif") == ["sound (aac)", "subtitles (subrip)"]


def test_broadcasts_begin_at_zero(tmp_path):
    clip = make_clip(tmp_path / "clip.ts", sound=False, times=range(9000, 10000, 40))
    with av.open(str(clip)) as container:
        assert container.start_time > 8 * av.time_base
    copied(clip, tmp_path / "copy.mp4")
    video = open_video(tmp_path / "copy.mp4")
    times = [float(frame.time * video.time_base) for frame in video.frames()]
    video.close()
    assert times == pytest.approx(np.arange(0, 1, 0.04), abs=1e-3)


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from fractions import Fraction
from allaprima.errors import FileError
from allaprima.media.frame import Frame
from allaprima.media.recording import Recording

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
failures = 0
try:
    with Recording(Path(sys.argv[1]), Fraction(25), Fraction(1, 25)) as recording:
        for number in range(100):
            try:
                recording.write(Frame(np.random.randint(0, 255, (128, 128, 3), np.uint8), number))
            except FileError:
                failures += 1
        recording.finish()
except FileError as error:
    print(failures, error)
"""


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm", ".gif", ".webp", ".png"])
@pytest.mark.parametrize("size", [0, 100_000])
def test_full_disk(tmp_path, suffix, size):
    path = tmp_path / f"clip{suffix}"
    result = subprocess.run([sys.executable, "-c", FULL, path, str(size)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert f"cannot write {path}: File too large" in result.stdout and not list(tmp_path.iterdir())


def test_nothing_is_left_of_what_is_not_finished(tmp_path):
    with pytest.raises(ZeroDivisionError), Recording(tmp_path / "clip.mp4", 25, Fraction(1, 25)) as each:
        each.write(Frame(np.zeros((48, 64, 3), np.uint8), 0))
        _ = 1 / 0
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileError, match="is closed"):
        each.write(Frame(np.zeros((48, 64, 3), np.uint8), 1))
