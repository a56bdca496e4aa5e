# Input: the config. Output: one table of prompts a task, all splits in it.
# Steps: draw the miniature's instances (prompts), or read the rows of public data sets (convert).


rule prompts:
    output:
        f"{R}/data/{{task}}/prompts.parquet",
    log:
        f"{R}/logs/prompts/{{task}}.log",
    benchmark:
        f"{R}/benchmarks/prompts/{{task}}.tsv"
    wildcard_constraints:
        task=tasks_with("data", "miniature"),
    localrule: True
    conda:
        CONDA
    params:
        script=script("prompts"),
        code=code("prompts"),
        settings=data_settings,
    message:
        "draw the prompts of {wildcards.task}"
    shell:
        "python {params.script:q} --task {wildcards.task} --settings {params.settings:q}"
        " --code {params.code} --output {output} > {log} 2>&1"


rule convert:
    output:
        f"{R}/data/{{task}}/prompts.parquet",
    log:
        f"{R}/logs/convert/{{task}}.log",
    benchmark:
        f"{R}/benchmarks/convert/{{task}}.tsv"
    wildcard_constraints:
        task=tasks_with("data", "countdown", "gsm8k", "deepscaler", "aime"),
    localrule: True
    conda:
        CONDA
    params:
        script=script("convert"),
        code=code("convert"),
        kind=lambda wildcards: TASKS[wildcards.task].data.kind,
        settings=data_settings,
    message:
        "make prompts of the rows of {wildcards.task}"
    shell:
        "python {params.script:q} --task {wildcards.task} --kind {params.kind}"
        " --settings {params.settings:q} --code {params.code} --output {output} > {log} 2>&1"
