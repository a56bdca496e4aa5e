"""The tokens that end a response, as the files in a policy's folder name them.

The tokenizer is the one in tokenizer.json; nothing here starts `transformers`.
"""

import json
from pathlib import Path
from typing import Any

from online_il.chat import after_answer
from online_il.errors import InputError


def end_ids(policy: Path) -> list[int]:
    """List the tokens that end a response: of the generation config, then of the config.

    There may be several: Qwen2.5's instructed models end with <|im_end|> or <|endoftext|>. Raises
    `InputError` where there is none, and where the tokenizer's own end of sequence is none of them:
    then training would teach one end and sampling wait for another.
    """
    config, found = _json(policy / "config.json"), list[int]()
    for name, content in (
        ("generation_config.json", _json(policy / "generation_config.json")),
        ("config.json", config),
    ):
        listed = content.get("eos_token_id")
        width = config.get("vocab_size", float("inf"))
        for one in listed if isinstance(listed, list) else [] if listed is None else [listed]:
            if not isinstance(one, int) or not 0 <= one < width:
                raise InputError(
                    f"{policy}: the eos_token_id of its {name}, {one!r}, is the id of no token; "
                    f"{_REMEDY}"
                )
            found += [] if one in found else [one]
    if not found:
        raise InputError(
            f"{policy}: its config names no eos_token_id, so that no response would end; {_REMEDY}"
        )
    name, own = _end_of_sequence(policy)
    if own is not None and own not in found:
        raise InputError(
            f"{policy}: its tokenizer ends a sequence with {name} (id {own}), which is not among "
            f"the ends of its generation_config.json and config.json ({found}); correct the "
            f"eos_token of its tokenizer_config.json, or {_REMEDY}"
        )
    return found


_REMEDY = (
    "set eos_token_id in the generation_config.json of a local copy, and name the copy in the "
    "model's `folder`"
)


def trained_end(policy: Path, *, conversation: bool, template: str | None = None) -> int:
    """Find the token that a response ends with when it is learned.

    After a conversation it is the one that the chat template (`template`, or the policy's own)
    writes after an answer, and where it writes nothing the tokenizer's end of sequence. Raises
    `InputError` where that is none of the policy's ends (`end_ids`): what is learned would end no
    response.
    """
    ends = end_ids(policy)
    name, own = _end_of_sequence(policy)
    if own is None:
        if name:
            raise InputError(f"{policy / 'tokenizer.json'}: damaged; delete it and fetch it again")
        raise InputError(
            f"{policy}: its tokenizer names no end of sequence; set eos_token in the "
            "tokenizer_config.json of a local copy, and name the copy in the model's `folder`"
        )
    template = (template or chat_template(policy)) if conversation else None
    if template is None:
        return own
    ids, added = _ids(policy)
    special = special_tokens(policy)
    try:
        after = after_answer(template, special).lstrip()
    except ValueError as error:
        raise InputError(f"{policy}: {error}") from None
    tokens = {one for one, index in ids.items() if index in ends} | {*special.values(), *added}
    written = max((one for one in tokens if one and after.startswith(one)), key=len, default=None)
    if written is None and after:
        raise InputError(
            f"{policy}: its chat template writes {after[:20]!r} after an answer, which begins with "
            f"no token that ends a sequence, so that it never writes {name}; set the model's "
            f"`chat_template` to one that ends an answer with {name} or with nothing, as "
            "config/chat.jinja"
        )
    if written is None:
        return own
    if ids.get(written) not in ends:
        raise InputError(
            f"{policy}: its chat template ends an answer with {written} (id {ids.get(written)}), "
            f"which is not among the ends of its generation_config.json and config.json ({ends}); "
            f"set the model's `chat_template` to one that ends an answer with {name} or with "
            f"nothing, as config/chat.jinja, or {_REMEDY}"
        )
    return ids[written]


def tokens_by_id(policy: Path) -> dict[int, str] | None:
    """Give each id's token, added ones among them; None without a usable tokenizer.json."""
    try:
        ids, _ = _ids(policy)
    except InputError:
        return None
    return {index: token for token, index in ids.items()} or None


def _end_of_sequence(policy: Path) -> tuple[str, int | None]:
    """Find the tokenizer's own end of sequence and its id; None where it names none."""
    name = special_tokens(policy).get("eos_token")
    if name is None:
        return "", None
    ids, _ = _ids(policy)
    if ids and name not in ids:
        raise InputError(
            f"{policy}: its tokenizer ends a sequence with {name}, which is no token of its "
            "tokenizer.json; correct the eos_token of its tokenizer_config.json"
        )
    return name, ids.get(name)


def special_tokens(policy: Path) -> dict[str, str]:
    """Read the tokenizer's special tokens: `eos_token` and the like."""
    listed = _json(policy / "special_tokens_map.json") | _json(policy / "tokenizer_config.json")
    found = {}
    for key, value in listed.items():
        name = value.get("content") if isinstance(value, dict) else value
        if key.endswith("_token") and isinstance(name, str):
            found[key] = name
    return found


def _ids(policy: Path) -> tuple[dict[str, int], set[str]]:
    """Read every token's id, and which tokens were added; empty for a damaged tokenizer.json."""
    content = _json(policy / "tokenizer.json")
    try:
        known = content["model"]["vocab"]
        if isinstance(known, list):  # Of pieces with their scores, in the order of their ids.
            known = {piece[0]: index for index, piece in enumerate(known)}
        added = {one["content"]: int(one["id"]) for one in content.get("added_tokens") or []}
        added |= _added_beside(policy)
        return {**known, **added}, set(added)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return {}, set()  # `Tokens` reports the damaged file.


def _added_beside(policy: Path) -> dict[str, int]:
    """Read the ids of tokens that tokenizer_config.json alone adds; tokenizers load those, too."""
    listed = _json(policy / "tokenizer_config.json").get("added_tokens_decoder") or {}
    return {one["content"]: int(index) for index, one in listed.items()}


def chat_template(policy: Path) -> str | None:
    """Read the chat template in a policy's folder."""
    path = policy / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    found: Any = _json(policy / "tokenizer_config.json").get("chat_template")
    if isinstance(found, list):  # Several, each with its name.
        found = {one.get("name"): one.get("template") for one in found}.get("default")
    return found if isinstance(found, str) else None


def _json(path: Path) -> dict[str, Any]:
    """Read a file of JSON; empty where there is none. Raises `InputError` for a damaged one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise InputError(f"{path}: damaged, not an object of JSON; delete it and fetch it again")
    return content
