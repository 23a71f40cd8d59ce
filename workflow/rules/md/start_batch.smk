"""All glasses are melted and quenched at once, with torch: by a classical potential, a student."""


rule md_start:
    input:
        config=ancient(CONFIG),
        student=CAMPAIGN.md.student_packages(),
        labels=MD_LABELS if CAMPAIGN.md.student else [],
    output:
        restart=expand(MD_START, **MD_GLASSES),
    log:
        f"{LOGS}/md/start/{{pressure}}GPa/batch.log",
    benchmark:
        f"{BENCHMARKS}/md/start/{{pressure}}GPa/batch.tsv"
    conda:
        "../../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(8000 + CAMPAIGN.md.atoms * CAMPAIGN.md.glasses),
        runtime=minutes(CAMPAIGN.md.start_minutes()),
        gpu=1,
    params:
        start=CAMPAIGN.md.start_settings(),
        seed=CAMPAIGN.seed,
        folder=subpath(output[0], ancestor=2),
        code=code_digest("md starts"),
    message:
        "Melt and quench of all glasses under {wildcards.pressure} GPa"
    shell:
        "glassml md starts --config {input.config} --pressure-GPa {wildcards.pressure}"
        " --labels {input.labels} --output-dir {params.folder} > {log} 2>&1"
