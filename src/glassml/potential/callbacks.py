"""What NequIP's trainer does at the end of each epoch: the history, and a progress bar."""

import time
from pathlib import Path
from typing import Any

import lightning
from tqdm import tqdm

from glassml.campaign.files import write_csv
from glassml.campaign.seeds import derive_seed
from glassml.campaign.units import GPA_PER_EV_A3
from glassml.potential.training import HISTORY_COLUMNS

WRITE_EVERY_S = 5.0


class History(lightning.Callback):
    """Keep one row per validation, in the checkpoint and in a CSV file that can be watched.

    Parameters
    ----------
    path
        The CSV file, with the columns `HISTORY_COLUMNS`. Seconds are those of training, without
        the time between a kill and the next start.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.rows: list[dict[str, float]] = []
        self._start = 0.0
        self._written = 0.0
        self._bar: tqdm | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Start the clock, where the last run stopped it."""
        self._start = time.monotonic() - (self.rows[-1]["seconds"] if self.rows else 0.0)
        self._bar = tqdm(
            total=trainer.max_epochs,
            initial=trainer.current_epoch,
            unit="epoch",
            mininterval=10.0,
        )

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Add the row of this epoch, if it was validated."""
        if self._bar is not None:
            self._bar.update()
        if (trainer.current_epoch + 1) % trainer.check_val_every_n_epoch:
            return
        metrics = trainer.callback_metrics
        row = {
            "epoch": trainer.current_epoch,
            "seconds": round(time.monotonic() - self._start, 3),
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "train_loss": float(pl_module.loss.compute()["weighted_sum"]),
            "validation_loss": float(metrics["val0_epoch/weighted_sum"]),
            "validation_energy_mae_meV_per_atom": 1e3
            * float(metrics["val0_epoch/per_atom_energy_mae"]),
            "validation_force_mae_eV_per_A": float(metrics["val0_epoch/forces_mae"]),
            "validation_stress_mae_GPa": GPA_PER_EV_A3 * float(metrics["val0_epoch/stress_mae"]),
        }
        self.rows.append(row)
        if self._bar is not None:
            self._bar.set_postfix_str(
                f"validation {row['validation_energy_mae_meV_per_atom']:.1f} meV/atom, "
                f"{row['validation_force_mae_eV_per_A']:.3f} eV/Å, "
                f"{row['validation_stress_mae_GPa']:.2f} GPa",
                refresh=False,
            )
        if time.monotonic() - self._written > WRITE_EVERY_S:
            self._write()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Write the last rows."""
        self._write()
        if self._bar is not None:
            self._bar.close()

    def _write(self) -> None:
        write_csv(self.path, self.rows, HISTORY_COLUMNS)
        self._written = time.monotonic()

    def state_dict(self) -> dict[str, object]:
        """Give what a checkpoint must hold."""
        return {"rows": list(self.rows)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.rows = list(state_dict["rows"])


class OrderByEpoch(lightning.Callback):
    """Shuffle the labels of an epoch by a seed and the epoch's number alone.

    NequIP restores the state of its generator after the loader was built with another, so a
    training that goes on from a checkpoint would see another order than one without a break.

    Parameters
    ----------
    seed
        Of all orders.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.epoch = 0

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Seed the order of the first epoch of this run."""
        trainer.datamodule.train_generator.manual_seed(derive_seed(self.seed, self.epoch))

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Seed the order of the next epoch."""
        self.epoch += 1
        trainer.datamodule.train_generator.manual_seed(derive_seed(self.seed, self.epoch))

    def state_dict(self) -> dict[str, object]:
        """Give what a checkpoint must hold."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.epoch = state_dict["epoch"]
