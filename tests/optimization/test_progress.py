from PIL import Image


def test_frame_count_is_limited(optimize_photo, monkeypatch):
    monkeypatch.setattr("allaprima.optimization.progress.MOST_FRAMES", 4)
    written = optimize_photo("scales=[32]", "show_every=1")
    with Image.open(written.with_name("photo_kandinsky_progress.webp")) as animation:
        assert 3 <= animation.n_frames <= 5
