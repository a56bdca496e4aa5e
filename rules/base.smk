# Input: prompts. Output: the base policy of each seed, as step 0 of every run that starts from it.
# Steps: write traces of an imperfect searcher, train a small transformer on them.


rule pretrain:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
    output:
        checkpoints=directory(run_folder(run="base") + "/checkpoints"),
        training=run_folder(run="base") + "/training.parquet",
        record=run_folder(run="base") + "/run.json",
    params:
        script=script("pretrain"),
        code=code("pretrain"),
        settings=lambda wildcards: TASKS[wildcards.task].base.model_dump_json(),
        state=f"{R}/state/{{task}}/base/seed{{seed}}",
        progress=f"{R}/progress/pretrain/{{task}}/base/seed{{seed}}.json",
    log:
        f"{R}/logs/pretrain/{{task}}/base/seed{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/pretrain/{{task}}/base/seed{{seed}}.tsv"
    threads: STUDY.resources.pretrain.threads
    resources:
        **asks("pretrain"),
    conda:
        CONDA
    message:
        "train the base of {wildcards.task}, seed {wildcards.seed}"
    shell:
        "python {params.script} --task {wildcards.task} --run base --seed {wildcards.seed}"
        " --code {params.code} --settings {params.settings:q} --prompts {input.prompts}"
        " --checkpoints {output.checkpoints} --training {output.training}"
        " --record {output.record} --state {params.state} --progress {params.progress} 2> {log}"
