"""What takes the place of NequIP's own in training gives the same numbers, in fewer calls."""

import copy

import pytest
import torch
import yaml
from hydra.utils import get_method, instantiate
from nequip.model import MuonParamGroups
from nequip.train import MuonWithAuxAdam
from nequip.utils.global_state import set_global_state
from torch.utils._python_dispatch import TorchDispatchMode

from glassml.campaign.config.potential import Network
from glassml.potential.datamodule import PreparedDataModule
from glassml.potential.muon import StackedMuon
from glassml.potential.nequip_command import FASTER, faster
from glassml.potential.training_config import scratch_model, training_config
from silica_labels import NETWORK, TRAINING


class Calls(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **kwargs or {})


def model_of(network):
    return scratch_model(
        network,
        species=["O", "Si"],
        shifts_eV={"O": 0.0, "Si": 0.0},
        scale_eV=1.0,
        neighbours=40.0,
        seed=1,
    )


def config_of(folder, **changes):
    return training_config(
        TRAINING.model_copy(update=changes),
        model=model_of(NETWORK),
        species=["O", "Si"],
        cutoff_A=NETWORK.cutoff_A,
        train_count=8,
        validate_every=1,
        folder=folder,
        seed=1,
    )


@pytest.fixture(scope="module")
def shipped():
    """Weights as those of `resources/potential` are, twice."""
    set_global_state()
    network = Network(cutoff_A=5.0, layers=3, l_max=2, features=32, radial_width=64)
    config = model_of(network)
    model = torch.nn.ModuleDict({"sole_model": get_method(config.pop("_target_"))(**config)})
    return model, copy.deepcopy(model)


def optimizers_of(models):
    options = {"lr": 0.005, "weight_decay": 0.01}
    kinds = (MuonWithAuxAdam, StackedMuon)
    return [
        kind(MuonParamGroups(model, options, options))
        for kind, model in zip(kinds, models, strict=True)
    ]


def step(models, optimizers, seed):
    """Make a step of each with the same gradients; give its updates, and how many calls it took."""
    updates, calls = [], []
    for model, optimizer in zip(models, optimizers, strict=True):
        before = [param.detach().clone() for param in model.parameters()]
        torch.manual_seed(seed)
        for param in model.parameters():
            param.grad = 1e-3 * torch.randn_like(param)
        param.grad = None
        with Calls() as counted:
            optimizer.step()
        calls.append(counted.count)
        moved = zip(model.parameters(), before, strict=True)
        updates.append([(after - each).detach() for after, each in moved])
    return updates, calls


def assert_same(updates):
    for own, stacked in zip(*updates, strict=True):
        assert own.norm() > 0.0
        assert (own - stacked).norm() <= 1e-6 * own.norm()


def test_muon_in_a_stack_moves_the_weights_as_nequips_does(shipped):
    optimizers = optimizers_of(shipped)
    for seed in range(3):
        updates, (own, stacked) = step(shipped, optimizers, seed)
        assert_same(updates)
    assert stacked < own / 5


def test_either_muon_goes_on_from_the_others_state(shipped):
    optimizers = optimizers_of(shipped)
    step(shipped, optimizers, 1)
    own, stacked = (optimizer.state_dict() for optimizer in optimizers)
    assert own["param_groups"] == stacked["param_groups"]
    assert [sorted(kept) for kept in own["state"].values()] == [
        sorted(kept) for kept in stacked["state"].values()
    ]
    optimizers = optimizers_of(shipped)
    for optimizer, state in zip(optimizers, (stacked, own), strict=True):
        optimizer.load_state_dict(copy.deepcopy(state))
    updates, _ = step(shipped, optimizers, 2)
    assert_same(updates)


def test_prepared_labels_are_those_of_nequips_reader(labels_of, tmp_path):
    config = config_of(tmp_path)["data"] | {
        "train_file_path": str(labels_of.train),
        "val_file_path": str(labels_of.validation),
    }
    batches = []
    for target in config["_target_"], FASTER[config["_target_"]]:
        data = instantiate(config | {"_target_": target}, _recursive_=False)
        data.setup("fit")
        loaders = data.train_dataloader(), data.train_dataloader(), *data.val_dataloader()
        batches.append([batch for loader in loaders for batch in loader])
    assert isinstance(data, PreparedDataModule)
    assert not data.train_dataset[0].transforms
    for own, prepared in zip(*batches, strict=True):
        assert own.keys() == prepared.keys()
        assert all(torch.equal(own[key], prepared[key]) for key in own)


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_what_is_faster_takes_the_place_of_nequips_own(tmp_path, optimizer):
    config = tmp_path / "train.yaml"
    config.write_text(yaml.safe_dump(config_of(tmp_path, optimizer=optimizer)))
    overrides = ["++data._target_=glassml.potential.datamodule.PreparedDataModule"]
    if optimizer == "muon":
        overrides += ["++training_module.optimizer._target_=glassml.potential.muon.StackedMuon"]
    assert faster(config) == overrides
