"""NequIP potentials: a committee is trained, measured against labels, compiled, verified, judged."""

POTENTIAL = f"{RESULTS}/potential/g{{generation}}"
MEMBER = f"{POTENTIAL}/m{{member}}"
MEMBERS = range(CAMPAIGN.potential.committee)


rule train_potential:
    input:
        config=ancient(rules.campaign_config.output),
        train=f"{RESULTS}/dataset/g{{generation}}/train.extxyz",
        validation=f"{RESULTS}/dataset/g{{generation}}/validation.extxyz",
        isolated_atoms=f"{RESULTS}/dataset/g{{generation}}/isolated_atoms.json",
        package=CAMPAIGN.potential.packages(),
    output:
        config=f"{MEMBER}/train.yaml",
        package=f"{MEMBER}/model.nequip.zip",
        history=f"{MEMBER}/history.csv",
    log:
        f"{LOGS}/potential/g{{generation}}/m{{member}}/train.log",
    benchmark:
        f"{BENCHMARKS}/potential/train/g{{generation}}_m{{member}}.tsv"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60 + round(CAMPAIGN.potential.training.max_minutes),
    params:
        folder=subpath(output.package, parent=True),
        mode=CAMPAIGN.potential.mode,
        model=CAMPAIGN.potential.model.model_dump(mode="json"),
        training=CAMPAIGN.potential.training.model_dump(mode="json"),
        seed=CAMPAIGN.seed,
        code=code_digest("potential"),
    message:
        "Training member {wildcards.member} of generation {wildcards.generation}"
    shell:
        "glassml potential train --config {input.config}"
        " --generation {wildcards.generation} --member {wildcards.member}"
        " --train {input.train} --validation {input.validation}"
        " --isolated-atoms {input.isolated_atoms}"
        " --folder {params.folder} --threads {threads} > {log} 2>&1"


rule evaluate_potential:
    input:
        config=ancient(rules.campaign_config.output),
        package=rules.train_potential.output.package,
        train=rules.train_potential.input.train,
        validation=rules.train_potential.input.validation,
        test=f"{RESULTS}/dataset/g{{generation}}/test.extxyz",
    output:
        parity=f"{MEMBER}/parity.csv",
        errors=f"{MEMBER}/errors.csv",
    log:
        f"{LOGS}/potential/g{{generation}}/m{{member}}/evaluate.log",
    benchmark:
        f"{BENCHMARKS}/potential/evaluate/g{{generation}}_m{{member}}.tsv"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        code=code_digest("potential"),
    message:
        "Predicting all labels with member {wildcards.member}"
    shell:
        "glassml potential evaluate --config {input.config} --package {input.package}"
        " --train {input.train} --validation {input.validation} --test {input.test}"
        " --parity {output.parity} --errors {output.errors} > {log} 2>&1"


rule compile_potential:
    input:
        config=ancient(rules.campaign_config.output),
        package=rules.train_potential.output.package,
    output:
        folder=directory(f"{MEMBER}/compiled"),
    log:
        f"{LOGS}/potential/g{{generation}}/m{{member}}/compile.log",
    benchmark:
        f"{BENCHMARKS}/potential/compile/g{{generation}}_m{{member}}.tsv"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        compile=CAMPAIGN.potential.compile,
        code=code_digest("potential"),
    message:
        "Compiling member {wildcards.member} for this machine"
    shell:
        "glassml potential compile --config {input.config} --package {input.package}"
        " --folder {output.folder} --threads {threads} > {log} 2>&1"


rule verify_potential:
    input:
        config=ancient(rules.campaign_config.output),
        package=rules.train_potential.output.package,
        compiled=rules.compile_potential.output.folder,
        test=rules.evaluate_potential.input.test,
    output:
        f"{MEMBER}/verification.json",
    log:
        f"{LOGS}/potential/g{{generation}}/m{{member}}/verify.log",
    benchmark:
        f"{BENCHMARKS}/potential/verify/g{{generation}}_m{{member}}.tsv"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        bounds=CAMPAIGN.potential.verification.model_dump(mode="json"),
        code=code_digest("potential"),
    message:
        "Verifying member {wildcards.member} before it is used"
    shell:
        "glassml potential verify --config {input.config} --package {input.package}"
        " --compiled {input.compiled} --test {input.test} --output {output} > {log} 2>&1"


rule potential_gates:
    input:
        config=ancient(rules.campaign_config.output),
        errors=expand(f"{MEMBER}/errors.csv", member=MEMBERS, allow_missing=True),
        verified=expand(
            f"{MEMBER}/verification.json", member=MEMBERS, allow_missing=True
        ),
    output:
        f"{POTENTIAL}/gates.json",
    log:
        f"{LOGS}/potential/g{{generation}}/gates.log",
    benchmark:
        f"{BENCHMARKS}/potential/gates/g{{generation}}.tsv"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        gates=CAMPAIGN.potential.gates.model_dump(mode="json"),
        code=code_digest("potential"),
    message:
        "Judging the committee of generation {wildcards.generation}"
    shell:
        "glassml potential gates --config {input.config} --errors {input.errors}"
        " --output {output} > {log} 2>&1"
