"""Glasses by molecular dynamics: melt-quench, compression and recovery."""

import re

from glassml.md import GIVEN_FILES, RUN_FILES


wildcard_constraints:
    state="|".join(re.escape(state) for state in CAMPAIGN.md.states),
    pressure="|".join(map(re.escape, CAMPAIGN.md.start_pressures())) or "0",


MD_POTENTIAL = f"{RESULTS}/potential/g{CAMPAIGN.potential.generations - 1}"
if CAMPAIGN.md.potential == "trained":
    MD_FILES = [
        f"{MD_POTENTIAL}/m0/model.nequip.zip",
        f"{MD_POTENTIAL}/gates.json",
        f"{MD_POTENTIAL}/m0/verification.json",
    ]
    MD_MODEL = "--potential {} --gates {}".format(*MD_FILES)
    if CAMPAIGN.md.engine == "ase":
        MD_FILES.append(f"{MD_POTENTIAL}/m0/compiled")
        MD_MODEL += f" --compiled {MD_FILES[-1]}"
else:  # a published potential, as a negative control
    MD_FILES = []
    MD_MODEL = f"--potential {CAMPAIGN.md.potential}"
MD_COMMITTEE = [
    f"{MD_POTENTIAL}/m{member}/model.nequip.zip"
    for member in CAMPAIGN.md.committee_members(CAMPAIGN.potential.committee)
]
# Shortcuts of a network are verified on test labels.
MD_LABELS = [
    f"{RESULTS}/dataset/g{CAMPAIGN.potential.generations - 1}/test.extxyz"
    for _ in CAMPAIGN.md.network_shortcuts()[:1]
]
MD_GLASS = f"{RESULTS}/md/{{state}}/{{glass}}"
MD_GLASSES = {"glass": CAMPAIGN.md.glass_names(), "allow_missing": True}
MD_START = f"{RESULTS}/md/start/{{pressure}}GPa/{{glass}}/restart.npz"
# What a run leaves, by the names of the rule's outputs: of one glass, and of all of a state.
MD_EACH = {name: f"{MD_GLASS}/{file}" for name, file in RUN_FILES.items()}
MD_ALL = {name: expand(path, **MD_GLASSES) for name, path in MD_EACH.items()}
MD_MODULES = {
    "lammps": ["lammps_input", "lammps_run"],
    "torch": ["torchmd"],
    "torchsim": ["torchsim"],
}
# What the commands import and this campaign does not use: changes there rerun nothing.
MD_UNUSED = [
    f"md.engines.{module}"
    for engine, modules in MD_MODULES.items()
    for module in modules
    if engine != CAMPAIGN.md.engine
]
if CAMPAIGN.md.potential == "trained" and not MD_COMMITTEE:
    MD_UNUSED += ["md.engines.pair_loading", "configurations.pair_potentials"]


include: "md/start_batch.smk" if CAMPAIGN.md.engine == "torch" else "md/start_each.smk"
include: f"md/run_{CAMPAIGN.md.way_of_running()}.smk"
