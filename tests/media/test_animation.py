import numpy as np
import pytest
from PIL import Image

from allaprima.errors import FileError
from allaprima.media.video import is_video, open_video

DURATIONS = [100, 50, 200, 70]  # milliseconds


def make_animation(path, mode="RGB", **options):
    colors = [(220, 30 * number, 40, 255 if number % 2 else 0) for number in range(len(DURATIONS))]
    pictures = [Image.new("RGBA", (40, 30), color).convert(mode) for color in colors]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=DURATIONS, lossless=True, **options)
    return path


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_are_videos(tmp_path, suffix):
    path = make_animation(tmp_path / f"animation{suffix}")
    assert is_video(path)
    video = open_video(path)
    frames = list(video.frames())
    assert [frame.time for frame in frames] == [0, 100, 150, 350]
    assert (video.count, float(video.rate)) == (4, pytest.approx(4 / 0.42)) and video.last_duration * 1000 == 70
    for number, frame in enumerate(frames):
        assert frame.alpha is None and np.abs(frame.pixels[15, 20] - np.array([220, 30 * number, 40])).max() <= 4


@pytest.mark.parametrize("suffix", [".webp", ".png"])
def test_transparency_is_laid_on_white(tmp_path, suffix):
    video = open_video(make_animation(tmp_path / f"animation{suffix}", "RGBA", disposal=2))
    frames = list(video.frames())
    assert video.transparent and [int(frame.pixels[15, 20, 2]) // 50 for frame in frames] == [5, 0, 5, 0]
    assert [frame.alpha is None or frame.alpha.min() for frame in frames[::2]] == [0, 0]


def test_default_picture_is_no_frame(tmp_path):
    path = make_animation(tmp_path / "animation.png", default_image=True)
    video = open_video(path)
    assert len(list(video.frames())) == video.count == len(DURATIONS) - 1


def test_stills_are_pictures(tmp_path):
    gray = Image.new("L", (40, 30), 90)
    for name in ("still.png", "still.gif", "still.webp", "still.jpg"):
        gray.save(tmp_path / name)
        assert not is_video(tmp_path / name)
    gray.save(tmp_path / "pages.tif", save_all=True, append_images=[gray, gray])
    assert not is_video(tmp_path / "pages.tif")


def test_damaged_animation(tmp_path):
    path = make_animation(tmp_path / "animation.png")
    path.write_bytes(path.read_bytes()[:-60])
    video = open_video(path)
    seen = []
    with pytest.raises(FileError, match="is damaged"):
        for frame in video.frames():
            seen.append(frame)
    assert 1 <= len(seen) < len(DURATIONS)


def test_numbered_sequence(tmp_path):
    for number in (3, 4, 5, 10):
        size = (40, 30) if number != 5 else (80, 60)
        Image.new("RGB", size, (20 * number, 90, 90)).save(tmp_path / f"frame_{number:04d}.png")
    (tmp_path / "frame_0003_painted.png").touch()
    pattern = tmp_path / "frame_%04d.png"
    assert is_video(pattern) and not is_video(tmp_path / "other_%04d.png")
    frames = list(open_video(pattern).frames())
    assert [frame.time for frame in frames] == [0, 1, 2, 3]
    assert [int(frame.pixels[15, 20, 0]) for frame in frames] == [60, 80, 100, 200]
    assert {frame.pixels.shape for frame in frames} == {(30, 40, 3)}
    (tmp_path / "frame_0004.png").write_text("not a picture")
    with pytest.raises(FileError, match=r"frame_0004\.png"):
        list(open_video(pattern).frames())
