# Input: prompts, a base and an expert (its demonstrations, or its weights). Output: a student.
# Steps: imitate offline (sft) or on the student's own samples (distill).


rule sft:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
        base=base,
        demonstrations=demonstrations,
    output:
        record=f"{RUN}/run.json",
        checkpoints=directory(f"{RUN}/checkpoints"),
        training=f"{RUN}/training.parquet",
    log:
        f"{R}/logs/sft/{{task}}/{{run}}/seed{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/sft/{{task}}/{{run}}/seed{{seed}}.tsv"
    wildcard_constraints:
        run=named("sft"),
    conda:
        CONDA
    threads: threads_of("sft")
    resources:
        **asks("sft"),
        save_minutes=SAVE_MINUTES,
    params:
        launch=launch,
        script=script("sft"),
        code=code("sft"),
        settings=method_settings,
        steps=of_run("steps"),
        learning_rate=of_run("learning_rate"),
        keep=keep,
        hardware=STUDY.hardware,
        expert=of_run("expert"),
        state=f"{R}/state/{{task}}/{{run}}/seed{{seed}}",
        progress=f"{R}/progress/sft/{{task}}/{{run}}/seed{{seed}}.json",
    message:
        "train {wildcards.run} of {wildcards.task} by SFT, seed {wildcards.seed}"
    shell:
        "{params.launch} {params.script:q} --task {wildcards.task} --run {wildcards.run}"
        " --seed {wildcards.seed} --code {params.code} --settings {params.settings:q}"
        " --steps {params.steps} --learning-rate {params.learning_rate} --keep {params.keep}"
        " --hardware {params.hardware} --save-minutes {resources.save_minutes}"
        " --expert {params.expert} --demonstrations {input.demonstrations}"
        " --base {input.base}/step0 --prompts {input.prompts}"
        " --checkpoints {output.checkpoints} --training {output.training}"
        " --record {output.record} --state {params.state} --progress {params.progress} > {log} 2>&1"


rule distill:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
        base=base,
        expert=lambda wildcards: checkpoints_of_policy(
            wildcards.task, of_run("expert")(wildcards), wildcards.seed
        ),
    output:
        record=f"{RUN}/run.json",
        checkpoints=directory(f"{RUN}/checkpoints"),
        training=f"{RUN}/training.parquet",
    log:
        f"{R}/logs/distill/{{task}}/{{run}}/seed{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/distill/{{task}}/{{run}}/seed{{seed}}.tsv"
    wildcard_constraints:
        run=named("distill"),
    # The longest of the students goes first.
    priority: 5
    conda:
        CONDA
    threads: threads_of("distill")
    resources:
        **asks("distill"),
        save_minutes=SAVE_MINUTES,
    params:
        launch=launch,
        script=script("distill"),
        code=code("distill"),
        settings=method_settings,
        steps=of_run("steps"),
        learning_rate=of_run("learning_rate"),
        keep=keep,
        hardware=STUDY.hardware,
        expert=of_run("expert"),
        generation=STUDY.generation.model_dump_json(),
        state=f"{R}/state/{{task}}/{{run}}/seed{{seed}}",
        progress=f"{R}/progress/distill/{{task}}/{{run}}/seed{{seed}}.json",
    message:
        "train {wildcards.run} of {wildcards.task} by on-policy distillation,"
        " seed {wildcards.seed}"
    shell:
        "{params.launch} {params.script:q} --task {wildcards.task} --run {wildcards.run}"
        " --seed {wildcards.seed} --code {params.code} --settings {params.settings:q}"
        " --steps {params.steps} --learning-rate {params.learning_rate} --keep {params.keep}"
        " --hardware {params.hardware} --save-minutes {resources.save_minutes}"
        " --expert {params.expert} --expert-checkpoints {input.expert} --generation {params.generation:q}"
        " --base {input.base}/step0 --prompts {input.prompts}"
        " --checkpoints {output.checkpoints} --training {output.training}"
        " --record {output.record} --state {params.state} --progress {params.progress} > {log} 2>&1"
