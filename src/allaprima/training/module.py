"""Training a network: the LightningModule."""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from allaprima.data.photos import Batch
from allaprima.networks.base import TransformationNetwork
from allaprima.training.ema import EMA
from allaprima.training.schedule import OptimizerSettings, learning_rate_factor
from allaprima.training.terms import Objective, Step, Term


class StyleTransfer(pl.LightningModule):
    """Photographs, their pastiches, and the weighted sum of terms that the network learns to lower.

    Args:
        network: photographs to pastiches, (B, 3, H, W) in [0, 1] both.
        objective: what is validated.
        terms: what is trained on, see `build_terms`; None: the objective alone.
        optimizer: how fast it learns.
        seed: of all that is drawn in training.
    """

    def __init__(
        self,
        network: TransformationNetwork,
        objective: Objective,
        terms: Sequence[Term] | None = None,
        optimizer: OptimizerSettings | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.terms = [Term("objective", 1.0, objective)] if terms is None else terms
        self.registered = nn.ModuleList(term.value for term in self.terms if isinstance(term.value, nn.Module))
        self.optimizer = optimizer or OptimizerSettings()
        self.seed = seed
        self.code_names = tuple(itertools.product(network.paintings, range(network.levels)))
        self.ema = EMA(network, self.optimizer.ema_decay)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The weighted sum of the terms."""
        step = self.step = self.paint_batch(batch.photos)
        values = {term.name: term.value(step) for term in self.terms}
        self.log_values(values, step)
        return sum(term.weight * values[term.name] for term in self.terms)

    def paint_batch(self, photos: Tensor) -> Step:
        """Paint (B, 3, H, W) by one of the network's codes, all in turn."""
        # What is drawn here, like the samples, is a function of seed and step alone: a resumed run draws the same.
        seed = step_seed(self.seed, self.global_step, self.global_rank)
        painting, level = self.code_names[self.global_step % len(self.code_names)]

        def paint(photos: Tensor, network: TransformationNetwork | None = None) -> Tensor:
            torch.manual_seed(seed)
            if network:  # another, of one painting
                return network(photos, network.code(boldness=level), training=True)
            return self.network(photos, self.network.code(painting, level), training=True)

        torch.manual_seed(seed)
        # Circular padding has a seam, which the network can see: so it is anywhere but at the borders.
        photos = photos.roll(torch.randint(photos.shape[-1], (2,)).tolist(), (2, 3))
        return Step(photos, paint(photos), painting, level, paint)

    def log_values(self, values: Mapping[str, Tensor], step: Step) -> None:
        """Log every term, and in place of the objective those that it is the sum of."""
        self.log_dict(dict(values), prog_bar=True, logger=False)
        logged = {name: value for name, value in values.items() if name != "objective"}
        if "objective" in values:
            content_weight = self.objective.content_weights[step.painting][step.level]
            logged |= self.objective.terms._asdict() | {"content_weight": content_weight}
        self.log_dict({f"train/{name}": value for name, value in logged.items()})

    def on_train_batch_end(self, *_: Any) -> None:
        """Update the average of the weights, and the content weight."""
        self.ema.update_parameters(self.network)
        if self.objective.terms:
            content = self.all_gather(self.objective.terms.content.detach())
            self.objective.adjust_content_weight(self.step.painting, self.step.level, content.mean().item())

    def validation_step(self, batch: tuple[Tensor], batch_idx: int) -> None:
        """The objective's terms on held-out photographs, (B, 3, H, W) in [0, 1], over all codes."""
        (photos,) = batch
        for painting, level in self.code_names:
            pastiches = self.ema(photos, self.ema.module.code(painting, level))
            terms = self.objective.between(pastiches, photos, painting, level)
            self.log_dict({f"val/{name}": value for name, value in terms._asdict().items()}, batch_size=len(photos))

    def configure_optimizers(self) -> dict[str, Any]:
        """Adam, its rate as `learning_rate_factor` has it, step by step."""
        rate = self.optimizer.learning_rate
        codes = {"params": [self.network.codes], "lr": rate * self.optimizer.code_rate}
        optimizer = torch.optim.Adam([{"params": self.network.layers.parameters()}, codes], rate)
        factor = functools.partial(learning_rate_factor, steps=self.trainer.max_steps, settings=self.optimizer)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Lay out weights as the convolutions want them, and give the loss network the type of the computation."""
        self.to(memory_format=torch.channels_last)
        for loss in self.objective.losses.values():
            loss.vgg.set_precision(self.trainer.precision)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The network and its average alone: the loss network is the same in every run."""
        return self._trained().state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load the network and its average."""
        return self._trained().load_state_dict(state_dict, strict=strict, assign=assign)

    def _trained(self) -> nn.ModuleDict:
        return nn.ModuleDict({"network": self.network, "averaged": self.ema})


def step_seed(seed: int, step: int, rank: int) -> int:
    """A seed for what one step of a run draws on one device: 32 bits, which is all that PyTorch's generator takes."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0])
