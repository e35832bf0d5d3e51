"""A frozen tokenizer on disk: config, weights, metrics, and the fingerprint of the first two."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Self

import pydantic
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from data_prep.embedding.encoders import Encoder
from data_prep.embedding.model_settings import ModelSettings
from data_prep.errors import InputError
from data_prep.mapping.column_mapping import ColumnMapping
from data_prep.storage.durable import recover
from data_prep.storage.files import written_aside
from data_prep.text import TextTemplate
from tokenizer.config import AutoencoderConfig, FitConfig, QuantizerConfig
from tokenizer.ids.policy import Policy
from tokenizer.model.autoencoder import Autoencoder
from tokenizer.quantizer_config import CONFIGS

__all__ = [
    "FILES",
    "FORMAT",
    "EncoderReference",
    "TokenizerArtifact",
    "TokenizerConfig",
    "freeze",
    "load",
    "save",
    "write",
]

FORMAT = 2
CONFIG, WEIGHTS, METRICS = "config.json", "weights.safetensors", "metrics.json"
ENCODER = "encoder.safetensors"  # of an encoder that was fitted with the tokenizer
FILES = CONFIG, WEIGHTS, METRICS, ENCODER
NAME = "name"
MEASURED = ("items", "train_error", "held_out_error", "unique_share", "levels", "record")


class EncoderReference(pydantic.BaseModel):
    """The text encoder that a tokenizer was fitted with.

    Attributes:
        settings: of a sentence-transformers model; None if it is used as it is.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    name: str
    revision: str
    settings: ModelSettings | None = None

    @classmethod
    def of(cls, encoder: Encoder) -> Self:
        """Refer to a loaded encoder."""
        settings = getattr(encoder, "settings", None)
        if settings is not None and settings.usual:
            settings = None
        return cls(name=encoder.name, revision=encoder.revision, settings=settings)

    @pydantic.model_serializer(mode="wrap")
    def _without_defaults(self, write: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out absent settings, so that fingerprints stay those of before this field."""
        body: dict[str, Any] = write(self)
        return {name: value for name, value in body.items() if name != "settings" or value}


def _training(value: Any) -> FitConfig:
    """Read a fit's configuration, its quantizer part as the configuration of the variant it names.

    Artifacts from before November 2026 store the fields of all variants. The fields that the
    variant does not have were never read; they are dropped.
    """
    if isinstance(value, FitConfig):
        return value
    body = dict(value)
    quantizer = {"crowded_choices": 1, **body.pop("quantizer")}  # older ones do not have it
    kind = CONFIGS[quantizer["name"]]
    own = {field.name: quantizer[field.name] for field in fields(kind) if field.name in quantizer}
    config: FitConfig = pydantic.TypeAdapter(FitConfig).validate_python(body)
    return replace(config, quantizer=pydantic.TypeAdapter(kind).validate_python(own))


class TokenizerConfig(pydantic.BaseModel):
    """The contents of config.json, without the fingerprint.

    Attributes:
        format: the version of this layout.
        dimension: D, the length of the vectors.
        encoder: the text encoder; None if the tokenizer was fitted on the user's own vectors.
        policy: how items with the same codes are told apart.
        versions: library versions at the time of fitting, by name.
        mapping: how rows of the catalogue become items; None if its columns have our names.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    format: int
    dimension: int
    training: Annotated[
        FitConfig, pydantic.PlainValidator(_training), pydantic.PlainSerializer(asdict)
    ]
    text: TextTemplate
    encoder: EncoderReference | None
    policy: Policy
    versions: dict[str, str]
    mapping: ColumnMapping | None = None

    @pydantic.model_serializer(mode="wrap")
    def _without_defaults(self, write: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not there, so that fingerprints stay those of before these fields."""
        body: dict[str, Any] = write(self)
        return {name: value for name, value in body.items() if name != "mapping" or value}

    @property
    def quantizer(self) -> QuantizerConfig:
        """The residual stack's configuration."""
        return self.training.quantizer

    @property
    def autoencoder(self) -> AutoencoderConfig:
        """The configuration of the network around the stack."""
        return self.training.autoencoder


@dataclass(frozen=True)
class TokenizerArtifact:
    """A loaded tokenizer.

    Attributes:
        model: in eval mode.
        metrics: measured when the tokenizer was fitted.
        name: what people call it; not part of the fingerprint.
        encoder_weights: of an encoder that was fitted with the tokenizer; None for other encoders,
            which are loaded by name.
    """

    config: TokenizerConfig
    model: Autoencoder
    metrics: dict[str, Any]
    fingerprint: str
    name: str = ""
    encoder_weights: bytes | None = None

    def described(self) -> dict[str, Any]:
        """Return name, fingerprint, config and metrics as plain values."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "config": self.config.model_dump(mode="json"),
            "metrics": self.metrics,
        }


def save(
    folder: Path, config: TokenizerConfig, model: Autoencoder, metrics: dict[str, Any]
) -> TokenizerArtifact:
    """Freeze and write a tokenizer, as `freeze` and `write`."""
    frozen = freeze(config, model, metrics)
    write(folder, frozen)
    return frozen


def freeze(
    config: TokenizerConfig,
    model: Autoencoder,
    metrics: dict[str, Any],
    encoder_weights: bytes | None = None,
) -> TokenizerArtifact:
    """Give a trained tokenizer its fingerprint.

    It is the SHA-256 of the canonical config and the weights' bytes. The config names the encoder's
    revision, which is a digest of the encoder's weights.
    """
    fingerprint = _fingerprint(config.model_dump(mode="json"), _weights(model))
    plain = json.loads(json.dumps(metrics))  # equal to what `load` reads back
    return TokenizerArtifact(
        config, model.cpu().eval(), plain, fingerprint, encoder_weights=encoder_weights
    )


def write(folder: Path, tokenizer: TokenizerArtifact) -> None:
    """Write a tokenizer; the folder appears whole or not at all.

    Raises:
        InputError: the folder cannot be written.
    """
    body = {
        "fingerprint": tokenizer.fingerprint,
        NAME: tokenizer.name or folder.resolve().name,
        **tokenizer.config.model_dump(mode="json"),
    }
    with written_aside(folder, FILES) as aside:
        if tokenizer.encoder_weights is not None:
            (aside / ENCODER).write_bytes(tokenizer.encoder_weights)
        (aside / WEIGHTS).write_bytes(_weights(tokenizer.model))
        (aside / CONFIG).write_text(json.dumps(body, indent=2))
        (aside / METRICS).write_text(json.dumps(tokenizer.metrics, indent=2))


def load(folder: Path) -> TokenizerArtifact:
    """Load a tokenizer on the CPU without unpickling, and check its fingerprint.

    Raises:
        InputError: a file is missing or damaged, or has another format.
    """
    recover(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the folder that semid fit wrote")
    body = _json(folder, CONFIG)
    weights = _bytes(folder, WEIGHTS)
    metrics = _json(folder, METRICS)
    if not set(MEASURED) <= metrics.keys():
        raise InputError(f"{folder}/{METRICS} is damaged: it lacks metrics; restore it from a copy")
    if body.get("format") != FORMAT:
        raise InputError(
            f"{folder}/{CONFIG} has format {body.get('format')!r}; this version of semid reads "
            f"format {FORMAT}; fit again or use the version that wrote it ({_versions(body)})"
        )
    stated = body.pop("fingerprint", None)
    name = str(body.pop(NAME, "") or folder.resolve().name)
    if _fingerprint(body, weights) != stated:
        raise InputError(
            f"{folder}: {CONFIG} and {WEIGHTS} do not match the fingerprint {stated}; the files "
            f"have changed since semid fit; restore them from a copy, or fit again"
        )
    try:
        config = TokenizerConfig.model_validate(body)
        model = Autoencoder(config.dimension, config.autoencoder, config.quantizer)
        model.load_state_dict(load_tensors(weights))
        own = _bytes(folder, ENCODER) if (folder / ENCODER).exists() else None
    except (pydantic.ValidationError, SafetensorError, RuntimeError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{folder} is not a tokenizer that this version can read: {reason}"
        ) from error
    return TokenizerArtifact(config, model.eval(), metrics, str(stated), name, own)


def _weights(model: Autoencoder) -> bytes:
    return save_tensors(
        {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    )


def _fingerprint(body: dict[str, Any], weights: bytes) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode() + hashlib.sha256(weights).digest()).hexdigest()


def _bytes(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} has no {name}; a tokenizer folder holds {CONFIG}, {WEIGHTS} and {METRICS}; "
            f"restore it from a copy, or fit again"
        ) from error
    except OSError as error:
        raise InputError(f"{folder}/{name} cannot be read: {error.strerror}") from error


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        body = json.loads(_bytes(folder, name))
    except ValueError as error:
        raise InputError(f"{folder}/{name} is damaged: {error}; restore it from a copy") from error
    if not isinstance(body, dict):
        raise InputError(
            f"{folder}/{name} is damaged: it is not a JSON object; restore it from a copy"
        )
    return body


def _versions(body: dict[str, Any]) -> str:
    versions = body.get("versions")
    return f"semid {versions.get('semid', '?')}" if isinstance(versions, dict) else "unknown"
