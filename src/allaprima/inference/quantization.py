"""Networks in int8 (Jacob et al. 2018): two thirds of bfloat16's time, pictures that are very nearly the same."""

import contextlib
import logging
import sys
from typing import Any

from torch import Tensor

from allaprima.inference.engines import openvino_model
from allaprima.media.bundled import STARTER_TRAINING, packaged_photos
from allaprima.media.images import read_photo
from allaprima.networks.base import TransformationNetwork

# Packages that this needs.
INT8 = ("openvino", "nncf")
# Short sides at which photographs are painted to learn what range each layer's values have.
CALIBRATED = (256, 384)


def int8_model(network: TransformationNetwork, code: Tensor | None) -> Any:
    """A network as OpenVINO holds it, its convolutions in int8, scaled by what they meet on packaged photographs.

    With one code folded in, or as an input, see `Exported`.
    """
    import nncf
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    photos = [read_photo(photo, short) for short in CALIBRATED for photo in packaged_photos(STARTER_TRAINING)]
    given = [network.code().numpy()] if code is None else []
    dataset = nncf.Dataset(photos, lambda photo: [photo.numpy(), *given])
    # The widest range met on any photograph, not the mean: a photograph beyond the range is painted with flat spots.
    ranges = nncf.AdvancedQuantizationParameters(activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX)
    # Where sums and norms are rounded as well nothing is faster, and pictures have 7 dB less.
    floating = nncf.IgnoredScope(types=["Add", "MVN"])
    nncf.set_log_level(logging.WARNING)
    with contextlib.redirect_stdout(sys.stderr):  # its progress is nothing that a program should have to read past
        return nncf.quantize(
            openvino_model(network, code),
            dataset,
            preset=nncf.QuantizationPreset.MIXED,  # no half of a range for the negative values that a rectifier lacks
            subset_size=len(photos),
            ignored_scope=floating,
            advanced_parameters=ranges,
        )
