"""NequIP potentials: a committee is trained, measured against labels, compiled, verified, judged."""

POTENTIAL = f"{RESULTS}/potential/g{{generation}}"
MEMBER = f"{POTENTIAL}/m{{member}}"
MEMBERS = range(CAMPAIGN.potential.committee)
PHONONS = f"{RESULTS}/potential/phonons/{{crystal}}"
CRYSTALS = CAMPAIGN.potential.gates.phonons.crystals


wildcard_constraints:
    crystal="[a-z_]+",


rule train_potential:
    input:
        config=ancient(CONFIG),
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
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(3000, measured="potential/train"),
        runtime=minutes(60 + round(CAMPAIGN.potential.training.max_minutes)),
        gpu=1,
    params:
        folder=subpath(output.package, parent=True),
        mode=CAMPAIGN.potential.mode,
        model=CAMPAIGN.potential.model.model_dump(mode="json"),
        training=CAMPAIGN.potential.training.model_dump(mode="json"),
        seed=CAMPAIGN.seed,
        code=code_digest("potential train"),
        which=lambda wildcards: f"--generation {wildcards.generation} --member {wildcards.member}",
    message:
        "Training member {wildcards.member} of generation {wildcards.generation}"
    shell:
        "glassml potential train --config {input.config}"
        " {params.which} --train {input.train} --validation {input.validation}"
        " --isolated-atoms {input.isolated_atoms}"
        " --folder {params.folder} --threads {threads} > {log} 2>&1"


rule evaluate_potential:
    input:
        config=ancient(CONFIG),
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
    # Compiling takes longest, so that it begins first: predictions fill the cores that it leaves.
    priority: -1
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(3000, measured="potential/evaluate"),
        runtime=minutes(60),
        gpu=1,
    params:
        code=code_digest("potential evaluate"),
    message:
        "Predicting all labels with member {wildcards.member}"
    shell:
        "glassml potential evaluate --config {input.config} --package {input.package}"
        " --train {input.train} --validation {input.validation} --test {input.test}"
        " --parity {output.parity} --errors {output.errors} > {log} 2>&1"


rule compile_potential:
    input:
        config=ancient(CONFIG),
        package=rules.train_potential.output.package,
    output:
        folder=directory(f"{MEMBER}/compiled"),
    log:
        f"{LOGS}/potential/g{{generation}}/m{{member}}/compile.log",
    benchmark:
        f"{BENCHMARKS}/potential/compile/g{{generation}}_m{{member}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(3000),
        runtime=minutes(60),
        gpu=1,
    params:
        compile=CAMPAIGN.potential.compile,
        code=code_digest("potential compile"),
    message:
        "Compiling member {wildcards.member} for this machine"
    shell:
        "glassml potential compile --config {input.config} --package {input.package}"
        " --folder {output.folder} --threads {threads} > {log} 2>&1"


rule verify_potential:
    input:
        config=ancient(CONFIG),
        package=rules.train_potential.output.package,
        compiled=rules.compile_potential.output.folder,
        labels=rules.train_potential.input.train,
    output:
        f"{MEMBER}/verification.json",
    log:
        f"{LOGS}/potential/g{{generation}}/m{{member}}/verify.log",
    benchmark:
        f"{BENCHMARKS}/potential/verify/g{{generation}}_m{{member}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(3000),
        runtime=minutes(60),
        gpu=1,
    params:
        bounds=CAMPAIGN.potential.verification.model_dump(mode="json"),
        code=code_digest("potential verify"),
    message:
        "Verifying member {wildcards.member} before it is used"
    shell:
        "glassml potential verify --config {input.config} --package {input.package}"
        " --compiled {input.compiled} --labels {input.labels} --output {output} > {log} 2>&1"


rule displace_crystal:
    input:
        config=ancient(CONFIG),
        structures=CAMPAIGN.potential.gates.phonons.structures or [],
    output:
        f"{PHONONS}/displaced.extxyz",
    log:
        f"{LOGS}/potential/phonons/{{crystal}}/displace.log",
    benchmark:
        f"{BENCHMARKS}/potential/phonons/displace_{{crystal}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(5),
    params:
        phonons=CAMPAIGN.potential.gates.phonons.model_dump(
            mode="json", exclude={"crystals", "rms_THz"}
        ),
        code=code_digest("potential displace"),
    message:
        "Displacing the atoms of {wildcards.crystal}"
    shell:
        "glassml potential displace {wildcards.crystal} --config {input.config}"
        " --output {output} > {log} 2>&1"


use rule dft_label as label_displaced with:
    input:
        config=ancient(CONFIG),
        seeded=rules.dft_seed.output,
        structures=rules.displace_crystal.output,
    output:
        labels=f"{PHONONS}/labels.extxyz",
        table=f"{PHONONS}/labels.csv",
    log:
        f"{LOGS}/potential/phonons/{{crystal}}/label.log",
    benchmark:
        f"{BENCHMARKS}/potential/phonons/label_{{crystal}}.tsv"
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(24 * 60),
    message:
        "Labelling the displaced cells of {wildcards.crystal}"


rule potential_gate:
    input:
        config=ancient(CONFIG),
        packages=expand(
            rules.train_potential.output.package, member=MEMBERS, allow_missing=True
        ),
        compiled=expand(
            rules.compile_potential.output.folder, member=MEMBERS, allow_missing=True
        ),
        verified=expand(
            rules.verify_potential.output, member=MEMBERS, allow_missing=True
        ),
        errors=expand(
            rules.evaluate_potential.output.errors, member=MEMBERS, allow_missing=True
        ),
        parity=expand(
            rules.evaluate_potential.output.parity, member=MEMBERS, allow_missing=True
        ),
        labels=[
            rules.train_potential.input.train,
            rules.train_potential.input.validation,
            rules.evaluate_potential.input.test,
        ],
        extra=lambda wildcards: {
            "phonons": expand(rules.label_displaced.output.labels, crystal=CRYSTALS),
            "equations": CAMPAIGN.potential.gates.equations.labels,
            "glasses": CAMPAIGN.potential.gates.glasses.labels,
            "rotations": CAMPAIGN.potential.gates.rotations.labels,
        }.get(wildcards.gate, []),
    output:
        results=f"{POTENTIAL}/gates/{{gate}}.json",
        table=f"{POTENTIAL}/gates/{{gate}}.csv",
    log:
        f"{LOGS}/potential/g{{generation}}/gate_{{gate}}.log",
    benchmark:
        f"{BENCHMARKS}/potential/gate/g{{generation}}_{{gate}}.tsv"
    wildcard_constraints:
        gate="|".join(CAMPAIGN.potential.gate_names()),
    conda:
        "../envs/glassml.yaml"
    threads: lambda wildcards: gate_threads(wildcards.gate)
    resources:
        mem_mb=megabytes(lambda wildcards: 3000 * gate_threads(wildcards.gate)),
        runtime=minutes(60),
        gpu=1,
    params:
        members=expand(MEMBER, member=MEMBERS, allow_missing=True),
        gates=CAMPAIGN.potential.gates.model_dump(mode="json"),
        seed=CAMPAIGN.seed,
        code=code_digest("potential gate"),
    message:
        "Judging the committee of generation {wildcards.generation}: {wildcards.gate}"
    shell:
        "glassml potential gate {wildcards.gate} --config {input.config}"
        " --members {params.members} --labels {input.labels}"
        " --extra {input.extra} --processes {threads}"
        " --output {output.results} --table {output.table} > {log} 2>&1"


rule potential_gates:
    input:
        config=ancient(CONFIG),
        results=expand(
            rules.potential_gate.output.results,
            gate=CAMPAIGN.potential.gate_names(),
            allow_missing=True,
        ),
    output:
        f"{POTENTIAL}/gates.json",
    log:
        f"{LOGS}/potential/g{{generation}}/gates.log",
    benchmark:
        f"{BENCHMARKS}/potential/gates/g{{generation}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(5),
    params:
        code=code_digest("potential gates"),
    message:
        "Joining the gates of generation {wildcards.generation}"
    shell:
        "glassml potential gates --config {input.config} --results {input.results}"
        " --output {output} > {log} 2>&1"


rule model_card:
    input:
        config=ancient(CONFIG),
        gates=rules.potential_gates.output,
        errors=rules.potential_gate.input.errors,
        verified=rules.potential_gate.input.verified,
        packages=rules.potential_gate.input.packages,
        manifest=f"{RESULTS}/dataset/g{{generation}}/manifest.json",
    output:
        text=f"{POTENTIAL}/model_card.md",
        data=f"{POTENTIAL}/model_card.json",
    log:
        f"{LOGS}/potential/g{{generation}}/card.log",
    benchmark:
        f"{BENCHMARKS}/potential/card/g{{generation}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(5),
    params:
        members=rules.potential_gate.params.members,
        potential=section("potential"),
        dft=section("dft"),
        code=code_digest("potential card"),
    message:
        "Writing the model card of generation {wildcards.generation}"
    shell:
        "glassml potential card --config {input.config} --generation {wildcards.generation}"
        " --gates {input.gates} --members {params.members} --manifest {input.manifest}"
        " --output {output.text} > {log} 2>&1"
