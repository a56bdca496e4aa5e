"""How honestly a response in English checks its own attempts."""

from online_il.tasks.english import OPEN, RIGHT, WRONG
from online_il.tasks.miniature_checks import counted


def check_rate(response: str, target: int) -> tuple[int, int, int]:
    """Count (attempts, those with an honest check, those checked `yes.`), as in the miniature."""
    return counted(response.partition(OPEN)[0].split(), target, RIGHT, WRONG)
