"""The configuration of NequIP's trainer, written from a few settings and from the labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glassml.campaign.config.potential import Network, Training
from glassml.campaign.units import GPA_PER_EV_A3

LOSS = "val0_epoch/weighted_sum"
STEPS_PER_CHECKPOINT = 100
# Beyond these an error counts by its size, in eV/atom, eV/Å and eV/Å³ (0.1 GPa).
HUBER_DELTAS = {"total_energy": 0.003, "forces": 0.05, "stress": 0.1 / GPA_PER_EV_A3}


def scratch_model(
    network: Network,
    *,
    species: Sequence[str],
    shifts_eV: Mapping[str, float],
    scale_eV: float,
    neighbours: float,
    seed: int,
) -> dict[str, Any]:
    """Describe a NequIP network with random weights.

    Parameters
    ----------
    network
        Its size.
    species
        Chemical symbols, in the order of NequIP's types.
    shifts_eV
        Energy of an atom without neighbours, by chemical symbol.
    scale_eV
        Scale of the energies that the network gives: the rms force in eV/Å.
    neighbours
        Mean number of neighbours within the cutoff.
    seed
        Of the weights.
    """
    model = {
        "_target_": "nequip.model.NequIPGNNModel",
        "seed": seed,
        "model_dtype": network.dtype,
        "type_names": list(species),
        "r_max": network.cutoff_A,
        "num_layers": network.layers,
        "l_max": network.l_max,
        "num_features": network.features,
        "parity": network.parity,
        "radial_mlp_depth": 1,
        "radial_mlp_width": network.radial_width,
        "num_bessels": network.bessels,
        "polynomial_cutoff_p": 6,
        "avg_num_neighbors": neighbours,
        "per_type_energy_scales": scale_eV,
        "per_type_energy_shifts": {symbol: float(shifts_eV[symbol]) for symbol in species},
    }
    if network.zbl:
        model["pair_potential"] = {
            "_target_": "nequip.nn.pair_potential.ZBL",
            "units": "metal",
            "chemical_species": list(species),
        }
    return model


def with_kernels(model: Mapping[str, Any], kernels: str) -> dict[str, Any]:
    """Say how the network is evaluated while it trains; the weights and the package are the same.

    Parameters
    ----------
    model
        From `scratch_model` or `package_model`.
    kernels
        "eager"; "compile" (torch.compile); "openequivariance" (its tensor products, on a GPU).
    """
    if kernels == "compile":
        return _compiled(model)
    if kernels == "openequivariance":
        return _modified(_compiled(model), {"modifier": "enable_OpenEquivariance"})
    return dict(model)


def _modified(model: Mapping[str, Any], modifier: dict[str, object]) -> dict[str, Any]:
    return {"_target_": "nequip.model.modify", "model": dict(model), "modifiers": [modifier]}


def _compiled(model: Mapping[str, Any]) -> dict[str, Any]:
    """Say so where the network itself is described, within its modifications."""
    if "modifiers" in model:
        return {**model, "model": _compiled(model["model"])}
    return {**model, "compile_mode": "compile"}


def package_model(package: Path, shifts_eV: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Describe the network of a package, with its weights, as where to start.

    Parameters
    ----------
    package
        The file.
    shifts_eV
        New energies of atoms without neighbours, by symbol; None for the package's own.
    """
    model = {"_target_": "nequip.model.ModelFromPackage", "package_path": str(package)}
    if shifts_eV is None:
        return model
    return _modified(model, {"modifier": "modify_PerTypeScaleShift", "shifts": dict(shifts_eV)})


def training_config(
    training: Training,
    *,
    model: Mapping[str, Any],
    species: Sequence[str],
    cutoff_A: float,
    train_count: int,
    validate_every: int,
    folder: Path,
    seed: int,
) -> dict[str, Any]:
    """Write down a whole training, as `nequip-train` reads it.

    Over the third quarter of the epochs the weights move to the final ones, and stay. Forces alone
    are learnt several times as fast as forces beside heavy energies and stresses, which follow.

    Parameters
    ----------
    training
        How the weights are fitted; patience is in validations here.
    model
        From `scratch_model`, or a package to fine-tune.
    species, cutoff_A
        Chemical symbols in the order of the model's types, and its cutoff.
    train_count
        Number of labels to train on.
    validate_every
        Epochs between validations, after which there are a row of the history and checkpoints.
    folder
        Holds the labels, `train.extxyz` and `validation.extxyz`; receives checkpoints and
        the history.
    seed
        Of the order of the labels.
    """
    steps = -(-train_count // training.batch_size)
    weights = {
        "total_energy": training.energy_weight,
        "forces": training.force_weight,
        "stress": training.stress_weight,
    }
    half, three_quarters = training.max_epochs // 2, max(1, 3 * training.max_epochs // 4)
    final = {
        "per_atom_energy_mse": training.final_energy_weight,
        "forces_mse": training.force_weight,
        "stress_mse": training.final_stress_weight,
    }
    return {
        "run": ["train"],
        "data": _data(species, cutoff_A, folder=folder, batch_size=training.batch_size, seed=seed),
        "trainer": {
            "_target_": "lightning.Trainer",
            "max_epochs": training.max_epochs,
            "check_val_every_n_epoch": validate_every,
            "logger": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
            "callbacks": [
                {
                    "_target_": "glassml.potential.callbacks.History",
                    "path": str(folder / "history.csv"),
                },
                {"_target_": "glassml.potential.callbacks.OrderByEpoch", "seed": seed},
                {
                    # a checkpoint holds the weights, so that a continued run keeps the last ones
                    "_target_": "nequip.train.callbacks.LinearLossCoefficientScheduler",
                    "final_coeffs": final,
                    "start_epoch": half,
                    "transition_epochs": max(1, three_quarters - half),
                },
                {
                    "_target_": "lightning.pytorch.callbacks.Timer",
                    "duration": _days_hours_minutes_seconds(training.max_minutes),
                    "interval": "epoch",
                    "verbose": False,
                },
                {
                    "_target_": "lightning.pytorch.callbacks.EarlyStopping",
                    "monitor": LOSS,
                    "patience": training.patience_epochs,
                },
                {
                    "_target_": "lightning.pytorch.callbacks.ModelCheckpoint",
                    "dirpath": str(folder),
                    "filename": "best",
                    "monitor": LOSS,
                    "enable_version_counter": False,
                    # after a validation the averaged weights are still in the network's place
                    "save_on_train_epoch_end": True,
                },
                {
                    "_target_": "lightning.pytorch.callbacks.ModelCheckpoint",
                    "dirpath": str(folder),
                    "filename": "last",
                    "enable_version_counter": False,
                    "save_on_train_epoch_end": True,
                    "every_n_epochs": validate_every
                    * max(1, STEPS_PER_CHECKPOINT // (steps * validate_every)),
                },
            ],
        },
        "training_module": {
            "_target_": "nequip.train.EMALightningModule",
            "ema_decay": training.ema_decay,
            "model": dict(model),
            "loss": _loss(training, weights),
            "val_metrics": {
                "_target_": "nequip.train.EnergyForceStressMetrics",
                "coeffs": {
                    "per_atom_energy_mae": 1.0,
                    "forces_mae": 1.0,
                    "stress_mae": 10.0,
                    "total_energy_mae": None,
                    "per_atom_energy_rmse": None,
                    "forces_rmse": None,
                    "stress_rmse": None,
                },
            },
            "optimizer": _optimizer(training),
            "lr_scheduler": {
                "scheduler": {
                    "_target_": "torch.optim.lr_scheduler.CosineAnnealingLR",
                    "T_max": training.max_epochs,
                    "eta_min": training.learning_rate / 100,
                },
                "interval": "epoch",
                "frequency": 1,
            },
        },
    }


def _loss(training: Training, weights: Mapping[str, float]) -> dict[str, Any]:
    """Say how errors count: squared, or beyond `HUBER_DELTAS` by their size."""
    if training.loss == "squared":
        return {
            "_target_": "nequip.train.EnergyForceStressLoss",
            "per_atom_energy": True,
            "coeffs": dict(weights),
        }
    energy = {"_target_": "nequip.data.PerAtomModifier", "field": "total_energy"}
    # named as the squared ones are, so that the same schedule moves their weights
    names = {"total_energy": "per_atom_energy_mse", "forces": "forces_mse", "stress": "stress_mse"}
    return {
        "_target_": "nequip.train.MetricsManager",
        "metrics": [
            {
                "name": name,
                "field": energy if field == "total_energy" else field,
                "coeff": weights[field],
                "metric": {"_target_": "nequip.train.HuberLoss", "delta": HUBER_DELTAS[field]},
            }
            for field, name in names.items()
        ],
    }


def _optimizer(training: Training) -> dict[str, Any]:
    rate = {"lr": training.learning_rate}
    if training.optimizer == "adam":
        return {"_target_": "torch.optim.Adam", **rate}
    return {
        "_target_": "nequip.train.MuonWithAuxAdam",
        "param_groups": {"_target_": "nequip.model.MuonParamGroups", "muon": rate, "adam": rate},
    }


def _days_hours_minutes_seconds(minutes: float) -> str:
    seconds = max(1, round(60 * minutes))
    days, hours = divmod(seconds // 3600, 24)
    return f"{days:02d}:{hours:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _data(
    species: Sequence[str],
    cutoff_A: float,
    *,
    folder: Path,
    batch_size: int,
    seed: int,
) -> dict[str, Any]:
    """Say where the labels are and how they are read."""
    return {
        "_target_": "nequip.data.datamodule.ASEDataModule",
        "seed": seed,
        "train_file_path": str(folder / "train.extxyz"),
        "val_file_path": str(folder / "validation.extxyz"),
        "key_mapping": {
            "REF_energy": "total_energy",
            "REF_forces": "forces",
            "REF_stress": "stress",
        },
        "transforms": [
            {
                "_target_": "nequip.data.transforms.ChemicalSpeciesToAtomTypeMapper",
                "model_type_names": list(species),
                "chemical_species_to_atom_type_map": {symbol: symbol for symbol in species},
            },
            {"_target_": "nequip.data.transforms.NeighborListTransform", "r_max": cutoff_A},
        ],
        "train_dataloader": {
            "_target_": "torch.utils.data.DataLoader",
            "batch_size": batch_size,
            "shuffle": True,
        },
        "val_dataloader": {"_target_": "torch.utils.data.DataLoader", "batch_size": batch_size},
    }
