"""glassml: from quantum mechanics to the structure of glass."""

from snakemake.utils import min_version

min_version("9.27")


# A config file given on the command line replaces the trial campaign, and is not merged into it.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/campaign.smk"
include: "workflow/rules/configurations.smk"
include: "workflow/rules/dft.smk"
include: "workflow/rules/dataset.smk"
include: "workflow/rules/potential.smk"
include: "workflow/rules/exploration.smk"
include: "workflow/rules/md.smk"
include: "workflow/rules/structure.smk"
include: "workflow/rules/studies.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        rules.report.output.html,
        rules.check.output,
    message:
        "Campaign {CAMPAIGN.name} is complete"
