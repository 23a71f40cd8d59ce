"""Each glass is moved by itself: engines ase and lammps."""


rule md_run:
    input:
        config=ancient(CONFIG),
        potential=MD_FILES,
        committee=MD_COMMITTEE,
        start=lambda wildcards: expand(
            MD_START,
            pressure=CAMPAIGN.md.start_pressures(wildcards.state),
            glass=wildcards.glass,
        ),
        held=lambda wildcards: CAMPAIGN.md.held_files(wildcards.state),
        parent=lambda wildcards: expand(
            f"{RESULTS}/md/{{parent}}/{wildcards.glass}/{{file}}",
            parent=CAMPAIGN.md.begins_with(wildcards.state) or [],
            file=["restart.npz", "record.json"],
        ),
    output:
        **MD_EACH,
    log:
        f"{LOGS}/md/{{state}}/{{glass}}.log",
    benchmark:
        f"{BENCHMARKS}/md/{{state}}/{{glass}}.tsv"
    conda:
        "../../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000 + CAMPAIGN.md.atoms, measured="md/{state}"),
        runtime=minutes(lambda wildcards: CAMPAIGN.md.runtime_minutes(wildcards.state)),
        gpu=int(CAMPAIGN.md.engine == "ase"),
    params:
        protocol=lambda wildcards: CAMPAIGN.md.settings_of(wildcards.state),
        seed=CAMPAIGN.seed,
        folder=subpath(output.record, parent=True),
        model=MD_MODEL,
        code=code_digest("md run", MD_UNUSED),
    message:
        "Molecular dynamics: {wildcards.state} of {wildcards.glass}"
    shell:
        "glassml md run --config {input.config} --state {wildcards.state}"
        " --glass {wildcards.glass} {params.model}"
        " --committee {input.committee} --start {input.start}"
        " --parent {input.parent} --threads {threads}"
        " --output-dir {params.folder} > {log} 2>&1"
