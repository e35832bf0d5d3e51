"""What is chosen of a quantizer: a small configuration for each variant, by its name.

They stand apart from the quantizers so that a program can read and list them without torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

__all__ = [
    "CONFIGS",
    "CommittedConfig",
    "DiveqConfig",
    "EmaConfig",
    "FsqConfig",
    "GritConfig",
    "LfqConfig",
    "QuantizerConfig",
    "SoftConfig",
    "SummedConfig",
    "VqConfig",
    "WassersteinConfig",
    "as_variant",
    "variant_config",
]


@dataclass(frozen=True)
class QuantizerConfig:
    """What every variant has: one residual stack of levels.

    Attributes:
        name: the variant, a name of `CONFIGS`.
        levels: L, the codes of an item.
        codebook_size: K, the codewords of a level; 2 to 65,536, since codes are stored as uint16.
        search_beam: paths kept through the levels when an item is coded; 1 is the greedy search,
            level by level, and the fastest.
        start: `kmeans` of warm latents, or `random` Gaussian codewords of the latents' length.
    """

    name: str
    levels: int = 4
    codebook_size: int = 256
    search_beam: int = 1
    start: str = "kmeans"


@dataclass(frozen=True)
class CommittedConfig(QuantizerConfig):
    """Latents are pulled to their codewords.

    Attributes:
        commitment: weight β of ‖z − sg q‖², a level.
    """

    commitment: float = 0.25


@dataclass(frozen=True)
class SummedConfig(QuantizerConfig):
    """Codewords learn by gradient, and their sum is pulled to the latent.

    Attributes:
        sum_weight: of ‖sg z − Σ q‖², the gap that all levels leave together; one default for all
            variants, so that a comparison is fair.
    """

    sum_weight: float = 1.0


@dataclass(frozen=True)
class VqConfig(CommittedConfig, SummedConfig):
    """The losses of VQ-VAE: ste, rqvae, rotation, simvq.

    Attributes:
        codebook_weight: of ‖sg z − q‖², a level.
    """

    codebook_weight: float = 1.0


@dataclass(frozen=True)
class WassersteinConfig(VqConfig):
    """The distance between the distributions of codewords and latents beside.

    Attributes:
        wasserstein: its weight γ.
    """

    wasserstein: float = 0.5


@dataclass(frozen=True)
class SoftConfig(CommittedConfig, SummedConfig):
    """A softmax that chooses carries the gradient: gumbel, hypervq."""


@dataclass(frozen=True)
class DiveqConfig(SummedConfig):
    """Noise turns the direction of the step: diveq, sf_diveq.

    Attributes:
        noise_variance: σ².
    """

    noise_variance: float = 1e-3


@dataclass(frozen=True)
class EmaConfig(CommittedConfig):
    """The codebook follows its latents by moving averages.

    Attributes:
        decay: ρ of the averages.
    """

    decay: float = 0.99


@dataclass(frozen=True)
class FsqConfig(QuantizerConfig):
    """Channels are rounded.

    Attributes:
        fsq_levels: values of each channel, whose product is the codebook size; chosen for it where
            empty.
    """

    fsq_levels: tuple[int, ...] = ()


@dataclass(frozen=True)
class LfqConfig(CommittedConfig):
    """Signs of channels are the code.

    Attributes:
        entropy_weight: of a latent's entropy over codes less that of the batch.
    """

    entropy_weight: float = 1.0


@dataclass(frozen=True)
class GritConfig(CommittedConfig, SummedConfig):
    """GRIT-VQ.

    The power radius needs the commitment: its slope below 1 leaves a part of the straight-through
    gradient along the gap, and without it the latents ran away.

    Attributes:
        radius: the radius family of the surrogate, a name of
            `tokenizer.quantizers.grit.radius.RADII`.
        psi_max: upper bound of the radius slope ψ′; 1 is non-expansive for radial families, below 2
            never flips a sign.
        transform: a name of `tokenizer.quantizers.grit.transform.TRANSFORMS`.
        rank: r of the linear transform's U Vᵀ, and the features of attention_low_rank.
        top_k: codewords that a row of attention_top_k looks at.
        spectral_clip: upper bound of σ_max(W); a guard, since training on Beauty reaches 1.5.
        feed: the decoder sees the codewords (`hard`) or z̃ (`surrogate`) in training.
        protocol: the raw codebook stays (`frozen`) or learns (`joint`, `joint_ema`), a name of
            `tokenizer.quantizers.grit.codebook.PROTOCOLS`.
        usage_weight: of the KL of usage to uniform under `joint`.
        reset_below: share of uniform use below which a codeword counts as dead and is put on a
            latent anew; 0 never resets. Joint protocols only.
        decay: of the moving averages of use, and of joint_ema's codewords.
        row_norm: normalise the rows of the raw codebook to length 1, instead of only their mean.
        codeword_norm: normalise the transformed rows too, so that a level's codewords have one
            length, its gain.
        gain: a learnt scale a level, started from its codewords'; without, C holds it.
        refresh_every: steps after which the transformed codebook that is searched in training is
            made anew.
    """

    name: str = "grit"
    radius: str = "power"
    psi_max: float = 1.0
    transform: str = "linear"
    rank: int = 16
    top_k: int = 8
    spectral_clip: float = 4.0
    feed: str = "hard"
    protocol: str = "joint"
    usage_weight: float = 0.0
    reset_below: float = 0.05
    decay: float = 0.99
    row_norm: bool = False
    codeword_norm: bool = False
    gain: bool = True
    refresh_every: int = 1


CONFIGS: dict[str, type[QuantizerConfig]] = {
    "diveq": DiveqConfig,
    "ema": EmaConfig,
    "fsq": FsqConfig,
    "grit": GritConfig,
    "gumbel": SoftConfig,
    "hypervq": SoftConfig,
    "kmeans": CommittedConfig,
    "lfq": LfqConfig,
    "lsh": CommittedConfig,
    "nsvq": SummedConfig,
    "opq": CommittedConfig,
    "pq": CommittedConfig,
    "rotation": VqConfig,
    "rq_faiss": CommittedConfig,
    "rqvae": VqConfig,
    "sf_diveq": DiveqConfig,
    "simvq": VqConfig,
    "ste": VqConfig,
    "wasserstein": WassersteinConfig,
}


def variant_config(name: str, **values: Any) -> QuantizerConfig:
    """Return the configuration of the variant `name`, a key of `CONFIGS`.

    Raises:
        TypeError: the variant has no field of that name.
    """
    return CONFIGS[name](name=name, **values)


def as_variant(config: QuantizerConfig, name: str, values: Mapping[str, Any]) -> QuantizerConfig:
    """Return the configuration of the variant `name` with `values`.

    What `config` sets otherwise than its variant's default stays, where the variant has the field.
    """
    if name == config.name:
        return replace(config, **values)
    usual = CONFIGS[config.name](name=config.name)
    known = {field.name for field in fields(CONFIGS[name])} - {"name"}
    kept = {
        key: getattr(config, key)
        for key in known & {field.name for field in fields(config)}
        if getattr(config, key) != getattr(usual, key)
    }
    return variant_config(name, **(kept | dict(values)))
