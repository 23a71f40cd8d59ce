"""Labels: energy, forces and stress of each structure, by GPAW.

Files
-----
`dft/{family}/{shard}.extxyz`
    The labelled structures of a shard: what `glassml.configurations` gave them, and
    `REF_energy` (eV, free energy), `REF_forces` (eV/Å), `REF_stress` (eV/Å³, Voigt xx, yy, zz, yz,
    xz, xy, tension positive; isolated atoms have none), `recipe`, `label_key`.
`dft/{family}/{shard}.csv`
    One row per configuration: `config_id`, `config_type`, `family`, `parent`, `atoms`, `status`
    (`converged`, `failed`, `refused`, `imported`), `reason`, `recipe`, `attempts`, `iterations`,
    `seconds`, `label_key`.
`dft/seeded.json`
    By file of `dft.seed_labels`: how many labels were `taken`, how many have `other_settings`.
`dft/convergence.csv`
    One row per structure, parameter and value: `structure`, `parameter`, `value`, `production`,
    `kpoints`, the errors against the finest value of the parameter (`energy_meV_per_atom`,
    `energy_difference_meV_per_atom` to the first structure, `force_max_eV_per_A`,
    `force_rms_eV_per_A`, `stress_max_GPa`), `pressure_GPa`, `iterations`, `seconds`.
`dft/polymorphs.csv`
    One row per polymorph: `polymorph`, `atoms`, `kpoints`, `volumes` (how many were fitted);
    `volume_A3_per_SiO2`, `bulk_modulus_GPa` with `_error_`, `bulk_modulus_derivative`,
    `energy_eV_per_SiO2`, `energy_above_quartz_eV_per_SiO2`, `fit_rms_meV_per_SiO2` of the
    Birch-Murnaghan fit; `atomisation_energy_eV_per_SiO2`; `pressure_by_stress_GPa`, `a_A` …
    `gamma_deg` (conventional cell), `density_g_cm3`, `shortest_Si_O_A` of the cell relaxed at the
    fitted volume; `measured_volume_A3_per_SiO2`, `measured_bulk_modulus_GPa`,
    `measured_energy_above_quartz_eV_per_SiO2`, empty where unknown.
`dft/polymorph_volumes.csv`
    `polymorph`, `volume_ratio` (to the measured volume), `volume_A3_per_SiO2`,
    `energy_eV_per_SiO2`, `pressure_by_stress_GPa`, `steps`: the volumes of the scan, then one row
    per polymorph at its fitted volume.
`dft/polymorphs.extxyz`
    The structures of these rows, at rest, in the same order, as labelled configurations of a
    family `polymorphs`, with `polymorph` and `volume_ratio`.
"""
