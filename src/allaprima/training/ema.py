"""The exponential moving average (EMA) of a network's weights."""

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class EMA(AveragedModel):
    """A network with averaged weights, frozen; `update_parameters(network)` after every step.

    The decay warms up, min(decay, (1 + n) / (10 + n)) after n steps, so that the start is forgotten soon.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        def update(averaged: list[Tensor], current: list[Tensor], steps: Tensor) -> None:
            done = steps.item()
            get_ema_multi_avg_fn(min(decay, (1 + done) / (10 + done)))(averaged, current, steps)

        super().__init__(network, multi_avg_fn=update)
        self.requires_grad_(False)
