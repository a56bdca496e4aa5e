"""Other programs' files of responses, read as if they were ours.

- lm-evaluation-harness, `samples_*.jsonl`: doc_id, resps, filtered_resps, target, filter, and a
  column for each metric. A document has a row a filter; one filter is read. Of several responses
  the grades, and how each ended, may be lists.
- OpenAI's and vLLM's batch output: custom_id, and in `response.body.choices` the answers.

Each row becomes one row a response, under the names that a file of ours has (or `key` gives);
what a row holds under such a name itself comes first.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from online_il.discrepancy.files import Place, RawRow
from online_il.errors import ParameterError
from online_il.generation.refusal import LONGEST, words_of
from online_il.generation.reply import answer_text, ending, said_in

COLUMNS = ("doc_id", "doc_hash", "resps", "filtered_resps", "target", "filter", "metrics")
"""The keys that the harness writes for every document and that are read here."""
NO_METRICS = {*COLUMNS, "doc", "arguments", "prompt_hash", "target_hash"}


class FormatReader:
    """Reads one model's files, one after the other; `given` is what `key` says."""

    def __init__(self, names: Mapping[str, str], given: Mapping[str, str]) -> None:
        self._names, self._given = names, given
        self._filter = given.get("filter")
        self._filters: set[str] = set()
        self._documents: dict[str, str] = {}

    def rows(self, rows: Iterator[tuple[Place, RawRow]]) -> Iterator[tuple[Place, RawRow]]:
        """Read the responses of one file, a row each."""
        read: set[str] = set()
        for place, row in rows:
            if "resps" in row and "doc_id" in row:
                if self._is_chosen(row):
                    self._check_document(place, row, read)
                    yield from ((place, one) for one in self._of_document(place, row))
            elif "custom_id" in row and ("response" in row or "error" in row):
                yield from ((place, one) for one in self._of_request(place, row))
            else:
                yield place, row

    @property
    def chosen(self) -> str | None:
        """The harness's filter that was read: the first one in the files, unless told."""
        return self._filter if self._filters else None

    def left_out(self) -> str:
        """Says which filters there are, where the one asked for is none of them."""
        if not self._filters or self._filter in self._filters:
            return ""
        return f" of the filter {self._filter}; there are: {', '.join(sorted(self._filters))}"

    # ---- lm-evaluation-harness ----

    def _is_chosen(self, row: RawRow) -> bool:
        name = row.get("filter")
        if name is None:
            return True
        self._filters.add(str(name))
        self._filter = self._filter or str(name)
        return str(name) == self._filter

    def _check_document(self, place: Place, row: RawRow, read: set[str]) -> None:
        """Check that a document is in a file once, under the same number in all files."""
        number, document = str(row["doc_id"]), str(row.get("doc_hash", row.get("target")))
        if number in read:
            raise ParameterError(
                f"{place}: document {number} stands here again, and no `filter` tells the "
                "two apart; give files of several runs apart, and keep one row a document"
            )
        read.add(number)
        by_number = row.get(self._names["prompt_id"], row["doc_id"]) == row["doc_id"]
        if by_number and self._documents.setdefault(number, document) != document:
            raise ParameterError(
                f"{place}: doc_id {number} is another document in another file; compare one task "
                "at a time, or give `key` prompt_id=doc_hash"
            )

    def _of_document(self, place: Place, row: RawRow) -> Iterator[RawRow]:
        texts = row["resps"]
        while isinstance(texts, list) and len(texts) == 1 and isinstance(texts[0], list):
            texts = texts[0]
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ParameterError(
                f"{place}: 'resps' holds no text, as of a task that is scored by log-likelihoods; "
                "there are no responses to compare"
            )
        own: RawRow = {self._names["prompt_id"]: row["doc_id"]}
        if "filtered_resps" in row and len(texts) == 1:
            own[self._names["answer"]] = row["filtered_resps"]
        graded = {"correct", "answer", "reference"} & set(self._given)
        if not graded and self._names["correct"] not in row and len(texts) == 1:
            own[self._names["correct"]] = row[_metric(place, row)]
        ends = row.get(self._names["finish_reason"])
        return self._each(place, own | row, texts, ends if _one_each(ends, texts) else None)

    # ---- batch output ----

    def _of_request(self, place: Place, row: RawRow) -> Iterator[RawRow]:
        response = row.get("response")
        # vLLM once wrote the body where others have it inside.
        body = response.get("body", response) if isinstance(response, dict) else None
        choices = body.get("choices") if isinstance(body, dict) else None
        if isinstance(body, dict) and isinstance(body.get("output"), list):  # Of /v1/responses.
            choices = [_of_output(body)]
        if row.get("error") or not isinstance(choices, list) or not choices:
            status = response.get("status_code") if isinstance(response, dict) else None
            error = row.get("error")
            code = error.get("code") if isinstance(error, dict) else None
            reason = words_of(error) or str(code or "") or words_of(body) or "it holds no choice"
            lead = f"HTTP {status}, " if isinstance(status, int) and status >= 400 else ""
            raise ParameterError(
                f"{place}: the request {row['custom_id']} has no answer "
                f"({lead}{reason[:LONGEST]}); ask it again, or take this line out"
            )
        own: RawRow = {self._names["prompt_id"]: row["custom_id"]}
        texts = [_text(place, choice) for choice in choices]
        ends = [choice.get("finish_reason") for choice in choices]
        return self._each(place, own | row, texts, ends)

    def _each(
        self, place: Place, row: RawRow, texts: list[str], ends: list[Any] | None = None
    ) -> Iterator[RawRow]:
        """Make a row a response; where the row has no answer of its own, the response is graded."""
        name = self._names
        grades: Any = row.get(name["correct"])
        graded = _one_each(grades, texts)
        if len(texts) != 1 and grades is not None and not graded:
            raise ParameterError(
                f"{place}: {len(texts)} responses and one '{name['correct']}'; write a row each"
            )
        if len(texts) != 1 and not graded and row.get(name["reference"]) is None:
            raise ParameterError(
                f"{place}: {len(texts)} responses without a grade each; name the right answer with "
                "`key` reference=NAME, as of lm-evaluation-harness reference=target"
            )
        for index, text in enumerate(texts):
            own: RawRow = {name["text"]: text}
            if ends is not None:
                own[name["finish_reason"]] = ends[index]
            if graded:
                own[name["correct"]] = grades[index]
            # Of several responses each is its own answer, whatever the row has for one.
            answer = {name["answer"]: text}
            yield answer | row | own if len(texts) == 1 else row | own | answer


def _one_each(values: Any, texts: list[str]) -> bool:
    """Tell whether a column holds a value for each response, as our files of this form do."""
    return isinstance(values, list) and len(values) == len(texts)


def _metric(place: Place, row: RawRow) -> str:
    """Find the only metric of a document that is a grade."""
    listed = row.get("metrics")
    known = listed if isinstance(listed, list) else [key for key in row if key not in NO_METRICS]
    grades = [
        key
        for key in known
        if isinstance(key, str)
        and isinstance(value := row.get(key), bool | int | float)
        and 0 <= value <= 1
    ]
    if len(grades) == 1:
        return grades[0]
    found = f"several grades: {', '.join(grades)}" if grades else "no metric that is a grade of 0-1"
    raise ParameterError(f"{place}: {found}; name one with `key` correct=NAME")


def _of_output(body: RawRow) -> RawRow:
    """Turn an answer of OpenAI's /v1/responses into a choice of a chat completion."""
    items = [item for item in body["output"] if isinstance(item, dict)]
    parts = [
        part | {"type": item.get("type")} if item.get("type") == "reasoning" else part
        for item in items
        for key in ("summary", "content")
        for part in item.get(key) or []
        if isinstance(part, dict)
    ]
    why = body.get("incomplete_details")
    reason = why.get("reason") if isinstance(why, dict) else body.get("status")
    return {"message": {"content": parts}, "finish_reason": reason}


def _text(place: Place, choice: Any) -> str:
    """Return the text of one choice, its reasoning between think tags; null is none."""
    if not isinstance(choice, dict):
        raise ParameterError(f"{place}: a choice is no object but {choice!r:.60}; mend this line")
    text, reasoning, word, _ = said_in(choice)
    return answer_text(text, reasoning, cut=ending(word) not in (None, "stop"), primer="")


def is_cut(reason: Any) -> bool:
    """True for a finish_reason of a response that was cut at the longest length."""
    return isinstance(reason, str) and ending(reason) == "length"
