"""`POST /v1/tokenize`: items → frozen semantic IDs."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray

from service.problems import RESPONSES, FieldError, ProblemError
from service.routes.dependencies import CatalogueDependency
from service.schemas import ItemToTokenize, TokenizeAnswer, TokenizedItem, TokenizeRequest
from tokenizer.pipeline import Pipeline

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["tokenize"])


@router.post("/tokenize", responses=RESPONSES)
def tokenize(request: TokenizeRequest, catalogue: CatalogueDependency) -> TokenizeAnswer:
    """Give each item its semantic ID, by its vector, its text, or its fields.

    A registered item keeps the ID that it has, whatever its content is now. Either all items of the
    request are registered or, after an error, none.
    """
    _check(request.items, catalogue.pipeline)
    items = [item.model_dump(exclude={"vector"}, exclude_none=True) for item in request.items]
    vectors = [_vector(item) for item in request.items]
    answers = [
        TokenizedItem(**TokenizedItem.fields_of(entry), status="created" if new else "known")
        for entry, new in catalogue.tokenize(items, vectors)
    ]
    return TokenizeAnswer(items=answers, tokenizer=catalogue.pipeline.fingerprint)


def _vector(item: ItemToTokenize) -> NDArray[np.float32] | None:
    return None if item.vector is None else np.asarray(item.vector, dtype=np.float32)


def _check(items: Sequence[ItemToTokenize], pipeline: Pipeline) -> None:
    """Refuse, all at once and by their paths, items that cannot be tokenized."""
    errors = []
    times = Counter(item.item_id for item in items)
    for row, item in enumerate(items):
        path = f"items/{row}"
        if times[item.item_id] > 1:
            errors.append(
                FieldError(f"{path}/item_id", f"{item.item_id!r} is in this request more than once")
            )
        if item.vector is not None:
            errors += _vector_errors(f"{path}/vector", item.vector, pipeline.config.dimension)
        elif pipeline.config.encoder is None:
            errors.append(FieldError(f"{path}/vector", "this tokenizer has no text encoder"))
        else:
            errors += _text_errors(path, item, pipeline)
    if errors:
        first = errors[0]
        raise ProblemError(422, f"{first['path']}: {first['message']}", errors[:100])


def _text_errors(path: str, item: ItemToTokenize, pipeline: Pipeline) -> list[FieldError]:
    """Refuse no text, and two texts: which of them decides the ID would be a guess."""
    fields = ", ".join(pipeline.config.text.fields)
    rendered = pipeline.config.text.render(item.model_dump())
    given = "text" not in pipeline.config.text.fields and bool((item.text or "").strip())
    if given and rendered:
        return [FieldError(path, f"give text, or {fields}, not both")]
    if not given and not rendered:
        return [FieldError(path, f"item {item.item_id!r} has no vector, text, {fields}")]
    return []


def _vector_errors(path: str, vector: Sequence[float], dimension: int) -> list[FieldError]:
    if len(vector) != dimension:
        return [FieldError(path, f"has length {len(vector)}; this tokenizer takes {dimension}")]
    if not np.asarray(vector, dtype=np.float32).any():
        return [FieldError(path, "has only zeros")]
    return []
