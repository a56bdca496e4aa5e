"""The token ids that every engine reads, and those that end a response.

The one place, so that a policy reads and writes the same tokens whatever engine runs it. The text
of a plain prompt is tokenised as it stands, with the special tokens that its tokenizer adds by
itself (Llama's beginning of sequence; none for Qwen2 and the miniature). The tokenizer is the one
in tokenizer.json, which `tokenizers` reads without the start-up time of `transformers`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from online_il.errors import InputError
from online_il.generation.chat import after_answer, messages_of, rendered
from online_il.generation.response import Response, finish_reason
from online_il.provenance import identity

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class Tokens:
    """Text to token ids and back for the policy in a folder."""

    def __init__(self, policy: Path) -> None:
        from tokenizers import Tokenizer

        path = policy / "tokenizer.json"
        if not path.is_file():
            raise InputError(f"{path}: no such file; a policy needs its fast tokenizer")
        self.policy = policy
        self.ends = end_ids(policy)
        self._tokenizer = Tokenizer.from_file(str(path))
        # A trainer may have left them in the file.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._chat: PreTrainedTokenizerFast | None = None

    def vocabulary(self) -> dict[str, int]:
        """The id of every token, special tokens among them."""
        return self._tokenizer.get_vocab(with_added_tokens=True)  # type: ignore[no-any-return]

    def prompt(self, text: str) -> list[int]:
        """Token ids of a prompt, plain or a conversation."""
        text, plain = self._read(text)
        return self._encode(text, plain)

    def scored(self, prompt: str, continuation: str) -> tuple[list[int], list[int]]:
        """Token ids of a prompt and of what follows it, cut as lm-evaluation-harness cuts them.

        Both are tokenised together, and the prompt's trailing spaces go to the continuation, whose
        first token they belong to (`_encode_pair` in lm_eval/api/model.py).
        """
        text, plain = self._read(prompt)
        cut = len(text.rstrip())
        ids = self._encode(text + continuation, plain)
        n_prompt = len(self._encode(text[:cut], plain))
        if not 0 < n_prompt < len(ids):
            raise InputError(
                f"{self.policy}: no tokens to score in {continuation!r} after {prompt[-40:]!r}; "
                "prompt and continuation need a token each"
            )
        return ids[:n_prompt], ids[n_prompt:]

    def text(self, ids: Sequence[int]) -> str:
        """Text of a response, special tokens left out."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)  # type: ignore[no-any-return]

    def response(self, ids: Sequence[int]) -> Response:
        """The response that these token ids are, up to and including the one that ends it."""
        return Response(self.text(ids), len(ids), finish_reason(ids, self.ends), list(ids))

    def _encode(self, text: str, plain: bool) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=plain).ids  # type: ignore[no-any-return]

    def _read(self, text: str) -> tuple[str, bool]:
        """What is tokenised, and whether it is plain text, which lacks its special tokens."""
        messages = messages_of(text)
        if messages is None:
            return text, True
        if self._chat is None:
            from online_il.models import load_tokenizer

            self._chat = load_tokenizer(self.policy)
        try:
            return rendered(self._chat, messages), False
        except ValueError as error:
            raise InputError(f"{self.policy}: {error}") from None


def end_ids(policy: Path) -> list[int]:
    """The tokens that end a response: those of the generation config, then those of the config.

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
    """The token that a response ends with when it is learned.

    After a conversation it is the one that the chat template (`template`, or the policy's own)
    writes after an answer, where it writes one, and else the tokenizer's end of sequence. Raises
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
    template = (template or _template(policy)) if conversation else None
    if template is None:
        return own
    ids, added = _ids(policy)
    special = _special(policy)
    try:
        after = after_answer(template, special).lstrip()
    except ValueError as error:
        raise InputError(f"{policy}: {error}") from None
    named = {one for one, index in ids.items() if index in ends} | {*special.values(), *added}
    written = max((one for one in named if one and after.startswith(one)), key=len, default=None)
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


def vocabulary_hash(policy: Path) -> str:
    """Hash of which token each id is: equal hashes, and the ids of two policies mean the same."""
    return identity(vocabulary=sorted(Tokens(policy).vocabulary().items()))


def tokens_by_id(policy: Path) -> dict[int, str] | None:
    """Give each id's token, added ones among them; None without a usable tokenizer.json."""
    try:
        ids, _ = _ids(policy)
    except InputError:
        return None
    return {index: token for token, index in ids.items()} or None


def _end_of_sequence(policy: Path) -> tuple[str, int | None]:
    """The tokenizer's own end of sequence and its id; None where it names none."""
    name = _special(policy).get("eos_token")
    if name is None:
        return "", None
    ids, _ = _ids(policy)
    if ids and name not in ids:
        raise InputError(
            f"{policy}: its tokenizer ends a sequence with {name}, which is no token of its "
            "tokenizer.json; correct the eos_token of its tokenizer_config.json"
        )
    return name, ids.get(name)


def _special(policy: Path) -> dict[str, str]:
    """The tokenizer's special tokens: `eos_token` and the like."""
    listed = _json(policy / "special_tokens_map.json") | _json(policy / "tokenizer_config.json")
    found = {}
    for key, value in listed.items():
        name = value.get("content") if isinstance(value, dict) else value
        if key.endswith("_token") and isinstance(name, str):
            found[key] = name
    return found


def _ids(policy: Path) -> tuple[dict[str, int], set[str]]:
    """The id of every token, and which tokens were added; empty for a damaged tokenizer.json."""
    content = _json(policy / "tokenizer.json")
    try:
        known = content["model"]["vocab"]
        if isinstance(known, list):  # Of pieces with their scores, in the order of their ids.
            known = {piece[0]: index for index, piece in enumerate(known)}
        added = {one["content"]: int(one["id"]) for one in content.get("added_tokens") or []}
        return {**known, **added}, set(added)
    except (KeyError, TypeError, ValueError, IndexError):
        return {}, set()  # Who reads the tokens says so.


def _template(policy: Path) -> str | None:
    """The chat template in a policy's folder."""
    path = policy / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    found: Any = _json(policy / "tokenizer_config.json").get("chat_template")
    if isinstance(found, list):  # Several, each with its name.
        found = {one.get("name"): one.get("template") for one in found}.get("default")
    return found if isinstance(found, str) else None


def _json(path: Path) -> dict[str, Any]:
    """A file of JSON; empty where there is none. Raises `InputError` for a damaged one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise InputError(f"{path}: damaged, not an object of JSON; delete it and fetch it again")
    return content
