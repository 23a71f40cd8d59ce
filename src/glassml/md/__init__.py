"""Glasses and compressed states by molecular dynamics.

A run takes one glass to one state: it begins with a melt or where the parent state ended, goes
through the state's stages, and leaves in `results/{campaign}/md/{state}/{glass}/`:

`record.json`
    How it went. `status` is "finished"; "stopped" (a guard tripped: `reason` says why, and
    `offending_frame` has `symbols`, `positions_A`, `cell_A`, `velocities_A_per_ps`, and `atom`, the
    index of the one to blame); or "skipped"
    (the parent was stopped or skipped: `reason` is the first cause). Further: `state`, `glass`,
    `parent`, `protocol` (the stages, counted in steps), `stages` (for each: `name`, `start_fs`,
    `end_fs`, and `frames`, [first, last + 1] in the trajectory), `coupling`, `limits`, `seed`,
    `dynamics_seed`, `origin`, `potential` (`path`, `sha256`, `backend`, `device`, `threads`),
    `engine`, `versions`, `atoms`, `formula`, `steps`, `seconds`, `seconds_per_step`, `pieces` (1 +
    number of continuations), `warnings`, `largest_force_spread_eV_A` (of the committee; null where
    none was asked).
`final.extxyz`
    The end, wrapped into the box, with momenta; `info` has `state`, `glass`, `status`,
    `temperature_K`, `density_g_cm3`. After a stop it is the last sample that passed the guards
    (engine lammps: the last frame).
`trajectory.h5md`
    H5MD 1.1 by MDAnalysis: positions in Å (unwrapped), velocities in Å/ps, box in Å, time in ps,
    step; `observables/stage` is the index of the stage; `particles/trajectory/species` has the
    atomic numbers; the attribute `json` of `parameters/glassml` says where it comes from
    (potential's hash, protocol, seed, versions). Open it with `glassml.md.outputs.read_trajectory`,
    which gives a universe with elements. A skipped run has one frame: where its parent ended.
`series.csv`
    `time_fs, stage, temperature_K, pressure_GPa, density_g_cm3, volume_A3, potential_energy_eV,
    kinetic_energy_eV, total_energy_eV`; stage by name; time from the beginning of the state;
    pressure with the kinetic part, compression positive; temperature over 3N components.
`restart.npz`
    `numbers`, `positions`, `momenta`, `cell` in double precision and ASE's units: what a child
    begins with.
`offered.extxyz`
    Only after a stop because the committee disagreed: the frame, or a cell cut from it around the
    atom with the largest spread, with `info` as configurations have that active learning offers for
    labelling (`error_eV_per_A` is the spread in the glass).
`lammps/`
    Only with engine lammps: the inputs of LAMMPS, whole, and its logs.
`checkpoint/`
    Only while a run is unfinished; see `glassml.md.checkpoint`.
"""

#: Files of a run, by short names.
RUN_FILES = {
    "final": "final.extxyz",
    "trajectory": "trajectory.h5md",
    "series": "series.csv",
    "record": "record.json",
    "restart": "restart.npz",
}
#: What `glassml md moduli` calculates of a run, if asked to.
MODULI_FILE = "moduli.json"
#: Files of a run that is kept to be taken up elsewhere.
GIVEN_FILES = ("record.json", "series.csv.gz", "frames.extxyz.gz", "final.extxyz.gz")
