"""The exact solver of the miniature as a policy with next-token probabilities.

It answers a prompt at once, with one of the distinct expressions that solve it, all equally likely.
The token sequences of these responses form a tree. A prefix is on the tree where one of them begins
with it. The policy is defined by its conditionals, each of which sums to one:

- on the tree, (1 - smoothing) times the share of the sequences that go on with a token, plus
  `smoothing` spread evenly over all V tokens of the vocabulary;
- off the tree, those of a fallback policy, which goes on from whatever was written.

So smoothing is the probability that a token of the solver's is drawn blindly. It is what keeps the
probabilities above zero, and a response of n tokens leaves the tree with probability of about
n * smoothing. Sampling follows these conditionals, the slips among them.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from online_il.errors import InputError, ParameterError
from online_il.experts.policy import Batch, Ids, Key, Policy, own_numbers
from online_il.tasks.countdown import Instance
from online_il.tasks.miniature import solver_responses

TREE_STREAM = 2
"""Names the random numbers of the tokens on the tree."""

Tree = dict[tuple[int, ...], dict[int, float]]
"""For each prefix on the tree the share of the sequences that go on with each token."""


class Solver:
    """A `Policy`: the exact solver with smoothing, and a fallback off its tree.

    `vocabulary` gives each word of the miniature its id, and `ends` are the ids that end a
    response. Raises `ParameterError` for a smoothing that is not within 0 and 1 (neither of them)
    and `InputError` for a vocabulary without the miniature's words.
    """

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        ends: Sequence[int],
        *,
        smoothing: float,
        fallback: Policy,
    ) -> None:
        if not 0 < smoothing < 1:
            raise ParameterError(
                f"smoothing is {smoothing:g}; choose one above 0 and below 1, for with 0 some "
                "responses have no probability, and a divergence from them is infinite"
            )
        self._ids = dict(vocabulary)
        self._words = {index: word for word, index in vocabulary.items()}
        self._ends = frozenset(ends)
        self._smoothing = smoothing
        self._trees: dict[tuple[int, ...], Tree] = {}
        self.fallback = fallback
        self.width = fallback.width
        if self._token("<eos>") not in self._ends:
            raise InputError("<eos>, which ends the solver's answers, ends no response of the base")

    def tree(self, prompt: Ids) -> Tree:
        """The tree of a prompt's responses. Raises `InputError` for a prompt without any."""
        prompt = tuple(prompt)
        if prompt not in self._trees:
            counts: dict[tuple[int, ...], Counter[int]] = {}
            for response in self._responses(prompt):
                ids = [self._token(word) for word in response.split()]
                for place, token in enumerate(ids):
                    counts.setdefault(tuple(ids[:place]), Counter())[token] += 1
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

    def _responses(self, prompt: tuple[int, ...]) -> tuple[str, ...]:
        text = " ".join(self._words.get(index, f"<{index}>") for index in prompt)
        begin, *words, colon = text.split() if len(prompt) > 1 else ("", "")
        numbers, mark, target = words[:-2], words[-2:-1], words[-1:]
        known = [*numbers, *target]
        if (begin, mark, colon) != ("<bos>", ["T"], ":") or not all(w.isdecimal() for w in known):
            raise InputError(
                f"the prompt {text!r} is no Countdown of the miniature, and the solver answers no "
                "other; ask it about prompts of the train, id and ood splits"
            )
        try:
            return solver_responses(Instance(tuple(map(int, numbers)), int(target[0])))
        except ValueError as error:
            raise InputError(f"the prompt {text!r}: {error}; ask about solvable prompts") from None

    def _token(self, word: str) -> int:
        """The id of a word. Raises `InputError` where the vocabulary lacks it."""
        if word not in self._ids:
            raise InputError(
                f"the vocabulary has no token {word!r}, with which the solver answers; mix the "
                "solver with policies of the miniature's vocabulary"
            )
        return self._ids[word]
