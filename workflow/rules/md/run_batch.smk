"""All glasses of a state are moved at once: engines torch and torchsim."""


rule md_run:
    input:
        config=ancient(CONFIG),
        potential=MD_FILES,
        committee=MD_COMMITTEE,
        labels=MD_LABELS,
        start=lambda wildcards: expand(
            MD_START,
            pressure=CAMPAIGN.md.start_pressures(wildcards.state),
            glass=CAMPAIGN.md.glass_names(),
        ),
        held=lambda wildcards: CAMPAIGN.md.held_files(wildcards.state),
        parent=lambda wildcards: expand(
            f"{RESULTS}/md/{{parent}}/{{glass}}/{{file}}",
            parent=CAMPAIGN.md.begins_with(wildcards.state) or [],
            glass=CAMPAIGN.md.glass_names(),
            file=["restart.npz", "record.json"],
        ),
    output:
        **MD_ALL,
    log:
        f"{LOGS}/md/{{state}}/batch.log",
    benchmark:
        f"{BENCHMARKS}/md/{{state}}/batch.tsv"
    conda:
        "../../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(
            8000 + CAMPAIGN.md.atoms * CAMPAIGN.md.glasses, measured="md/{state}"
        ),
        runtime=minutes(lambda wildcards: CAMPAIGN.md.runtime_minutes(wildcards.state)),
        gpu=1,
    params:
        protocol=lambda wildcards: CAMPAIGN.md.settings_of(wildcards.state),
        seed=CAMPAIGN.seed,
        folder=f"{RESULTS}/md/{{state}}",
        model=MD_MODEL,
        code=code_digest("md batch", MD_UNUSED),
    message:
        "Molecular dynamics: {wildcards.state} of all glasses"
    shell:
        "glassml md batch --config {input.config} --state {wildcards.state}"
        " {params.model} --committee {input.committee} --labels {input.labels}"
        " --start {input.start} --parent {input.parent}"
        " --output-dir {params.folder} > {log} 2>&1"
