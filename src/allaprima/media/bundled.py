"""Files that come with the project, beside the package or at a checkout's top, and photographs of other packages."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

TOP = next(place for place in (Path(__file__).parents[1], Path(__file__).parents[3]) if (place / "configs").is_dir())
# Photographs that come with scikit-image and scikit-learn. What is validated on is never trained on.
STARTER_TRAINING = (
    "skimage/data/rocket.jpg",
    "skimage/data/motorcycle_left.png",
    "skimage/data/motorcycle_right.png",
    "skimage/data/camera.png",
    "skimage/data/coins.png",
    "skimage/data/brick.png",
    "skimage/data/grass.png",
    "skimage/data/gravel.png",
    "skimage/data/hubble_deep_field.jpg",
    "sklearn/datasets/images/flower.jpg",
)
STARTER_VALIDATION = (
    "skimage/data/chelsea.png",
    "skimage/data/astronaut.png",
    "skimage/data/coffee.png",
    "sklearn/datasets/images/china.jpg",
)


def bundled_file(name: str) -> Path | None:
    """The path of a file given relative to the project's top, or None if there is no such file."""
    path = TOP / name
    return path if path.is_file() else None


def bundled_names(folder: str) -> list[str]:
    """Names, without suffix, of the safetensors files in a folder given relative to the project's top."""
    return sorted(path.stem for path in (TOP / folder).glob("*.safetensors"))


def packaged_photos(names: Sequence[str]) -> list[Path]:
    """Paths of photographs in installed packages, given as `package/path`."""
    return [Path(str(files(package).joinpath(path))) for package, path in (name.split("/", 1) for name in names)]
