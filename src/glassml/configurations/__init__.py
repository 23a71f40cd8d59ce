"""Structures to label: crystals, strained, rattled, liquid, glass, compressed.

Files
-----
`configurations/{family}/{shard}.extxyz`
    The structures of a shard, in order of their numbers; empty where all were refused. `info` has

    - `config_type`: `crystal`, `strained`, `rattled`, `liquid`, `glass`, `compressed`,
      `hot_compressed`, `decompressed`, `short_pair`, `dimer`, `isolated_atom`, `imported` or what
      an imported file says;
    - `family`; `parent`: the deformed crystal, trajectory or pair of elements that a structure
      shares with its near-copies; `config_id`: `{family}/{number:06d}`; `seed`: from which the
      candidate was drawn;
    - `REF_energy`, `REF_stress` and the array `REF_forces` only where a family of generator
      `file` imports labels.

    Positions (in the cell) and cell have 8 decimals. All are periodic in three directions.
`configurations/{family}/{shard}.csv`
    One row per number, also for those that are not in the extxyz: `config_id`, `status` (`made`,
    `refused`), `reason`, `config_type`, `parent`, `candidate` (the number drawn: differs from the
    configuration's when there are more candidates than configurations), `attempts`, `atoms`,
    `density_g_cm3`, and the shortest distances in Å where a pair is closer than 3.5 Å.

A structure depends on the campaign's seed, its family and its number (with oversampling or
duplicates also on its shard), not on the count of the family: families grow without recomputing
anything. Molecular dynamics is chaotic: trajectories are the same bit for bit on machines whose
LAMMPS rounds alike, and otherwise differ as those of another seed do.
"""
