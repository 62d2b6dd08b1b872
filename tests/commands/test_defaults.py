import pytest

from allaprima.commands.train import TrainSettings
from allaprima.data.module import DataSettings
from allaprima.losses.objective import LossSettings, StyleSettings
from allaprima.networks.settings import NetworkSettings
from allaprima.training.schedule import OptimizerSettings
from allaprima.training.terms import TermSettings
from allaprima.training.trainer import LoggerSettings, TrainerSettings

from ..conftest import train_config

GROUPS = {
    "style": StyleSettings,
    "network": NetworkSettings,
    "loss": LossSettings,
    "data": DataSettings,
    "trainer": TrainerSettings,
    "logger": LoggerSettings,
    "optimizer": OptimizerSettings,
    "terms": TermSettings,
}


@pytest.mark.parametrize("group", GROUPS)
def test_library_and_configs_have_the_same_defaults(group):
    assert getattr(TrainSettings.read(train_config()), group) == GROUPS[group]()
