"""The exact solver as a policy with next-token probabilities, in any vocabulary.

It answers a prompt at once, with one of the distinct expressions that solve it, all equally likely.
The token sequences of these responses form a tree, whether a token is a word, as in the miniature
(`in_words`), or a piece of one, as in a pretrained model (`in_english`). A prefix is on the tree
where one of them begins with it. The policy is defined by its conditionals, each of which sums to
one:

- on the tree, (1 - smoothing) times the share of the sequences that go on with a token, plus
  `smoothing` spread evenly over all V tokens of the vocabulary;
- off the tree, those of a fallback policy, which goes on from whatever was written.

So smoothing is the probability that a token of the solver's is drawn blindly. It is what keeps the
probabilities above zero, and a response of n tokens leaves the tree with probability of about
n * smoothing. Sampling follows these conditionals, the slips among them.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from online_il.ends import trained_end
from online_il.errors import InputError, ParameterError
from online_il.experts.policy import Batch, Ids, Key, Policy, own_numbers
from online_il.generation.tokens import Tokens
from online_il.tasks import english, miniature
from online_il.tasks.countdown import Instance

TREE_STREAM = 2
"""Names the random numbers of the tokens on the tree."""

Tree = dict[tuple[int, ...], dict[int, float]]
"""For each prefix on the tree the share of the sequences that go on with each token."""
Answers = Callable[[Ids], Sequence[Ids]]
"""The token ids of all responses to a prompt's. Raises `InputError` for a prompt without any."""


class Solver:
    """A `Policy`: the exact solver with smoothing, and a fallback off its tree.

    `answers` are `in_words` or `in_english`, and `ends` are the ids that end a response. Raises
    `ParameterError` for a smoothing that is not within 0 and 1 (neither of them).
    """

    def __init__(
        self, answers: Answers, ends: Sequence[int], *, smoothing: float, fallback: Policy
    ) -> None:
        if not 0 < smoothing < 1:
            raise ParameterError(
                f"smoothing is {smoothing:g}; choose one above 0 and below 1, for with 0 some "
                "responses have no probability, and a divergence from them is infinite"
            )
        self._answers = answers
        self._ends = frozenset(ends)
        self._smoothing = smoothing
        self._trees: dict[tuple[int, ...], Tree] = {}
        self.fallback = fallback
        self.width = fallback.width

    def tree(self, prompt: Ids) -> Tree:
        """The tree of a prompt's responses. Raises `InputError` for a prompt without any."""
        prompt = tuple(prompt)
        if prompt not in self._trees:
            counts: dict[tuple[int, ...], Counter[int]] = {}
            for ids in map(tuple, self._answers(prompt)):
                for place, token in enumerate(ids):
                    counts.setdefault(ids[:place], Counter())[token] += 1
            self._trees[prompt] = {
                prefix: {token: count / after.total() for token, count in after.items()}
                for prefix, after in counts.items()
            }
        return self._trees[prompt]

    def logp(self, batch: Batch) -> Tensor:
        """Log-probabilities (B, C, V) of every next token, as in `Policy`."""
        return self.over(self.fallback.logp(batch), batch)

    def over(self, fallback_B_C_V: Tensor, batch: Batch) -> Tensor:
        """The same where the fallback's log-probabilities are known."""
        blind = self._smoothing / self.width
        nodes: list[tuple[int, int]] = []
        tokens: list[tuple[int, int, int]] = []
        logs: list[float] = []
        for row, (prompt, response) in enumerate(
            zip(batch.prompts(), batch.responses(), strict=True)
        ):
            tree = self.tree(prompt)
            for place in range(len(response)):
                after = tree.get(tuple(response[:place]))
                if after is None:
                    break
                nodes.append((row, place))
                for token, share in after.items():
                    tokens.append((row, place, token))
                    logs.append(math.log((1 - self._smoothing) * share + blind))
        logp_B_C_V = fallback_B_C_V.clone()
        device = logp_B_C_V.device
        if nodes:
            logp_B_C_V[tuple(torch.tensor(nodes, device=device).T)] = math.log(blind)
            logp_B_C_V[tuple(torch.tensor(tokens, device=device).T)] = torch.tensor(
                logs, dtype=logp_B_C_V.dtype, device=device
            )
        return logp_B_C_V

    def respond(
        self, contexts: Sequence[Ids], keys: Sequence[Key], *, max_new_tokens: int, seed: int
    ) -> list[list[int]]:
        """Draw responses, as in `Policy`; a context is a prompt without a response's beginning."""
        responses, left = [], []
        for row, (prompt, key) in enumerate(zip(contexts, keys, strict=True)):
            response = self._walk(prompt, key, max_new_tokens, seed)
            responses.append(response)
            if response[-1] not in self._ends and len(response) < max_new_tokens:
                left.append(row)
        if left:
            rest = self.fallback.respond(
                [[*contexts[row], *responses[row]] for row in left],
                [keys[row] for row in left],
                max_new_tokens=max_new_tokens,
                seed=seed,
            )
            for row, more in zip(left, rest, strict=True):
                responses[row] += more[: max_new_tokens - len(responses[row])]
        return responses

    def _walk(self, prompt: Ids, key: Key, max_new_tokens: int, seed: int) -> list[int]:
        """Draw tokens until a response ends, leaves the tree or is as long as it may be."""
        tree, numbers = self.tree(prompt), own_numbers(seed, key, TREE_STREAM)
        response: list[int] = []
        while len(response) < max_new_tokens:
            after = tree.get(tuple(response))
            if after is None:
                break
            if numbers.random() < self._smoothing:
                token = int(numbers.integers(self.width))
            else:
                token = int(numbers.choice(list(after), p=list(after.values())))
            response.append(token)
            if token in self._ends:
                break
        return response


def in_words(vocabulary: Mapping[str, int], ends: Sequence[int]) -> Answers:
    """The solver's answers in the words of the miniature, whose ids `vocabulary` gives.

    Raises `InputError` for a vocabulary without those words, or whose <eos> ends no response.
    """
    words = {index: word for word, index in vocabulary.items()}

    def token(word: str) -> int:
        if word not in vocabulary:
            raise InputError(
                f"the vocabulary has no token {word!r}, with which the solver answers; mix the "
                "solver with policies of the miniature's vocabulary"
            )
        return vocabulary[word]

    def answers(prompt: Ids) -> list[list[int]]:
        text = " ".join(words.get(index, f"<{index}>") for index in prompt)
        asked = re.fullmatch(r"<bos> ((?:\d+ )*)T (\d+) :", text)
        instance = asked and Instance(tuple(map(int, asked[1].split())), int(asked[2]))
        responses = _responses(instance, text, miniature.solver_responses)
        return [[token(word) for word in response.split()] for response in responses]

    if token("<eos>") not in ends:
        raise InputError("<eos>, which ends the solver's answers, ends no response of the base")
    return answers


def in_english(tokens: Tokens) -> Answers:
    """The solver's answers in English, in the tokens of a policy, with the end that it learned."""
    end = trained_end(tokens.policy, conversation=True)

    def answers(prompt: Ids) -> list[list[int]]:
        text = tokens.text(prompt)
        responses = _responses(english.instance_of(text), text, english.solver_responses)
        return [[*tokens.encode(response), end] for response in responses]

    return answers


def _responses(
    instance: Instance | None, text: str, solved: Callable[[Instance], tuple[str, ...]]
) -> tuple[str, ...]:
    if instance is None:
        raise InputError(
            f"the prompt {text!r} is no Countdown that is generated here, and the solver answers "
            "no other; ask it about prompts of the train, id and ood splits"
        )
    try:
        return solved(instance)
    except ValueError as error:
        raise InputError(f"the prompt {text!r}: {error}; ask about solvable prompts") from None
