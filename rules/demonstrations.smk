# Which demonstrations a run learns from, how many, how they are sampled, and what file they are taken
# from.


def demonstrations(wildcards):
    """Give the samples of the expert that a run imitates: those of all its students, or its own."""
    task, run, seed = wildcards.task, wildcards.run, wildcards.seed
    expert = of_run("expert")(wildcards)
    if RUNS[task, run].has_own_samples:
        own = "fresh" if has_weights(task, expert) else "first"
        return LAYOUT.samples(task, run, seed, own)
    return LAYOUT.samples(task, expert, seed)


def has_weights(task, name):
    """Say whether a policy can be sampled again: all but some experts can."""
    return (task, name) not in EXPERTS or EXPERTS[task, name].has_weights


def expert_prefixes(wildcards):
    """Give the samples of the expert where a run learns its probabilities on them; else nothing."""
    return demonstrations(wildcards) if prefixes_of(run_settings(wildcards)) == "expert" else []


def demonstrations_sampling(wildcards):
    """Give how the demonstrations of an expert are sampled: as it is evaluated, or hotter or colder."""
    return sampling_at(wildcards, TASKS[wildcards.task].methods.sft)


def own_sampling(wildcards):
    """Give how the demonstrations of one run alone are sampled."""
    return sampling_at(wildcards, run_settings(wildcards))


def sampling_at(wildcards, settings):
    """Give the sampling of a task's policies at the temperature that settings of SFT have."""
    sampling, own = TASKS[wildcards.task].evaluation.policy, settings.expert_temperature
    return sampling if own is None else sampling.model_copy(update={"temperature": own})


def demonstrations_count(wildcards):
    """Give how many demonstrations the students of a task learn from."""
    return TASKS[wildcards.task].methods.sft.demonstrations


def own_count(wildcards):
    """Give how many demonstrations one run alone learns from."""
    return run_settings(wildcards).demonstrations


def model_of_tokens(wildcards):
    """Give the model in whose tokens responses are counted; the miniature's are words."""
    miniature = TASKS[wildcards.task].data.kind == "miniature"
    return [] if miniature else LAYOUT.model(wildcards.task, "base")


def model_option(wildcards, input):
    """Give the option of the model in whose tokens responses are counted; none for the miniature."""
    return f" --model {input.model}" if input.model else ""


def place_of_responses(wildcards):
    """Give the file of responses that an expert is."""
    return EXPERTS[wildcards.task, wildcards.run].path


def content_of_responses(wildcards):
    """Name what is in such a file: another content is another expert."""
    path = Path(place_of_responses(wildcards))
    return content(path) if path.is_file() else None
