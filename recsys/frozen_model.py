"""A trained model with its catalogue as a folder: configuration, weights, catalogue, metrics."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from data_prep.errors import InputError
from data_prep.storage.durable import recover
from data_prep.storage.files import written_aside
from data_prep.storage.record import library_versions

__all__ = ["FILES", "FrozenModel"]

CONFIG, WEIGHTS, CATALOGUE, METRICS = FILES = (
    "config.json",
    "weights.safetensors",
    "catalogue.safetensors",
    "metrics.json",
)


class _Catalogue(Protocol):
    """A data set that one file keeps."""

    @property
    def fingerprint(self) -> str: ...

    @property
    def tokenizer(self) -> str: ...

    def save(self, path: Path) -> None: ...


CatalogueT = TypeVar("CatalogueT", bound=_Catalogue)
Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class FrozenModel(Generic[CatalogueT]):
    """The contents of a model's folder; each kind of model names itself by the class attributes.

    Attributes:
        body: config.json without the fingerprint: format, shape, tokenizer, versions.
        weights: of the model, in the safetensors format.
        catalogue: what the model needs to know of the items.
        metrics: measured when the model was trained.
        fingerprint: SHA-256 of shape, weights and catalogue.
        kind: what the folder is, with its article.
        command: the command that writes it.
        format_key, format: under which key config.json has the version of the layout, and the
            version.
    """

    body: dict[str, Any]
    weights: bytes
    catalogue: CatalogueT
    metrics: dict[str, Any]
    fingerprint: str

    kind: ClassVar[str]
    command: ClassVar[str]
    format_key: ClassVar[str]
    format: ClassVar[int] = 1

    @staticmethod
    def load_catalogue(path: Path) -> CatalogueT:
        """Read the file of the catalogue."""
        raise NotImplementedError

    @classmethod
    def freeze(
        cls,
        model: nn.Module,
        shape: dict[str, Any],
        catalogue: CatalogueT,
        metrics: dict[str, Any],
        **more: Any,
    ) -> Self:
        """Return a trained model in the form that a folder keeps.

        Args:
            shape: builds the model again, as plain values.
            more: further entries of config.json.
        """
        weights = save({name: t.cpu().contiguous() for name, t in model.state_dict().items()})
        body = {
            cls.format_key: cls.format,
            "shape": shape,
            "tokenizer": catalogue.tokenizer,
            **more,
            "catalogue": catalogue.fingerprint,
            "versions": library_versions(),
        }
        plain = json.loads(json.dumps(metrics))  # as the file has them
        return cls(body, weights, catalogue, plain, _fingerprint(body, weights))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            InputError: a file is missing, cut short or changed, or of another format.
        """
        recover(folder)
        try:
            body = json.loads((folder / CONFIG).read_text())
            metrics = json.loads((folder / METRICS).read_text())
            weights = (folder / WEIGHTS).read_bytes()
        except (OSError, ValueError) as error:
            raise InputError(
                f"{folder} is not {cls.kind}: {error}; give the folder that {cls.command} wrote"
            ) from error
        if not isinstance(body, dict) or body.get(cls.format_key) != cls.format:
            raise InputError(
                f"{folder}/{CONFIG} is not {cls.kind} of format {cls.format}; train again"
            )
        stated = body.pop("fingerprint", None)
        catalogue = cls.load_catalogue(folder / CATALOGUE)
        changed = _fingerprint(body, weights) != stated
        if changed or catalogue.fingerprint != body.get("catalogue"):
            raise InputError(
                f"{folder} has changed since {cls.command} wrote it; restore it from a copy, or "
                f"train again"
            )
        return cls(body, weights, catalogue, metrics, str(stated))

    def write(self, folder: Path) -> None:
        """Write the files; the folder appears whole or not at all.

        Raises:
            InputError: the folder cannot be written.
        """
        body = {"fingerprint": self.fingerprint, **self.body}
        with written_aside(folder, FILES) as aside:
            (aside / WEIGHTS).write_bytes(self.weights)
            self.catalogue.save(aside / CATALOGUE)
            (aside / CONFIG).write_text(json.dumps(body, indent=2))
            (aside / METRICS).write_text(json.dumps(self.metrics, indent=2))

    def with_weights(self, model: Module) -> Module:
        """Give a model its weights and return it in eval mode; nothing is unpickled.

        Raises:
            InputError: the weights do not fit the shape.
        """
        try:
            model.load_state_dict(load(self.weights))
        except (SafetensorError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"{WEIGHTS} does not fit the model's shape: {reason}") from error
        return model.eval()


def _fingerprint(body: dict[str, Any], weights: bytes) -> str:
    plain = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(plain + hashlib.sha256(weights).digest()).hexdigest()
