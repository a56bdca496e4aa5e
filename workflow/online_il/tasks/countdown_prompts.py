"""Countdown's prompts: the paper's chat (Appendix D.1), and the miniature's line of words."""

from collections.abc import Sequence

SYSTEM_PROMPT = (
    "You are a helpful assistant. You first think about the reasoning process in the mind and then "
    "provide the user with the answer."
)
PRIMER = "Let me solve this step by step.\n<think>"


def chat_messages(numbers: Sequence[int], target: int) -> list[dict[str, str]]:
    """Write the paper's prompt (D.1): system, user, and the start of the assistant's turn."""
    question = (
        f"Using the numbers {list(numbers)}, create an equation that equals {target}. You can use "
        "basic arithmetic operations (+, -, *, /) and each number can only be used once. Show your "
        "work in <think> </think> tags. And return the final answer in <answer> </answer> tags, "
        "for example <answer>(1 + 2) / 3</answer>."
    )
    return [
        {"role": "system", "content": SYSTEM_PROMPT},
        {"role": "user", "content": question},
        {"role": "assistant", "content": PRIMER},
    ]


def compact_prompt(numbers: Sequence[int], target: int) -> str:
    """Write the miniature's prompt, one token per word: `<bos> 3 12 4 T 19 :`."""
    return " ".join(["<bos>", *map(str, numbers), "T", str(target), ":"])
