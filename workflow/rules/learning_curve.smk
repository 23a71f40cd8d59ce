"""The study of errors against the number of labels.

It runs when `report.include` or a target names its tables.
"""

CURVE = f"{RESULTS}/studies/learning_curve"


use rule train_variant as train_subset with:
    output:
        config=f"{CURVE}/{{labels}}/train.yaml",
        package=f"{CURVE}/{{labels}}/model.nequip.zip",
        history=f"{CURVE}/{{labels}}/history.csv",
    log:
        f"{LOGS}/studies/learning_curve/{{labels}}/train.log",
    benchmark:
        f"{BENCHMARKS}/studies/learning_curve/train_{{labels}}.tsv"
    params:
        folder=subpath(output.package, parent=True),
        settings=[
            CAMPAIGN.potential.model.model_dump(mode="json"),
            CAMPAIGN.potential.training.model_dump(mode="json"),
        ],
        seed=CAMPAIGN.seed,
        code=code_digest("potential train"),
        which=lambda wildcards: f"--generation 0 --member 0 --labels {wildcards.labels}",
    message:
        "Learning curve: training on {wildcards.labels} labels"


use rule evaluate_variant as evaluate_subset with:
    input:
        config=ancient(CONFIG),
        package=rules.train_subset.output.package,
        train=rules.train_variant.input.train,
        validation=rules.train_variant.input.validation,
        test=rules.evaluate_variant.input.test,
    output:
        parity=f"{CURVE}/{{labels}}/parity.csv",
        errors=f"{CURVE}/{{labels}}/errors.csv",
    log:
        f"{LOGS}/studies/learning_curve/{{labels}}/evaluate.log",
    benchmark:
        f"{BENCHMARKS}/studies/learning_curve/evaluate_{{labels}}.tsv"
    message:
        "Learning curve: predicting all labels after {wildcards.labels}"


rule studies_learning_curve:
    input:
        config=ancient(CONFIG),
        train=rules.train_variant.input.train,
        errors=expand(
            rules.evaluate_subset.output.errors,
            labels=CAMPAIGN.potential.learning_curve.names(),
        ),
    output:
        table=f"{CURVE}/learning_curve.csv",
        fit=f"{CURVE}/learning_curve_fit.csv",
        figure=f"{CURVE}/learning_curve.png",
    log:
        f"{LOGS}/studies/learning_curve/learning_curve.log",
    benchmark:
        f"{BENCHMARKS}/studies/learning_curve/learning_curve.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(5),
    params:
        folder=subpath(output.table, parent=True),
        gates=CAMPAIGN.potential.gates.model_dump(mode="json"),
        code=code_digest("studies learning-curve"),
    message:
        "Learning curve: errors against the number of labels"
    shell:
        "glassml studies learning-curve --config {input.config} --folder {params.folder}"
        " --train {input.train} --table {output.table} --fit {output.fit}"
        " --figure {output.figure} > {log} 2>&1"
