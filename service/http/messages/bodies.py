"""Reads items from request bodies: JSON, which the schemas check, or vectors as msgpack."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, TypeVar

import msgspec
import numpy as np
from fastapi.exceptions import RequestValidationError
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from data_prep.text import as_text
from data_prep.values.item_rules import LONGEST_ID, id_fault, title_fault
from service.engine.catalogue import ItemToRegister
from service.engine.problem_error import FieldError, ProblemError
from service.http.messages.limits import items_fault, text_fault
from service.http.messages.schemas import ItemToTokenize, TokenizeRequest
from tokenizer.pipeline import Pipeline

__all__ = [
    "MSGPACK",
    "MSGPACKS",
    "NDJSON",
    "NDJSONS",
    "READ_AT_ONCE",
    "item_of_line",
    "media_type",
    "read_items",
    "read_model",
]

T = TypeVar("T")
MSGPACK = "application/msgpack"
MSGPACKS = (MSGPACK, "application/x-msgpack", "application/vnd.msgpack")
NDJSON = "application/x-ndjson"
NDJSONS = (NDJSON, "application/ndjson", "application/jsonl", "application/jsonlines")
QUICK_FIELDS = frozenset(["item_id", "vector", "title"])
LARGEST_COMPONENT = 3e38  # magnitude of a component
READ_AT_ONCE = 2**16  # bytes; a thread reads a longer body, to keep the event loop free
_ItemId = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID, pattern=r"\S")]
_PATH = re.compile(r" - at `\$\.?(.*)`$")
_request = TypeAdapter(TokenizeRequest)
_item = TypeAdapter(ItemToTokenize)


class _VectorItem(msgspec.Struct, forbid_unknown_fields=True):
    """An `ItemToTokenize` with only a vector and a title; msgspec decodes it fast."""

    item_id: _ItemId
    vector: list[float]
    title: str | None = None


class _VectorItems(msgspec.Struct, forbid_unknown_fields=True):
    items: Annotated[list[_VectorItem], msgspec.Meta(min_length=1)]


class _PackedVectors(msgspec.Struct, forbid_unknown_fields=True):
    """Vectors as bytes, one item after the other; each component is a little-endian float32."""

    item_ids: Annotated[list[_ItemId], msgspec.Meta(min_length=1)]
    vectors: bytes
    titles: list[str | None] | None = None


_vector_items = msgspec.json.Decoder(_VectorItems)
_vector_item = msgspec.json.Decoder(_VectorItem)
_packed_vectors = msgspec.msgpack.Decoder(_PackedVectors)


def media_type(request: Request) -> str:
    """Return the media type of the request's body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_items(request: Request, pipeline: Pipeline) -> list[ItemToRegister]:
    """Return the items of a body, each with text or a vector (D,).

    Raises:
        ProblemError: 400, the body cannot be read; 422, items cannot be tokenized; its `errors`
            list their paths.
        RequestValidationError: the body is not a `TokenizeRequest`.
    """
    read = _of_msgpack if media_type(request) in MSGPACKS else _of_json
    body = await request.body()
    if len(body) <= READ_AT_ONCE:
        return read(body, pipeline)
    return await asyncio.to_thread(read, body, pipeline)


def item_of_line(line: bytes, pipeline: Pipeline) -> ItemToRegister:
    """Return the item that one line of JSON describes.

    Raises:
        ProblemError, RequestValidationError: as `read_items`, with paths from the line's root.
    """
    quick = None
    if _has_our_names(pipeline):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            quick = _vector_item.decode(line)
    item = None if quick is None else _quick_item(quick)
    faults: list[str] = []
    if item is None:
        item, faults = _item_to_register(
            read_model(_item, line, lambda given: _named(given, pipeline)), pipeline
        )
    _check([item], [faults], pipeline, lambda _, field: field)
    return item


def _of_json(body: bytes, pipeline: Pipeline) -> list[ItemToRegister]:
    items = _quickly(body) if _has_our_names(pipeline) else None
    faults: Sequence[Sequence[str]] = ()
    if items is None:
        request = read_model(_request, body, lambda given: _all_named(given, pipeline))
        read = [_item_to_register(item, pipeline) for item in request.items]
        items, faults = [item for item, _ in read], [wrong for _, wrong in read]
    _check(items, faults, pipeline, lambda row, field: f"items/{row}/{field}".rstrip("/"))
    return items


def _quickly(body: bytes) -> list[ItemToRegister] | None:
    """Decode items with vectors fast; return None if the schemas must check the body.

    The schemas would accept the same bodies and give the same items.
    """
    try:
        decoded = _vector_items.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if items_fault(len(decoded.items)) is not None:
        return None
    items = []
    for decoded_item in decoded.items:
        item = _quick_item(decoded_item)
        if item is None:
            return None
        items.append(item)
    return items


def _quick_item(item: _VectorItem) -> ItemToRegister | None:
    vector = _vector(item.vector)
    if vector is None or _id_fault(item.item_id) or _title_fault(item.title):
        return None
    return ItemToRegister(item.item_id, item.title, vector=vector)


def _vector(components: Sequence[float]) -> NDArray[np.float32] | None:
    """Return the vector, or None if its length or a component is out of bounds."""
    vector = np.asarray(components, dtype=np.float64)
    if not len(vector) or len(vector) > 65_536 or not np.abs(vector).max() <= LARGEST_COMPONENT:
        return None
    return vector.astype(np.float32)


def _has_our_names(pipeline: Pipeline) -> bool:
    """Return whether a body of vectors and titles needs no mapping."""
    mapping = pipeline.config.mapping
    return mapping is None or not mapping.reads(QUICK_FIELDS)


def _named(item: object, pipeline: Pipeline) -> object:
    """Return a decoded item with our names, by the mapping that the tokenizer was fitted with."""
    mapping = pipeline.config.mapping
    return item if mapping is None or not isinstance(item, dict) else mapping.row(item)


def _all_named(body: object, pipeline: Pipeline) -> object:
    if not isinstance(body, dict) or not isinstance(body.get("items"), list):
        return body
    return body | {"items": [_named(item, pipeline) for item in body["items"]]}


def read_model(
    adapter: TypeAdapter[T], body: bytes, prepared: Callable[[object], object] = lambda body: body
) -> T:
    """Return the model in a JSON body.

    Args:
        prepared: changes the decoded body before it is checked.

    Raises:
        ProblemError: 400, the body is not JSON.
        RequestValidationError: the body does not fit the model; the error is as FastAPI's own.
    """
    try:
        decoded = json.loads(body)
    except json.JSONDecodeError as error:
        raise ProblemError(
            400, f"the body is not JSON: {error.msg} at character {error.pos}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, f"the body is not JSON: {error}") from error
    try:
        return adapter.validate_python(prepared(decoded))
    except ValidationError as error:
        found = [wrong | {"loc": ("body", *wrong["loc"])} for wrong in error.errors()]
        raise RequestValidationError(found) from error


def _item_to_register(item: ItemToTokenize, pipeline: Pipeline) -> tuple[ItemToRegister, list[str]]:
    """Return an item with its vector or its text, and what is wrong with the text."""
    if item.vector is not None:
        vector = np.asarray(item.vector, dtype=np.float32)
        return ItemToRegister(item.item_id, item.title, vector=vector), []
    template, fields = pipeline.config.text, dict(item)
    text, faults = "", []
    try:
        text = template.content(fields)
    except ValueError as error:
        faults = [str(error)]
    if not text and not faults:
        named = ", ".join(template.fields)
        faults = [f"item {item.item_id!r} has none of vector, text, {named}"]
    elif text:
        further = [name for name in template.fields if name not in ItemToTokenize.model_fields]
        wrong = ((name, text_fault(as_text(fields.get(name)))) for name in further)
        faults = [f"{name} {fault}" for name, fault in wrong if fault]
    return ItemToRegister(item.item_id, item.title, text), faults


def _of_msgpack(body: bytes, pipeline: Pipeline) -> list[ItemToRegister]:
    try:
        packed = _packed_vectors.decode(body)
    except msgspec.ValidationError as error:
        path = _PATH.search(str(error))
        message = _PATH.sub("", str(error))
        where = path[1].replace("[", "/").replace("]", "") if path else ""
        raise ProblemError(
            422, f"{where or 'the body'}: {message}", [FieldError(where, message)]
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProblemError(400, f"the body is not msgpack: {error}") from error
    rows, dimension = len(packed.item_ids), pipeline.config.dimension
    titles = [None] * rows if packed.titles is None else packed.titles
    _check_columns(packed, dimension)
    vectors = np.frombuffer(packed.vectors, dtype="<f4").reshape(rows, dimension)
    items = [
        ItemToRegister(item_id, title, vector=vector)
        for item_id, title, vector in zip(packed.item_ids, titles, vectors, strict=True)
    ]
    columns = {"item_id": "item_ids", "vector": "vectors"}
    _check(items, (), pipeline, lambda row, field: f"{columns[field]}/{row}")
    return items


def _check_columns(packed: _PackedVectors, dimension: int) -> None:
    """Refuse columns that differ in length or exceed a limit."""
    rows, titles = len(packed.item_ids), packed.titles or ()
    errors = []
    if (fault := items_fault(rows)) is not None:
        errors.append(FieldError("item_ids", fault))
    if packed.titles is not None and len(titles) != rows:
        errors.append(FieldError("titles", f"has {len(titles)} titles for {rows} items"))
    if len(packed.vectors) != 4 * rows * dimension:
        message = (
            f"has {len(packed.vectors)} bytes; {rows} vectors of {dimension} float32 "
            f"have {4 * rows * dimension}"
        )
        errors.append(FieldError("vectors", message))
    faults = (
        *((f"item_ids/{row}", _id_fault(text)) for row, text in enumerate(packed.item_ids)),
        *((f"titles/{row}", _title_fault(text)) for row, text in enumerate(titles)),
    )
    errors += [FieldError(path, fault) for path, fault in faults if fault]
    if errors:
        raise ProblemError(422, f"{errors[0]['path']}: {errors[0]['message']}", errors)


def _id_fault(item_id: str) -> str | None:
    return text_fault(item_id) or id_fault(item_id)


def _title_fault(title: str | None) -> str | None:
    return None if title is None else text_fault(title) or title_fault(title)


def _check(
    items: Sequence[ItemToRegister],
    text_faults: Sequence[Sequence[str]],
    pipeline: Pipeline,
    path: Callable[[int, str], str],
) -> None:
    """Refuse items that cannot be tokenized, with one problem that lists all their paths.

    Args:
        text_faults: what is wrong with each item's text; empty if all items have vectors.
    """
    errors = []
    times = Counter(item.item_id for item in items)
    wrong_vectors = _wrong_vectors(items, pipeline)
    for row, item in enumerate(items):
        if times[item.item_id] > 1:
            message = f"{item.item_id!r} is in this request more than once"
            errors.append(FieldError(path(row, "item_id"), message))
        if row in wrong_vectors:
            errors.append(FieldError(path(row, "vector"), wrong_vectors[row]))
        if item.vector is None and pipeline.config.encoder is None:
            errors.append(
                FieldError(path(row, "vector"), "this tokenizer has no text encoder; give a vector")
            )
        elif item.vector is None:
            errors += [FieldError(path(row, ""), message) for message in text_faults[row]]
    if errors:
        first = errors[0]
        raise ProblemError(422, f"{first['path'] or 'the line'}: {first['message']}", errors[:100])


def _wrong_vectors(items: Sequence[ItemToRegister], pipeline: Pipeline) -> dict[int, str]:
    """Return what is wrong with the items' vectors, by row; no later step checks them again."""
    dimension = pipeline.config.dimension
    wrong, rows, vectors = {}, [], []
    for row, item in enumerate(items):
        if item.vector is None:
            continue
        if len(item.vector) == dimension:
            rows.append(row)
            vectors.append(item.vector)
        else:
            wrong[row] = f"has length {len(item.vector)}; this tokenizer takes {dimension}"
    if vectors:
        together = vectors[0][None] if len(vectors) == 1 else np.stack(vectors)
        faults = pipeline.faults(together)
        wrong |= {rows[place]: f"has {fault}" for place, fault in faults.items()}
    return wrong
