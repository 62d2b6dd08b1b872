"""Seconds a training step takes: the baseline against this project's trainer, in turn, each in a fresh process."""

import itertools
import resource
import statistics
import time
import warnings
from typing import NamedTuple

import pytorch_lightning as pl
import torch
from torch.utils.flop_counter import FlopCounterMode

from allaprima import networks
from allaprima.data.module import PhotoDataModule
from allaprima.errors import UserError
from allaprima.hardware import keep_freed_memory
from allaprima.losses.objective import load_objective
from allaprima.training.module import StyleTransfer
from allaprima.training.terms import Objective
from benchmarks.baseline import baseline_johnson, baseline_step
from benchmarks.peak import matrix_peaks
from benchmarks.rounds import in_fresh_process, in_turn
from benchmarks.settings import BenchmarkSettings

WARMUP = 2


class StepCost(NamedTuple):
    """Seconds of each step after the warm-up, and the memory at its height, with that of the largest data process."""

    seconds: list[float]
    megabytes: float


class StepTimes(pl.Callback):
    """The moments at which steps end: between two of them lies a step with its wait for data."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def on_train_batch_end(self, *_: object) -> None:
        """Note the time."""
        self.moments.append(time.perf_counter())


def baseline_steps(settings: BenchmarkSettings) -> StepCost:
    """The baseline, with the data that this project's trainer has."""
    pl.seed_everything(settings.seed, verbose=False)
    _, loss = load_objective(settings.loss, settings.style)
    network = baseline_johnson(settings.network.width, settings.network.blocks)
    optimizer = torch.optim.Adam(network.parameters(), settings.optimizer.learning_rate)
    data = PhotoDataModule(settings.data, settings.seed)
    moments = []
    for batch in data.batches(0, WARMUP + settings.benchmark.steps):
        baseline_step(network, loss, optimizer, batch.photos)
        moments.append(time.perf_counter())
    return cost_of_steps(moments)


def trainer_steps(settings: BenchmarkSettings) -> StepCost:
    """This project's trainer with its own data."""
    warnings.filterwarnings("ignore")
    keep_freed_memory()
    pl.seed_everything(settings.seed, verbose=False)
    style, loss = load_objective(settings.loss, settings.style)
    network = networks.build(settings.network, [style.name])
    objective = Objective({style.name: loss})
    module = StyleTransfer(network, objective, optimizer=settings.optimizer, seed=settings.seed)
    times = StepTimes()
    trainer = pl.Trainer(
        accelerator="cpu",
        precision=settings.trainer.chosen_precision(),
        max_steps=WARMUP + settings.benchmark.steps,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[times],
    )
    trainer.fit(module, datamodule=PhotoDataModule(settings.data, settings.seed))
    return cost_of_steps(times.moments)


def step_gigaflops(settings: BenchmarkSettings) -> float:
    """Thousands of millions of floating-point operations in a step's convolutions and matrix products."""
    _, loss = load_objective(settings.loss, settings.style)
    network = networks.build(settings.network)
    photos = torch.rand(settings.data.batch_size, 3, settings.data.size, settings.data.size)
    with FlopCounterMode(display=False) as counter:
        loss.between(network(photos, training=True), photos).total.backward()
    return counter.get_total_flops() / 1e9


def cost_of_steps(moments: list[float]) -> StepCost:
    """What lies between the moments at which steps ended, and what this process and a child of it took so far."""
    timed = moments[WARMUP - 1 :]
    kilobytes = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return StepCost([later - earlier for earlier, later in itertools.pairwise(timed)], kilobytes / 1024)


def benchmark_train(settings: BenchmarkSettings) -> None:
    """Print the table, and last `ratio N`: the baseline's time over this trainer's, the median over rounds.

    Raises:
        UserError: an invalid setting.
    """
    if settings.data.size % 4:
        raise UserError(f"data.size={settings.data.size}: the baseline needs a multiple of 4")
    peaks = in_fresh_process(matrix_peaks, settings)
    peak = peaks.get("bf16", peaks["f32"])
    results = in_turn({"baseline": baseline_steps, "this trainer": trainer_steps}, settings)
    rounds = {name: [statistics.median(each.seconds) for each in found] for name, found in results.items()}
    data = settings.data
    print(
        f"seconds a step, {data.batch_size} photographs of {data.size} x {data.size}, {torch.get_num_threads()} threads"
    )
    print(f"{'':14}{'median':>8}{'fastest':>9}{'slowest':>9}{'images/s':>10}{'MB':>7}")
    for name, seconds in rounds.items():
        median = statistics.median(seconds)
        print(f"{name:14}{median:8.2f}{min(seconds):9.2f}{max(seconds):9.2f}{data.batch_size / median:10.2f}", end="")
        print(f"{max(each.megabytes for each in results[name]):7.0f}")
    limit = in_fresh_process(step_gigaflops, settings) / peak
    print(f"at a matrix product's {peak:.0f} GFLOP/s a step's arithmetic takes {limit:.2f} s: ", end="")
    print(f"{limit / statistics.median(rounds['this trainer']):.0%} of the limit")
    ratios = [baseline / ours for baseline, ours in zip(*rounds.values(), strict=True)]
    print(f"precision {settings.trainer.chosen_precision()}, rounds {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    print(f"ratio {statistics.median(ratios):.2f}")
