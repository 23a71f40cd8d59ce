"""What makes a network faster and a little less exact; each has a name and can be left out.

`tf32` multiplies matrices of single precision with factors of 10 bits after the point, as a GPU's
tensor cores do. `compile` fuses the small kernels of a network (torch.compile); sums come in
another order. `fused` makes each convolution in one kernel of ours, with radial functions from a
table (`glassml.potential.convolution`). None is used before `check_shortcuts` has compared it, on
labels, with the network without it.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from ase import Atoms, units
from ase.stress import full_3x3_to_voigt_6_stress
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from glassml.potential.packages import PotentialError

logger = logging.getLogger(__name__)

#: Convolutions in one kernel each; see `glassml.potential.convolution`.
FUSED = "fused"
SHORTCUTS = ("tf32", "compile", FUSED)
#: Errors on labels may grow by this factor.
WORSE = 1.02
#: Labels that are evaluated in one batch.
AT_ONCE = 64

#: (vectors of pairs, indices of pairs, types) -> (energies of atoms, forces on pairs).
Evaluate = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def shortened(network: torch.nn.Module, shortcuts: Sequence[str]) -> Evaluate:
    """Give a network as a function of tensors, with shortcuts.

    Parameters
    ----------
    network
        A NequIP network that takes vectors of pairs.
    shortcuts
        Names from `SHORTCUTS`.

    Raises
    ------
    PotentialError
        If there is no such shortcut.
    """
    if unknown := [name for name in shortcuts if name not in SHORTCUTS]:
        raise PotentialError(f"shortcuts: {', '.join(unknown)}: there are {', '.join(SHORTCUTS)}")
    evaluate = _Compiled(network) if "compile" in shortcuts else _plain(network)
    if "tf32" not in shortcuts:
        return evaluate

    def with_tensor_cores(
        vectors: torch.Tensor, index: torch.Tensor, types: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with tensor_cores():
            return evaluate(vectors, index, types)

    return with_tensor_cores


@contextmanager
def tensor_cores() -> Iterator[None]:
    """Let products of matrices in single precision have factors of 10 bits after the point."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _plain(network: torch.nn.Module) -> Evaluate:
    def evaluate(
        vectors: torch.Tensor, index: torch.Tensor, types: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        found = network({"edge_vectors": vectors, "edge_index": index, "atom_types": types})
        return found["atomic_energy"].detach(), found["edge_forces"].detach()

    return evaluate


class _Compiled:
    """A network whose derivative is written out (make_fx), compiled when it is first called."""

    def __init__(self, network: torch.nn.Module) -> None:
        self._network = network
        self._function: Callable[..., Any] | None = None
        state = dict(network.named_parameters()) | dict(network.named_buffers())
        self._names, self._state = list(state), [value.detach() for value in state.values()]

    def __call__(
        self, vectors: torch.Tensor, index: torch.Tensor, types: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Evaluate; kernels that are compiled for one number of pairs serve all."""
        inputs = (vectors, index, types, *self._state)
        if self._function is None:
            from nequip.utils.fx import fx_duck_shape, nequip_decomp_table  # noqa: PLC0415

            with fx_duck_shape(False):
                traced = make_fx(
                    self._written_out,
                    decomposition_table=nequip_decomp_table(),
                    tracing_mode="symbolic",
                    _allow_non_fake_inputs=True,
                )(*(each.clone() for each in inputs))
            self._function = torch.compile(traced, dynamic=True)
        with torch.no_grad():
            energies, pulls = self._function(*inputs)
        return energies, pulls

    def _written_out(
        self,
        vectors: torch.Tensor,
        index: torch.Tensor,
        types: torch.Tensor,
        *state: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        data = {"edge_vectors": vectors, "edge_index": index, "atom_types": types}
        found = functional_call(self._network, dict(zip(self._names, state, strict=True)), (data,))
        return found["atomic_energy"].detach(), found["edge_forces"].detach()


def label_errors(model: Any, labels: Sequence[Atoms]) -> dict[str, float]:
    """Give root mean square errors on labels, and keep them comparable between models.

    Parameters
    ----------
    model
        A `PaddedNetwork`.
    labels
        With `REF_energy`, `REF_forces` and, where there is one, `REF_stress`.

    Returns
    -------
    dict
        `energy_meV_atom`, `forces_eV_A`, and `stress_GPa` where there are stresses.
    """
    energies, forces, stresses = [], [], []
    for begin in range(0, len(labels), AT_ONCE):
        batch = labels[begin : begin + AT_ONCE]
        counts = np.array([len(atoms) for atoms in batch])
        model.place(batch)
        found = model(
            torch.as_tensor(np.concatenate([atoms.positions for atoms in batch])).to(model.device),
            torch.as_tensor(np.array([atoms.cell.array for atoms in batch])).to(model.device),
        )
        known = np.array([atoms.info["REF_energy"] for atoms in batch])
        energies.append(1e3 * (found["energy"].cpu().numpy() - known) / counts)
        known = np.concatenate([atoms.arrays["REF_forces"] for atoms in batch])
        forces.append(found["forces"].cpu().numpy() - known)
        for atoms, stress in zip(batch, found["stress"].cpu().numpy(), strict=True):
            if "REF_stress" in atoms.info:
                known = np.asarray(atoms.info["REF_stress"])
                ours = stress if known.size == 9 else full_3x3_to_voigt_6_stress(stress)
                stresses.append((ours.reshape(-1) - known.reshape(-1)) / units.GPa)
    errors = {
        "energy_meV_atom": _rms(np.concatenate(energies)),
        "forces_eV_A": _rms(np.concatenate(forces)),
    }
    return errors | ({"stress_GPa": _rms(np.concatenate(stresses))} if stresses else {})


def check_shortcuts(short: Any, exact: Any, labels: Sequence[Atoms]) -> dict[str, dict[str, float]]:
    """Compare a network with shortcuts with the network itself, on labels.

    Parameters
    ----------
    short, exact
        A `PaddedNetwork` each.
    labels
        As in `label_errors`: test labels.

    Returns
    -------
    dict
        Errors with and without the shortcuts, for `record.json`.

    Raises
    ------
    PotentialError
        If an error is larger by more than `WORSE` with the shortcuts.
    """
    if not labels:
        raise PotentialError("shortcuts: there are no labels to verify them with")
    errors = {"exact": label_errors(exact, labels), "short": label_errors(short, labels)}
    worse = [
        f"{name} {errors['short'][name]:.4g}, exact {value:.4g}"
        for name, value in errors["exact"].items()
        if not errors["short"][name] <= WORSE * value
    ]
    if worse:
        raise PotentialError(
            f"shortcuts {', '.join(short.shortcuts)}: errors on {len(labels)} labels grow by more "
            f"than {WORSE - 1:.0%}: {'; '.join(worse)}: take them out of md.shortcuts"
        )
    return errors


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))
