# Input: prompts and a base. Output: the realizable expert, an RL-trained policy of the same class.
# Steps: GRPO on the task's reward; checkpoints along the way are published for evaluation.


rule grpo:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
        base=base,
    output:
        record=f"{RUN}/run.json",
        checkpoints=directory(f"{RUN}/checkpoints"),
        training=f"{RUN}/training.parquet",
    log:
        f"{R}/logs/grpo/{{task}}/{{run}}/seed{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/grpo/{{task}}/{{run}}/seed{{seed}}.tsv"
    wildcard_constraints:
        run=named("grpo"),
    # Everything that imitates an expert waits for it.
    priority: 10
    conda:
        CONDA
    threads: threads_of("grpo")
    resources:
        **asks("grpo"),
        save_minutes=SAVE_MINUTES,
    params:
        launch=launch,
        script=script("grpo"),
        code=code("grpo"),
        settings=method_settings,
        steps=of_run("steps"),
        learning_rate=of_run("learning_rate"),
        keep=keep,
        hardware=STUDY.hardware,
        generation=STUDY.generation.model_dump_json(),
        state=f"{R}/state/{{task}}/{{run}}/seed{{seed}}",
        progress=f"{R}/progress/grpo/{{task}}/{{run}}/seed{{seed}}.json",
    message:
        "train {wildcards.run} of {wildcards.task} with GRPO, seed {wildcards.seed}"
    shell:
        "{params.launch} {params.script:q} --task {wildcards.task} --run {wildcards.run}"
        " --seed {wildcards.seed} --code {params.code} --settings {params.settings:q}"
        " --steps {params.steps} --learning-rate {params.learning_rate} --keep {params.keep}"
        " --hardware {params.hardware} --save-minutes {resources.save_minutes}"
        " --generation {params.generation:q} --base {input.base}/step0 --prompts {input.prompts}"
        " --checkpoints {output.checkpoints} --training {output.training}"
        " --record {output.record} --state {params.state} --progress {params.progress} > {log} 2>&1"
