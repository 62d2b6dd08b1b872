"""VGG's layers by name.

`relu3_3` is the third rectified convolution of block 3 and `conv4_2` a convolution before its rectifier, as the
papers write them. Keras rectifies inside its convolutions, so its `block4_conv2` is `relu4_2` here.
"""

import re

from allaprima.errors import UserError

CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
CHANNELS = (64, 128, 256, 512, 512)


def layer_names(depth: int) -> tuple[str, ...]:
    """Names of all feature layers of VGG-`depth` (16 or 19), in the order of torchvision's `features`."""
    names = []
    for block, convolutions in enumerate(CONVOLUTIONS[depth], 1):
        for number in range(1, convolutions + 1):
            names += [f"conv{block}_{number}", f"relu{block}_{number}"]
        names.append(f"pool{block}")
    return tuple(names)


def canonical_name(layer: str, depth: int) -> str:
    """The name used here for `layer`, which may be a Keras name. Raises UserError for a layer VGG-`depth` lacks."""
    name = re.sub(r"^block(\d)_conv(\d)$", r"relu\1_\2", layer)
    name = re.sub(r"^block(\d)_pool$", r"pool\1", name)
    if name not in layer_names(depth):
        raise UserError(f"VGG-{depth} has no layer '{layer}'; its layers are {', '.join(layer_names(depth))}")
    return name
