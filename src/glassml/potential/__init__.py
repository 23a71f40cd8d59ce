"""NequIP potentials: training, packages, compiled models, verification and gates.

Files of a member, `potential/g{generation}/m{member}/`
    `train.yaml`
        The trainer's configuration as `nequip-train` reads it; a comment where a package was given.
    `model.nequip.zip`
        The potential: a NequIP package with the averaged weights of the best epoch.
    `history.csv`
        One row per epoch: epoch, seconds, learning_rate, train_loss, validation_loss,
        validation_energy_mae_meV_per_atom, validation_force_mae_eV_per_A,
        validation_stress_mae_GPa. Only a header where a package was given.
    `errors.csv`
        set (train, validation, test), group (all, disordered, config_type, species), name,
        quantity (energy, force, stress), unit (meV/atom, eV/Å, GPa), values, mae, rmse, max.
        Energies are total energies per atom, forces and stresses are taken by component (all nine
        of the stress). Disordered is liquid and glass, also under pressure.
    `parity.csv`
        set, config_id, config_type, atoms, quantity, species (of forces), component, label,
        prediction; energies in eV/atom, forces in eV/Å, stress in GPa (tension positive).
    `compiled/`
        `compiled.json`: backend ("aotinductor", "cuda_graph" or "eager"), reason, machine
        (device, processor, versions of torch and nequip); `model.nequip.pt2` where backend is
        "aotinductor".
    `verification.json`
        passed (always true: a refused potential leaves `refused.json` and no `verification.json`),
        checks (name, value, bound, unit, passed), backend, reason, machine.
    `training/`
        Checkpoints, a folder per training, so that a killed one goes on; may be deleted.
Files of a generation, `potential/g{generation}/`
    `gates.json`
        status ("red", "amber", "green"; "unknown" where nothing could be judged), gates (status
        by name: calibration, curves, dimers, errors, stability; equations, glasses, phonons and
        rotations where the configuration asks for them), results (gate, name, value or null,
        threshold, unit, status, note): green up to the threshold.
    `gates/{gate}.json`, `gates/{gate}.csv`
        The same of one gate, and the curves behind it: curves has config_id, set, member, label,
        prediction (eV/atom), polymorph, volume_A3_per_atom; dimers has member, name, distance_A,
        energy_eV; equations has polymorph, member, config_id, a_A, c_A, volume_A3, label_eV,
        prediction_eV (per SiO2); glasses has glass, member, label_angle_deg, angle_deg,
        label_volume_A3, volume_A3 (per SiO2); phonons has crystal, member, wave_vector, mode,
        label_THz, prediction_THz; rotations has parent, crystal, member, angle_deg, label_eV,
        prediction_eV (per atom); stability has name, picoseconds, wanted_ps, event.
    `model_card.md`, `model_card.json`
        What the potential is, what it was made from, its gates and errors, versions.
    `exploration/` (of all generations but the last)
        `runs/{run}.extxyz`, `.csv`: candidates (`info["error_eV_per_A"]` is the estimated error of
        the worst force), and a row per trajectory: run, trajectory, start, picoseconds, accurate,
        candidate, failed (counts), largest_error_eV_per_A, event, seconds. `candidates.csv`:
        config_id, run, error_eV_per_A, distance, chosen (rank, or empty). `selected.extxyz`, and
        `labels.extxyz`, `labels.csv` as the stage dft writes them.
Files of a campaign, `potential/`
    `phonons/{crystal}/`
        `displaced.extxyz`, and `labels.extxyz`, `labels.csv` as the stage dft writes them.
"""

from glassml.potential.calculators import load_calculator
from glassml.potential.packages import PotentialError

__all__ = ["PotentialError", "load_calculator"]
