"""Studies of a potential: size search, learning curve, generations, glasses of its variants.

Files in `results/{campaign}/studies/`:

`generations.csv`
    A row per generation: labels, errors of the worst member on the test labels of generation
    0, what the exploration found, and what all cost.
`search/`, `learning_curve/`
    A folder per variant, or per number of labels, with the files of a member (and
    `speed.json`: atoms, backend, device, ms_per_atom_step); `search.csv` (variant, its size,
    epochs, training_s, errors on test labels, ms_per_atom_step, pareto, and of variants in
    `potential.search.glasses`, empty for others: glasses (that were analysed), density_g_cm3,
    density_error, Q1_per_A, Q1_error, S_Q1, S_Q1_error (neutron FSDP of the mean over
    glasses), ring_size, ring_size_sd (mean and standard deviation of the sizes of a glass's
    King rings in Si atoms, means over glasses), each with its `…_error`), `search.png`;
    `learning_curve.csv` (labels, epochs, training_s, errors), `learning_curve_fit.csv`
    (quantity, unit, at_1000_labels, exponent, target, labels_needed), `learning_curve.png`.
`search/{variant}/md/`, `search/{variant}/structure/`
    Of variants in `potential.search.glasses`: the first state of `md.states` and its structure,
    as the stages md and structure write them. All in one: `search/search_glasses.csv`
    (variant, curve ("neutron S(Q)", x in Å⁻¹, or "King rings", x a size in Si atoms and value
    its share), x, value, error), `search/search_glasses.png`.
"""
