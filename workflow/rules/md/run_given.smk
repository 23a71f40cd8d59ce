"""Runs that were made elsewhere are taken up."""


rule md_run:
    input:
        config=ancient(CONFIG),
        given=lambda wildcards: expand(
            f"{CAMPAIGN.md.given}/{wildcards.state}/{wildcards.glass}/{{file}}",
            file=GIVEN_FILES,
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
        mem_mb=megabytes(1000 + CAMPAIGN.md.atoms // 100),
        runtime=minutes(10),
    params:
        protocol=lambda wildcards: CAMPAIGN.md.settings_of(wildcards.state),
        folder=subpath(output.record, parent=True),
        code=code_digest("md adopt"),
    message:
        "Taking up {wildcards.state} of {wildcards.glass}"
    shell:
        "glassml md adopt --config {input.config} --state {wildcards.state}"
        " --glass {wildcards.glass} --output-dir {params.folder} > {log} 2>&1"
