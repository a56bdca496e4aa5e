"""The prompts of Countdown in English: the splits of generated instances, each a question."""

from online_il.config.miniature import EnglishData
from online_il.tasks import english
from online_il.tasks.miniature_splits import splits
from online_il.tasks.prompt import Converted, Prompt


def prompts(settings: EnglishData) -> Converted:
    """Make splits train, validation, id, pretraining and ood.

    Raises `InputError` when the ranges hold too few instances.
    """
    origin = ("online_il.tasks.countdown.generate", f"seed {settings.data_seed}")
    return Converted(
        [
            Prompt(
                split,
                english.prompt(instance),
                {"grader": "countdown", "numbers": instance.numbers, "target": instance.target},
                *origin,
            )
            for split, instances in splits(settings).items()
            for instance in instances
        ],
        {},
    )
