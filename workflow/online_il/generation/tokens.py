"""The token ids that every engine reads and writes.

The one place, so that a policy reads and writes the same tokens whatever engine runs it. The text
of a plain prompt is tokenised as it stands, with the special tokens that its tokenizer adds by
itself (Llama's beginning of sequence; none for Qwen2 and the miniature). The tokenizer is the one
in tokenizer.json, which `tokenizers` reads without the start-up time of `transformers`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from online_il.chat import messages_of, rendered
from online_il.ends import end_ids
from online_il.errors import InputError
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
        """Return the id of every token, special tokens among them."""
        return self._tokenizer.get_vocab(with_added_tokens=True)  # type: ignore[no-any-return]

    def prompt(self, text: str) -> list[int]:
        """Encode a prompt, plain or a conversation."""
        text, plain = self._read(text)
        return self._encode(text, plain)

    def encode(self, response: str) -> list[int]:
        """Encode what a response says, without the token that ends it."""
        return self._encode(response, False)

    def scored(self, prompt: str, continuation: str) -> tuple[list[int], list[int]]:
        """Encode a prompt and what follows it, cut as lm-evaluation-harness cuts them.

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
        """Decode a response, special tokens left out."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)  # type: ignore[no-any-return]

    def response(self, ids: Sequence[int]) -> Response:
        """Make the response of these token ids, up to and including the one that ends it."""
        return Response(self.text(ids), len(ids), finish_reason(ids, self.ends), list(ids))

    def _encode(self, text: str, plain: bool) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=plain).ids  # type: ignore[no-any-return]

    def _read(self, text: str) -> tuple[str, bool]:
        """Return the text to tokenise, and True for plain text, which lacks its special tokens."""
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


def vocabulary_hash(policy: Path) -> str:
    """Hash the token of each id: with equal hashes, the ids of two policies mean the same."""
    return identity(vocabulary=sorted(Tokens(policy).vocabulary().items()))
