# Input: the config, the hub's cache. Output: models that are not trained here, and bases from them.
# Steps: lay the model in the results (fetch), take it as it is (adopt) or fine-tune it (finetune).


rule fetch:
    output:
        directory(f"{R}/models/{{task}}/{{model}}"),
    log:
        f"{R}/logs/fetch/{{task}}/{{model}}.log",
    benchmark:
        f"{R}/benchmarks/fetch/{{task}}/{{model}}.tsv"
    localrule: True
    conda:
        CONDA
    params:
        script=script("fetch"),
        code=code("fetch"),
        settings=model_settings,
        template=template_of,
    message:
        "fetch {wildcards.model} of {wildcards.task}"
    shell:
        "python {params.script:q} --settings {params.settings:q} --code {params.code}"
        " --output {output} > {log} 2>&1"


rule adopt:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
        model=f"{R}/models/{{task}}/base",
    output:
        record=f"{BASE}/run.json",
        checkpoints=directory(f"{BASE}/checkpoints"),
        training=f"{BASE}/training.parquet",
    log:
        f"{R}/logs/adopt/{{task}}/base/seed{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/adopt/{{task}}/base/seed{{seed}}.tsv"
    wildcard_constraints:
        task=adopted(),
    localrule: True
    conda:
        CONDA
    params:
        script=script("adopt"),
        code=code("adopt"),
        settings=base_settings,
    message:
        "take the model of {wildcards.task} for its base"
    shell:
        "python {params.script:q} --task {wildcards.task} --run base --seed {wildcards.seed}"
        " --code {params.code} --settings {params.settings:q} --model {input.model}"
        " --prompts {input.prompts} --checkpoints {output.checkpoints}"
        " --training {output.training} --record {output.record} > {log} 2>&1"


rule finetune:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
        model=f"{R}/models/{{task}}/base",
    output:
        record=f"{BASE}/run.json",
        checkpoints=directory(f"{BASE}/checkpoints"),
        training=f"{BASE}/training.parquet",
    log:
        f"{R}/logs/finetune/{{task}}/base/seed{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/finetune/{{task}}/base/seed{{seed}}.tsv"
    wildcard_constraints:
        task=finetuned(),
    conda:
        CONDA
    threads: threads_of("finetune")
    resources:
        **asks("finetune"),
        save_minutes=SAVE_MINUTES,
    params:
        launch=launch,
        script=script("finetune"),
        code=code("finetune"),
        settings=finetuning_settings,
        hardware=STUDY.hardware,
        state=f"{R}/state/{{task}}/base/seed{{seed}}",
        progress=f"{R}/progress/finetune/{{task}}/base/seed{{seed}}.json",
    message:
        "fine-tune the base of {wildcards.task}, seed {wildcards.seed}"
    shell:
        "{params.launch} {params.script:q} --task {wildcards.task} --run base"
        " --seed {wildcards.seed} --code {params.code} --settings {params.settings:q}"
        " --model {input.model} --prompts {input.prompts}"
        " --hardware {params.hardware} --save-minutes {resources.save_minutes}"
        " --checkpoints {output.checkpoints} --training {output.training}"
        " --record {output.record} --state {params.state} --progress {params.progress} > {log} 2>&1"
