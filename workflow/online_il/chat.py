"""Prompts that are conversations: the form in which they lie in a table, and their token ids."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Messages = list[dict[str, str]]


def as_text(messages: Messages) -> str:
    """Write a conversation as the text of a prompt."""
    return json.dumps(messages, ensure_ascii=False)


def messages_of(text: str) -> Messages | None:
    """Read the conversation that a prompt's text holds; None for plain text."""
    if not text.startswith('[{"role"'):
        return None
    return json.loads(text)  # type: ignore[no-any-return]


def primer_of(text: str) -> str:
    """Return the beginning of the answer that a prompt holds: a last message of the assistant's."""
    messages = messages_of(text)
    return messages[-1]["content"] if messages and messages[-1]["role"] == "assistant" else ""


def rendered(tokenizer: "PreTrainedTokenizerFast", messages: Messages) -> str:
    """Render a conversation as the model reads it, special tokens written out.

    A last message of the assistant's is continued. Raises `ValueError` for a tokenizer without a
    chat template.
    """
    if not tokenizer.chat_template:
        raise ValueError("this model has no chat template; name one in the base's chat_template")
    primed = messages[-1]["role"] == "assistant"
    return tokenizer.apply_chat_template(  # type: ignore[no-any-return]
        messages, tokenize=False, add_generation_prompt=not primed, continue_final_message=primed
    )


ANSWER = "(the answer)"


def after_answer(template: str, special: Mapping[str, str]) -> str:
    """Render what a chat template writes after the last answer; often an end token.

    `special` are the tokenizer's special tokens by their names (`eos_token`). Raises `ValueError`
    for a template that fails.
    """
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": ANSWER}]
    try:
        (text,), _ = render_jinja_template([turns], chat_template=template, **special)
    except (TemplateError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(
            f"its chat template fails on a question and its answer ({error}); set the model's "
            "`chat_template` to a file with one that does not"
        ) from None
    return text.rpartition(ANSWER)[2] if ANSWER in text else ""


def swallowed(template: str, special: Mapping[str, str], messages: Messages) -> str | None:
    """Tell what a chat template does not write of a conversation; None where it writes it all.

    A last message of the assistant's is the beginning of the answer, with which the prompt ends.
    """
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    primed = messages[-1]["role"] == "assistant"
    try:
        (text,), _ = render_jinja_template(
            [messages],
            chat_template=template,
            add_generation_prompt=not primed,
            continue_final_message=primed,
            **special,
        )
    except (TemplateError, TypeError, KeyError, AttributeError, ValueError) as error:
        if primed and "final message" in str(error):
            return f"swallows the beginning of the answer, {messages[-1]['content'][:40]!r}"
        return f"fails on the task's prompts ({' '.join(str(error).split())[:100]})"
    for message in messages:
        if message["content"].strip() not in text:
            return f"leaves out the message of the {message['role']}, {message['content'][:40]!r}"
    if primed and not text.rstrip().endswith(messages[-1]["content"].strip()):
        return f"writes on after the beginning of the answer, {messages[-1]['content'][:40]!r}"
    return None


def probes(template: str, special: Mapping[str, str]) -> list[str]:
    """Render a question, and one after a system's message, as prompts; a failure as its words."""
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    question = {"role": "user", "content": "?"}
    found = []
    for messages in ([question], [{"role": "system", "content": "!"}, question]):
        try:
            (text,), _ = render_jinja_template(
                [messages], chat_template=template, add_generation_prompt=True, **special
            )
        except (TemplateError, TypeError, KeyError, AttributeError, ValueError) as error:
            text = f"{type(error).__name__}: {error}"
        found.append(text)
    return found


def prompt_ids(tokenizer: "PreTrainedTokenizerFast", texts: Sequence[str]) -> list[list[int]]:
    """Encode prompts: a conversation through the chat template, text as it stands.

    Raises `ValueError` where a conversation meets a tokenizer without a chat template.
    """
    return [_ids(tokenizer, text) for text in texts]


def _ids(tokenizer: "PreTrainedTokenizerFast", text: str) -> list[int]:
    messages = messages_of(text)
    if messages is None:
        return tokenizer.encode(text)  # type: ignore[no-any-return]
    # The template writes the special tokens itself, a beginning of sequence among them.
    return tokenizer.encode(rendered(tokenizer, messages), add_special_tokens=False)  # type: ignore[no-any-return]
