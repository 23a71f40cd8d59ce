"""The parts of a step of a batch before and after its forces, as functions that can be compiled."""

import torch

from glassml.potential.edges import volumes


def before_forces(
    positions: torch.Tensor,
    momenta: torch.Tensor,
    cells: torch.Tensor,
    forces: torch.Tensor,
    masses: torch.Tensor,
    system: torch.Tensor,
    sizes: torch.Tensor,
    strain_momenta: torch.Tensor,
    strain_forces: torch.Tensor,
    barostat_masses: torch.Tensor,
    half: torch.Tensor,
    targets: torch.Tensor,
    noise: torch.Tensor | None,
    strain_noise: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Make the part of a step that comes before the forces: BAOA.

    Parameters
    ----------
    positions, momenta, cells, forces, masses, system, sizes
        Of the batch.
    strain_momenta, strain_forces, barostat_masses
        Of the boxes.
    half
        Half a time step, a number.
    targets
        Rates of thermostat and barostat, and k T.
    noise, strain_noise
        Normal random numbers for the atoms, None without a thermostat; for the boxes, None at
        constant volume.

    Returns
    -------
    positions, momenta, cells, strain_momenta
    """
    npt = strain_noise is not None
    if npt:
        strain_momenta = strain_momenta + half * strain_forces
    momenta = momenta + half * forces
    if npt:
        factor = torch.exp(half * strain_momenta / barostat_masses)
        cells, positions = cells * factor[:, None, None], positions * factor[system, None]
    positions = positions + half * momenta / masses[:, None]
    if noise is not None:
        rate, barostat_rate, thermal = targets[0], targets[1], targets[2]
        friction = rate + torch.zeros_like(strain_momenta)
        if npt:
            friction = friction + (1.0 + 1.0 / sizes) * strain_momenta / barostat_masses
        width = (thermal * (1.0 - torch.exp(-4.0 * rate * half))).sqrt()
        damped = momenta * torch.exp(-2.0 * friction * half)[system, None]
        momenta = damped + width * masses[:, None].sqrt() * noise
        if strain_noise is not None:
            width = (thermal * (1.0 - torch.exp(-4.0 * barostat_rate * half))).sqrt()
            damped = strain_momenta * torch.exp(-2.0 * barostat_rate * half)
            strain_momenta = damped + width * barostat_masses.sqrt() * strain_noise
    positions = positions + half * momenta / masses[:, None]
    if npt:
        factor = torch.exp(half * strain_momenta / barostat_masses)
        cells, positions = cells * factor[:, None, None], positions * factor[system, None]
    return positions, momenta, cells, strain_momenta


def forces_on_strain(
    momenta: torch.Tensor,
    masses: torch.Tensor,
    membership: torch.Tensor,
    sizes: torch.Tensor,
    cells: torch.Tensor,
    stress: torch.Tensor,
    targets: torch.Tensor,
) -> torch.Tensor:
    """Give the force on the logarithm of each box's edge, in eV.

    Parameters
    ----------
    momenta, masses, membership, sizes, cells, stress
        Of the batch.
    targets
        The last of the four is the wanted pressure in eV/Å³.
    """
    twice_kinetic = membership @ ((momenta**2).sum(dim=1) / masses)
    volume = volumes(cells)
    trace = stress.diagonal(dim1=1, dim2=2).sum(dim=1)
    return twice_kinetic * (1.0 + 1.0 / sizes) - volume * (trace + 3.0 * targets[3])


def after_forces(
    momenta: torch.Tensor,
    forces: torch.Tensor,
    masses: torch.Tensor,
    membership: torch.Tensor,
    sizes: torch.Tensor,
    cells: torch.Tensor,
    stress: torch.Tensor,
    strain_momenta: torch.Tensor,
    half: torch.Tensor,
    targets: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Make the part of a step with a barostat that comes after the forces: B.

    Parameters
    ----------
    momenta, forces, masses, membership, sizes, cells, stress, strain_momenta, half, targets
        As in `before_forces` and `forces_on_strain`.

    Returns
    -------
    momenta, strain_momenta, strain_forces
    """
    strain_forces = forces_on_strain(momenta, masses, membership, sizes, cells, stress, targets)
    return momenta + half * forces, strain_momenta + half * strain_forces, strain_forces
