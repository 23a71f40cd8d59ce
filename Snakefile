"""glassml: the workflow, so that `snakemake` finds it in the root of the repository."""


include: "workflow/Snakefile"


# An included file does not decide what is made by default.
workflow.default_target = "all"
