"""Each glass is melted and quenched by itself, by a classical potential with LAMMPS."""


rule md_start:
    input:
        config=ancient(CONFIG),
    output:
        restart=MD_START,
    log:
        f"{LOGS}/md/start/{{pressure}}GPa/{{glass}}.log",
    benchmark:
        f"{BENCHMARKS}/md/start/{{pressure}}GPa/{{glass}}.tsv"
    # Training waits for labels, dynamics for training: starts fill the cores that these leave.
    priority: -1
    conda:
        "../../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000 + CAMPAIGN.md.atoms),
        runtime=minutes(CAMPAIGN.md.start_minutes()),
    params:
        start=CAMPAIGN.md.start_settings(),
        seed=CAMPAIGN.seed,
        code=code_digest("md start"),
    message:
        "Classical melt and quench of {wildcards.glass} under {wildcards.pressure} GPa"
    shell:
        "glassml md start --config {input.config} --glass {wildcards.glass}"
        " --pressure-GPa {wildcards.pressure} --output {output.restart} > {log} 2>&1"
