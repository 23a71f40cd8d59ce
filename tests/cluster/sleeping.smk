"""Jobs that cost nothing, where the fault is the scheduler's; each start leaves a line."""


rule sleep:
    output:
        "slept/{name}",
    resources:
        mem_mb=500,
        runtime=5,
    params:
        seconds=int(config.get("seconds", 1)),
    shell:
        "echo start >> starts_{wildcards.name}; sleep {params.seconds}; echo slept > {output}"


rule patient:
    output:
        "patient",
    params:
        script=f"{workflow.basedir}/patient.py",
        folder=lambda wildcards, output: f"{output}.state",
    shell:
        "echo start >> starts_patient; python {params.script} {params.folder}; touch {output}"


rule hog:
    output:
        "hog",
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=5,
    shell:
        "echo start >> starts_hog;"
        " python3 -c 'import time; filled = bytearray(600_000_000); time.sleep(8)'; touch {output}"
