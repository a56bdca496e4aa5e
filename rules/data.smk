# Input: the config. Output: one table of prompts a task, all splits in it.
# Steps: draw solvable instances, cut them into disjoint splits, draw the table of facts.


rule prompts:
    output:
        f"{R}/data/{{task}}/prompts.parquet",
    log:
        f"{R}/logs/prompts/{{task}}.log",
    benchmark:
        f"{R}/benchmarks/prompts/{{task}}.tsv"
    conda:
        CONDA
    params:
        script=script("prompts"),
        code=code("prompts"),
        settings=lambda wildcards: TASKS[wildcards.task].model_dump_json(
            include=set(CountdownData.model_fields)
        ),
    message:
        "draw the prompts of {wildcards.task}"
    shell:
        "python {params.script} --settings {params.settings:q} --code {params.code}"
        " --output {output} > {log} 2>&1"
