import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from allaprima.errors import FileError
from allaprima.media.images import Picture, read_picture, write_picture

from .conftest import gradient


def as_array(image):
    return (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


def save(path, image, **options):
    image.save(path, **options)
    return path


RGB = Image.fromarray(as_array(gradient()))
GREY = np.linspace(0, 255, 600).reshape(20, 30).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg", ".jpeg", ".PNG"])
def test_write_and_read(tmp_path, suffix):
    path = tmp_path / f"deep/folder/picture{suffix}"
    write_picture(path, Picture(gradient(), None))
    again = read_picture(path)
    assert again.alpha is None and again.image.dtype == torch.float32
    assert (again.image - gradient()).abs().mean() < (0.003 if suffix.lower() == ".png" else 0.02)


def test_alpha(tmp_path):
    alpha = gradient()[:1]
    write_picture(tmp_path / "a.png", Picture(gradient(), alpha))
    again = read_picture(tmp_path / "a.png")
    assert (again.alpha - alpha).abs().max() < 0.003
    assert (again.image - gradient()).abs().max() < 0.003
    write_picture(tmp_path / "a.jpg", Picture(torch.zeros(3, 20, 30), torch.zeros(1, 20, 30)))
    assert read_picture(tmp_path / "a.jpg").image.min() > 0.99


def test_color_modes(tmp_path):
    expected = torch.from_numpy(GREY).float() / 255
    grey = read_picture(save(tmp_path / "grey.png", Image.fromarray(GREY))).image
    assert torch.allclose(grey, expected.expand(3, -1, -1), atol=1e-6)
    deep = read_picture(save(tmp_path / "deep.png", Image.fromarray(GREY.astype(np.uint16) * 257))).image
    assert torch.allclose(deep, expected.expand(3, -1, -1), atol=0.003)
    dark = read_picture(save(tmp_path / "dark.png", Image.fromarray(GREY.astype(np.uint16)))).image
    assert dark.max() < 0.01
    deep_tiff = read_picture(save(tmp_path / "deep.tiff", Image.fromarray(GREY.astype(np.uint16) * 257))).image
    assert torch.allclose(deep_tiff, expected.expand(3, -1, -1), atol=0.003)
    palette = read_picture(save(tmp_path / "palette.png", RGB.quantize(256))).image
    assert (palette - gradient()).abs().mean() < 0.03
    cmyk = read_picture(save(tmp_path / "cmyk.jpg", RGB.convert("CMYK"), quality=95)).image
    assert (cmyk - gradient()).abs().mean() < 0.03
    transparent = RGB.quantize(16)
    transparent.info["transparency"] = 0
    assert read_picture(save(tmp_path / "transparent.gif", transparent)).alpha is not None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    turn = Image.Transpose
    turns = (turn.FLIP_LEFT_RIGHT, turn.ROTATE_180, turn.FLIP_TOP_BOTTOM, turn.TRANSPOSE)
    turns += (turn.ROTATE_90, turn.TRANSVERSE, turn.ROTATE_270)
    stored = RGB.transpose(turns[orientation - 2]) if orientation > 1 else RGB
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = read_picture(save(tmp_path / "turned.png", stored, exif=exif)).image
    assert image.shape == (3, 20, 30)
    assert torch.allclose(image, gradient(), atol=0.003)


def test_color_profiles(tmp_path):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for name, profile in (("lab", lab), ("noise", b"no profile"), ("srgb", None)):
        content = profile or ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        image = read_picture(save(tmp_path / f"{name}.png", RGB, icc_profile=content)).image
        assert torch.allclose(image, gradient(), atol=0.01), name


def test_color_profiles_with_transparency(tmp_path):
    # One that swaps red and blue cannot be mistaken for none.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"TEMP").replace(b"bXYZ", b"rXYZ").replace(b"TEMP", b"bXYZ")
    whole = read_picture(save(tmp_path / "rgb.png", RGB, icc_profile=swapped))
    assert whole.alpha is None and (whole.image - gradient()).abs().mean() > 0.1
    see_through = read_picture(save(tmp_path / "trns.png", RGB, icc_profile=swapped, transparency=RGB.getpixel((3, 4))))
    assert torch.equal(see_through.image, whole.image)
    assert see_through.alpha[0, 4, 3] == 0 and see_through.alpha.mean() > 0.9
    palette = read_picture(save(tmp_path / "palette.png", RGB.quantize(256), icc_profile=swapped)).image
    assert (palette - whole.image).abs().mean() < 0.03


def test_invalid_files_are_refused(tmp_path):
    whole = io.BytesIO()
    RGB.resize((300, 200)).save(whole, "JPEG")
    (tmp_path / "truncated.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    for name, words in (
        ("truncated.jpg", "damaged"),
        ("text.jpg", "not a picture"),
        ("empty.png", "not a picture"),
        ("missing.png", "does not exist"),
        (".", "is a folder"),
    ):
        with pytest.raises(FileError, match=words):
            read_picture(tmp_path / name)


def test_large_pictures_are_refused(tmp_path, monkeypatch):
    RGB.resize((300, 200)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000)
    with pytest.raises(FileError, match=r"large\.png has more than .* save it smaller"):
        read_picture(tmp_path / "large.png")


@pytest.mark.parametrize("name", ["picture.png", "picture.eps", "picture.jpg"])
def test_postscript_is_refused(tmp_path, name, monkeypatch):
    monkeypatch.setattr("PIL.EpsImagePlugin.EpsImageFile.load", lambda *_, **__: pytest.fail("it was run"))
    (tmp_path / name).write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n")
    with pytest.raises(FileError, match="not a picture"):
        read_picture(tmp_path / name)
