"""Train, validation and test sets, split by parent, with a manifest.

Files
-----
All in `dataset/g{generation}/`.

`train.extxyz`, `validation.extxyz`, `test.extxyz`
    Labelled structures: `info` has `config_id`, `family`, `config_type`, `parent`, `seed`, the
    labels `REF_energy` (eV) and, where there is one, `REF_stress` (eV/Å³, Voigt xx, yy, zz, yz,
    xz, xy, tension positive), and `recipe` and `label_key` of the calculation; the array
    `REF_forces` is in eV/Å. No parent is in two of them. Isolated atoms are in none.
`flagged.extxyz`
    Structures with labels that a filter keeps out; `info["flags"]` says which. May be empty.
`isolated_atoms.json`
    Energy of each isolated atom in eV by symbol, `{"O": …, "Si": …}`; `{}` without such a family.
`flags.csv`
    One row per configuration of all shards and included files: `config_id`, `family`,
    `config_type`, `parent`, `source`, `set` (`train`, `validation`, `test`, `excluded`,
    `isolated`), `flags` (comma-separated: `force`, `stress`, `short_bond`, `duplicate`;
    `unconverged`, `refused`, `unusable` have no label), `reason`, `atoms`, `energy_eV_per_atom`,
    `largest_force_eV_A`, `pressure_GPa`, `density_g_cm3`.
`statistics.csv`
    One row per family, and `all`: counts per set, parents, ranges of size, energy, force,
    pressure, density.
`manifest.json`
    `campaign`, `generation`, `seed`, `dft` and `dataset` settings, `included` (SHA-256 by path),
    `counts`, `parents` and `flags` by name, `taught` (how many of `train` a potential labelled),
    `moved_to_fill_a_set` (parents that small sets forced to change sides), `files` (SHA-256 by
    name), `versions`.

The set of a parent follows from its name and the campaign's seed (`glassml.dataset.split`), so
that it stays when families grow, and in every generation.
"""
