# Input: prompts. Output: the base of a task, step 0 of every run that starts from it.
# Steps: train a small transformer on traces of an imperfect searcher (pretrain), or take a model
# that exists (fetch), as it is (adopt) or after fine-tuning on solved problems (finetune).


rule pretrain:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
    output:
        record=f"{BASE}/run.json",
        checkpoints=directory(f"{BASE}/checkpoints"),
        training=f"{BASE}/training.parquet",
    log:
        f"{R}/logs/pretrain/{{task}}/base/seed{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/pretrain/{{task}}/base/seed{{seed}}.tsv"
    wildcard_constraints:
        task=tasks_with("base", "scratch"),
    conda:
        CONDA
    threads: threads_of("pretrain")
    resources:
        **asks("pretrain"),
        save_minutes=SAVE_MINUTES,
    params:
        script=script("pretrain"),
        code=code("pretrain"),
        settings=pretraining_settings,
        hardware=STUDY.hardware,
        state=f"{R}/state/{{task}}/base/seed{{seed}}",
        progress=f"{R}/progress/pretrain/{{task}}/base/seed{{seed}}.json",
    message:
        "train the base of {wildcards.task}, seed {wildcards.seed}"
    shell:
        "python {params.script:q} --task {wildcards.task} --run base --seed {wildcards.seed}"
        " --code {params.code} --settings {params.settings:q} --prompts {input.prompts}"
        " --checkpoints {output.checkpoints} --training {output.training}"
        " --record {output.record}"
        " --hardware {params.hardware} --save-minutes {resources.save_minutes}"
        " --state {params.state} --progress {params.progress} > {log} 2>&1"
