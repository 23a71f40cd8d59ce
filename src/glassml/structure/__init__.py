"""Structure factors, the FSDP, rings and their shape, network, voids: of any structure.

Use `from glassml.structure import find_rings, structure_factor, …`; definitions are in
`docs/structure.md`.

Files of a glass, `results/{campaign}/structure/{state}/{glass}/`. Distances in Å, Q in Å⁻¹,
angles in degrees; `…_error` are standard errors; an empty field is a number that is not there.

`network.json`
    `status`: "analysed", or "set aside" with a `reason` (a run that did not finish, no network):
    then all tables have a header only. `state`, `glass`, `frames`, `atoms`, `si`, `cutoff_A`;
    `observables`: by name `{"mean", "error"}` over frames: `density_g_cm3`,
    `coordination_Si_4` (share of Si with 4 O), …, `coordination_Si_mean`, `coordination_O_2` …,
    `Q4` …, `non_bridging_O` (share with one Si), `pairs_sharing_1_O_per_si` (2: edges) …,
    `bond_Si-O_mean_A`, `bond_Si-O_sd_A`, `angle_O-Si-O_mean_deg`, `…_sd_deg`,
    `angle_Si-O-Si_…`, `kono_z_mean_A`, `…_sd_A`, `homology_Si_loops` (per Si),
    `homology_Si_persistence_A`, `…_birth_A`, `…_death_A`, `homology_O_…` (last frame); `voids`:
    `probe_radius_A`, `grid_A`, `cavities`, `volume_fraction`, `mean_volume_A3`,
    `largest_volume_A3`.
`angles.csv`
    `angle_deg, O-Si-O_per_deg, O-Si-O_error, Si-O-Si_per_deg, Si-O-Si_error`; densities.
`gr.csv`
    `r_A, Si-Si, Si-O, O-O, Si-Si_error, Si-O_error, O-O_error, neutron, xray,
    T_neutron_per_A2, D_neutron_per_A2`; errors over frames.
`sq.csv`
    `q_per_A, counts, Si-Si, Si-O, O-O, neutron, neutron_error, xray, xray_error, NN, NC, CC`;
    Faber-Ziman and Bhatia-Thornton. `counts`: Q vectors of the bin in one frame (0 where g(r) was
    transformed, then without an error); bins without any are left out.
`fsdp.json`
    By weighting (neutron, xray) and peak (Q1, Q2, Q3): `position`, `height`, `fwhm` (may be null),
    `amplitude`, `lorentzian_fwhm`, each with `…_error`; `definition`; `reason` null. Where there
    is no peak: `position` null, `reason` says why.
`rings.csv`
    `criterion, size, count, per_si, per_si_error, fraction`; count is a mean over frames.
`ring_shape.csv`
    `criterion, atoms, size, count`, and `…_mean`, `…_sd`, `…_error` of `l1_A`, `l2_A`, `l3_A`,
    `aspect_ratio`, `roughness`; atoms "Si+O" or "Si".
`ring_slope.csv`
    `criterion, atoms, slope_A, slope_error`: d l2/dn over n = 5 … 8; empty without such rings.
`ring_aspect.csv`
    `criterion, size, aspect_ratio, density`: joint distribution of size and l2/l3 (Si+O).
`ring_centre_sq.csv`, `ring_centre_gr.csv`
    `size` ("all" or a number), `q_per_A, counts` or `r_A`, `centre-centre, centre-Si, centre-O`,
    and `contribution` to S(Q) of all centres; distinct rings of the first criterion of the
    configuration, weighted by their shares of the Si, last frame.
`kono_z.csv`
    `z_A, density_per_A, error`.
`homology.csv`
    `element, birth_A, death_A, loops`: loops of Si and of O per atom, in squares of 0.05 Å.

Files of the campaign, `structure/summary/`: means and standard errors over glasses (empty error
with a single one), one set of rows per `state`, with the number of `glasses`.

`states.csv`
    `state, glasses, set_aside, reasons, observable, mean, error`: one row per observable of
    `network.json`, and `cutoff_A`, `void_volume_fraction`.
`fsdp.csv`
    `state, glasses, weighting, peak, position, position_error, height, …, definition, reason`:
    fit of the mean over glasses; errors by bootstrap over three or more, and at least S(Q)'s noise.
`sq.csv`, `ring_centre_sq.csv`
    As of a glass, with `…_error` over glasses for each curve; `counts` is the sum over glasses.
others
    As of a glass, with an `…_error` over glasses beside each value.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "check_atoms": "frames",
    "loop_statistics": "homology",
    "persistence_diagram": "homology",
    "density_g_cm3": "network",
    "read_frames": "frames",
    "pair_distribution": "gr",
    "bond_angles": "network",
    "find_bonds": "bonds",
    "find_cutoffs": "bonds",
    "find_network": "bonds",
    "kono_z": "network",
    "q_species": "network",
    "bhatia_thornton": "scattering",
    "total_structure_factor": "scattering",
    "average": "sq",
    "broaden": "sq",
    "structure_factor": "sq",
    "transform_of_gr": "sq",
    "bootstrap_peak": "fsdp",
    "fit_peak": "fsdp",
    "NoPeakError": "fsdp",
    "find_rings": "rings.search",
    "Rings": "rings.search",
    "ring_shapes": "rings.shape",
    "shape_by_size": "rings.shape",
    "slope_of_l2": "rings.shape",
    "centre_pair_distribution": "rings.centres",
    "centre_structure_factor": "rings.centres",
    "contributions": "rings.centres",
    "write_rings": "rings.export",
    "cavities": "voids",
    "void_statistics": "voids",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: compiled libraries take a second to load."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
