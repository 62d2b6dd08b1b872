import torch

from allaprima.evaluation.comparison import NetworkResult, OptimizerRun, PhotoComparison
from allaprima.losses.perceptual import LossTerms


def make_terms(total):
    return LossTerms(total, 0.0, total, 0.0)


def make_comparison(network, totals, allowed=3):
    """A network's total beside those of an optimizer's iterations."""
    picture = torch.zeros(1, 3, 4, 4)
    optimizer_run = OptimizerRun(
        allowed, [make_terms(total) for total in totals], [0.1 * i for i in range(len(totals))], {}
    )
    result = NetworkResult(picture, make_terms(network), 0.01)
    return PhotoComparison("made up", 4, picture, make_terms(9.0), {"a": result}, {"noise": optimizer_run})
