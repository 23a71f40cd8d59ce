"""A file of two megabytes, as trajectories and packages are, and what is made of it."""


rule use:
    input:
        "large",
    output:
        "small",
    shell:
        "head --bytes 3 {input} > {output}"


rule make:
    output:
        "large",
    shell:
        "head --bytes 2000000 /dev/zero > {output}"
