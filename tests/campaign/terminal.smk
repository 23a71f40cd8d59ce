"""Jobs that take and make two thousand files, and fail in each way."""

NAMES = [f"parts/part_{index}_of_a_long_name" for index in range(1000, 3000)]


rule all:
    input:
        "gathered",
        "bad",
        "empty",


rule parts:
    output:
        NAMES,
    message:
        "Making parts"
    shell:
        "touch parts/part_{{1000..2999}}_of_a_long_name"


rule gather:
    input:
        NAMES,
    output:
        "gathered",
    log:
        "logs/gathered.log",
    message:
        "Gathering parts"
    shell:
        "echo all well > {log}; touch {output}"


rule fail:
    input:
        NAMES,
    output:
        "bad",
    log:
        "logs/bad.log",
    message:
        "Failing"
    shell:
        "(seq -f 'line %g' 5000; echo the reason; exit 3) > {log}"


rule make_nothing:
    input:
        NAMES,
    output:
        "{name}",
    wildcard_constraints:
        name="empty",
    shell:
        "true"
