import av
import pytest
import torch

from allaprima.inference.exporters import psnr
from allaprima.media.bundled import STARTER_VALIDATION, packaged_photos
from allaprima.media.images import at_short_side, read_picture
from allaprima.media.video import open_video
from allaprima.networks.files import load_network

SHORT_SIDES = (101, 162, 255)


@pytest.fixture(scope="module")
def odd_photos():
    """Real photographs of three odd sizes, (1, 3, H, W) each."""
    paths = packaged_photos(STARTER_VALIDATION[:3])
    return [
        at_short_side(read_picture(path).image[None], short) for path, short in zip(paths, SHORT_SIDES, strict=True)
    ]


@pytest.fixture(scope="module")
def kandinsky():
    return load_network("kandinsky")[0]


@torch.inference_mode()
def paints_alike(paint, network, photos, decibels):
    return all(psnr(paint(photo), network(photo)) >= decibels for photo in photos)


def read_clip(path):
    """Times in seconds, upright pictures, packets of the first sound."""
    video = open_video(path)
    frames = list(video.frames())
    times = [float(frame.time * video.time_base) for frame in frames]
    video.close()
    with av.open(str(path)) as again:
        sound = [bytes(packet) for packet in again.demux(audio=0) if packet.size] if again.streams.audio else []
    return times, [frame.pixels for frame in frames], sound
