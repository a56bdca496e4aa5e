# The parts of the config that jobs about bases and other models get, and where these lie.

from online_il.program.finished import content

WHERE = {"folder", "wheel"}  # Keys that say where a model lies, not what it is.


def base_settings(wildcards):
    """Give one of a task's bases, whatever folder it lies in."""
    base = TASKS[wildcards.task].named_bases[wildcards.run]
    return base.model_dump_json(exclude=WHERE | {"name"})


def place_of_base(wildcards):
    """Give the folder that one of a task's bases comes from, or its wheel."""
    return place_of(TASKS[wildcards.task].named_bases[wildcards.run])


def pretraining_settings(wildcards):
    """Give the training from scratch of one of a task's bases."""
    base = TASKS[wildcards.task].named_bases[wildcards.run]
    own = base.model_copy(update={"seed": int(wildcards.seed)})
    return own.model_dump_json(exclude={"kind", "name"})


def finetuning_settings(wildcards):
    """Give the fine-tuning of a task's base."""
    return TASKS[wildcards.task].base.finetuning


def origin_of_base(wildcards):
    """Say what the model is that a task's base is fine-tuned from, wherever it lies."""
    return TASKS[wildcards.task].base.model_dump_json(exclude=WHERE | {"finetuning", "seed"})


def model_of(wildcards):
    """Give a model that is not trained here: one of a task's bases, or of its experts."""
    task, model = wildcards.task, wildcards.model
    return TASKS[task].named_bases.get(model) or EXPERTS[task, model]


def model_settings(wildcards):
    """Give what of such a model says what it is, without its use; a seed of weights belongs to it."""
    return model_without_use(model_of(wildcards))


def model_without_use(model):
    """Give what of a model's settings says what it is."""
    ignored = WHERE | {"name", "finetuning"}
    return model.model_dump_json(exclude=ignored | ({"seed"} if model.kind != "random" else set()))


def place_of_model(wildcards):
    """Give the folder of such a model, or its wheel; where it lies is not what it is."""
    return place_of(model_of(wildcards))


def place_of(model):
    """Give the folder or the wheel that a model's settings name; None of one without."""
    return getattr(model, "folder", None) or getattr(model, "wheel", None)


def content_of(folder):
    """Name what is in a folder; one that is not there is for `preflight` to name."""
    return content(Path(folder)) if folder and Path(folder).is_dir() else None


def content_of_model(wildcards):
    """Name what is in the folder of such a model, where it has one: another content is another model."""
    return content_of(getattr(model_of(wildcards), "folder", None))


def template_of(wildcards):
    """Hash the file with such a model's chat template, where it has one of its own."""
    path = model_of(wildcards).chat_template
    # A file that is not there is for `preflight` to name.
    return hash_of(Path(path).read_text(encoding="utf-8")) if path and Path(path).is_file() else ""


def endpoint_settings(wildcards):
    """Give the endpoint of an expert behind one."""
    return EXPERTS[wildcards.task, wildcards.run].model_dump_json(exclude={"name", "kind"})


def model_in_english(wildcards):
    """Give the model that a task in English fine-tunes: answers are counted in its tokens."""
    in_english = TASKS[wildcards.task].data.kind == "english"
    return LAYOUT.model(wildcards.task, "base") if in_english else []
