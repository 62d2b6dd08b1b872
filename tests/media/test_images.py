import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin

from allaprima.errors import FileError
from allaprima.media.images import (
    LONGEST,
    READ_FORMATS,
    Picture,
    at_short_side,
    check_encodable,
    encoded_image,
    flattened,
    off_white,
    on_white,
    open_upright,
    read_photo,
    read_picture,
    to_tensor,
    write_picture,
)

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


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".mpo", ".avif"])
def test_other_kinds(tmp_path, suffix):
    kind = {".avif": "AVIF", ".mpo": "MPO"}.get(suffix, "JPEG")
    further = {"save_all": True, "append_images": [RGB.transpose(Image.Transpose.ROTATE_180)]} if kind == "MPO" else {}
    read = read_picture(save(tmp_path / f"picture{suffix}", RGB, format=kind, **further))
    assert (read.image - gradient()).abs().mean() < 0.03


def test_heic(tmp_path):
    pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = RGB.transpose(Image.Transpose.ROTATE_90)
    read = read_picture(save(tmp_path / "photo.heic", turned, format="HEIF", exif=exif.tobytes()))
    assert read.image.shape == (3, 20, 30) and (read.image - gradient()).abs().mean() < 0.03


def test_heic_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setattr("allaprima.media.images.READ_FORMATS", tuple(set(READ_FORMATS) - {"HEIF"}))
    content = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    (tmp_path / "photo.heic").write_bytes(content)
    for source in (tmp_path / "photo.heic", io.BytesIO(content)):
        with pytest.raises(FileError, match=r"is HEIC: save it as JPEG, or pip install 'allaprima\[heic\]'"):
            open_upright(source)


def test_text_in_png(tmp_path):
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "{}" * 1_500_000, zip=True)
    text.add_itxt("prompt", "é" * 2_000_000, zip=True)
    text.add_text("plain", "a" * 2_000_000)
    assert torch.equal(read_picture(save(tmp_path / "text.png", RGB, pnginfo=text)).image, to_tensor(RGB))


def test_wide_profiles(tmp_path):
    """A linear profile is as wrong to overlook as one of a wide gamut, and can be made here."""
    linear = linear_profile()
    for name, image in (("rgb.png", RGB), ("rgb.jpg", RGB), ("rgb.avif", RGB), ("rgb.tif", RGB), ("rgb.webp", RGB)):
        read = read_picture(save(tmp_path / name, image, icc_profile=linear)).image
        expected = torch.where(gradient() <= 0.0031308, gradient() * 12.92, 1.055 * gradient() ** (1 / 2.4) - 0.055)
        assert (read - expected).abs().mean() < 0.03, name
        assert (read - gradient()).abs().mean() > 0.1, name


def linear_profile():
    """The sRGB profile with straight lines for its curves."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for number in range(int.from_bytes(content[128:132])):
        entry = 132 + 12 * number
        if content[entry : entry + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            place, size = (int.from_bytes(content[at : at + 4]) for at in (entry + 4, entry + 8))
            curve = b"curv" + bytes(8)  # of no points, which is a straight line
            content[place : place + size] = curve + bytes(size - len(curve))
    return bytes(content)


def test_lab(tmp_path):
    lab = ImageCms.profileToProfile(
        RGB, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert (read_picture(save(tmp_path / "lab.tif", lab)).image - gradient()).abs().mean() < 0.02


@pytest.mark.parametrize("as_pixels", [lambda pixels: pixels, lambda pixels: (pixels * 255).round().byte()])
def test_white_ground(as_pixels):
    alpha = torch.rand(1, 20, 30).where(torch.rand(1, 20, 30) > 0.2, torch.tensor(0.0))
    image, opacity = as_pixels(gradient()), as_pixels(alpha)
    seen = on_white(image, opacity)
    assert seen.dtype == image.dtype and seen.shape == image.shape
    nothing = (opacity == 0).expand(3, -1, -1)
    assert (seen[nothing] == as_pixels(torch.ones(1))).all()
    assert torch.equal(on_white(image.where(~nothing, 0), opacity), seen)
    again = on_white(off_white(seen, opacity), opacity)
    assert (again.double() - seen.double()).abs().max() <= (1 if image.dtype == torch.uint8 else 1e-5)


def test_pillow_and_tensors_see_the_same():
    picture = RGB.copy()
    picture.putalpha(Image.linear_gradient("L").resize(RGB.size))
    pixels = to_tensor(picture)
    assert (to_tensor(flattened(picture)) - on_white(pixels[:3], pixels[3:])).abs().max() < 0.005
    assert flattened(RGB) is RGB


def test_photographs_are_seen_on_white(tmp_path):
    hidden = RGB.copy()
    hidden.putalpha(0)
    assert read_photo(save(tmp_path / "hidden.png", hidden)).min() == 1


@pytest.mark.parametrize(("height", "width"), [(20, 4000), (4000, 20), (300, 400), (100, 420)])
def test_pixels_are_limited(height, width):
    image = torch.rand(1, 3, height, width)
    for short in (10, 50, 1000):
        worked = at_short_side(image, short, LONGEST)
        assert worked.shape[-2] * worked.shape[-1] <= 1.1 * LONGEST * short**2
        assert min(worked.shape[-2:]) == min(short, height, width) or max(height, width) > LONGEST * min(height, width)
    assert min(at_short_side(image, 10).shape[-2:]) == 10


def test_formats_without_room():
    check_encodable((70_000, 2), ".png")
    for size, suffix in (((70_000, 2), ".jpg"), ((2, 70_000), ".JPG"), ((17_000, 2), ".webp")):
        with pytest.raises(FileError, match="pixels a side at most: choose PNG"):
            check_encodable(size, suffix)
    with pytest.raises(FileError, match="pixels a side at most"):
        encoded_image(Image.new("RGB", (17_000, 1)), ".webp")
