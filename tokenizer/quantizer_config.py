"""The configurations of quantizers: a small one for each variant, by the variant's name.

This module does not import the quantizers, so that a program can list variants without torch.
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
    "HypervqConfig",
    "LfqConfig",
    "LshConfig",
    "QuantizerConfig",
    "SoftConfig",
    "SummedConfig",
    "VqConfig",
    "WassersteinConfig",
    "as_variant",
    "sized",
    "variant_config",
]


@dataclass(frozen=True)
class QuantizerConfig:
    """The fields that every variant has, for one residual stack of levels.

    Attributes:
        name: the variant, a key of `CONFIGS`.
        levels: L, the number of codes an item has.
        codebook_size: K, the codewords a level has; 2 to 65,536, since codes are stored as uint16.
        search_beam: how many paths the search keeps from level to level when it codes an item; 1 is
            the greedy search, and the fastest. 1 for variants that do not choose codes by distance.
        crowded_choices: if several items of the fitted catalogue had the same codes, an item with
            these codes takes one of so many nearest codewords of the last level, chosen by a hash
            of its vector; 1 always takes the nearest one. For variants that choose by distance.
        start: how codebooks start: from `kmeans` centres of the latents after the warm-up, or from
            `random` Gaussian codewords of the latents' length.
    """

    name: str
    levels: int = 4
    codebook_size: int = 256
    search_beam: int = 5
    crowded_choices: int = 16
    start: str = "kmeans"


@dataclass(frozen=True)
class CommittedConfig(QuantizerConfig):
    """Variants with a commitment loss, which pulls latents to their codewords.

    Attributes:
        commitment: β, the weight of each level's ‖z − sg q‖².
    """

    commitment: float = 0.25


@dataclass(frozen=True)
class SummedConfig(QuantizerConfig):
    """Variants whose codewords learn by gradient; a loss pulls their sum to the latent.

    Attributes:
        sum_weight: weight of ‖sg z − Σ q‖², the residual after all levels. All variants have the
            same default, so that comparisons are fair.
    """

    sum_weight: float = 1.0


@dataclass(frozen=True)
class VqConfig(CommittedConfig, SummedConfig):
    """The losses of VQ-VAE: ste, rqvae, rotation, simvq.

    Attributes:
        codebook_weight: weight of each level's ‖sg z − q‖².
    """

    codebook_weight: float = 1.0


@dataclass(frozen=True)
class WassersteinConfig(VqConfig):
    """VQ-VAE's losses plus a distance between the distributions of codewords and latents.

    Attributes:
        wasserstein: γ, the weight of this distance.
    """

    wasserstein: float = 0.5


@dataclass(frozen=True)
class SoftConfig(CommittedConfig, SummedConfig):
    """Variants that choose codes by a softmax, which also carries the gradient: gumbel."""


@dataclass(frozen=True)
class HypervqConfig(SoftConfig):
    """HyperVQ; it does not choose codes by distance."""

    search_beam: int = 1


@dataclass(frozen=True)
class LshConfig(CommittedConfig):
    """Random hyperplanes, which do not choose codes by distance."""

    search_beam: int = 1


@dataclass(frozen=True)
class DiveqConfig(SummedConfig):
    """Variants in which noise turns the direction of the quantization step: diveq, sf_diveq.

    Attributes:
        noise_variance: σ² of the noise.
    """

    noise_variance: float = 1e-3


@dataclass(frozen=True)
class EmaConfig(CommittedConfig):
    """The codewords are moving averages of the latents assigned to them.

    Attributes:
        decay: ρ, the decay of the averages.
    """

    decay: float = 0.99


@dataclass(frozen=True)
class FsqConfig(QuantizerConfig):
    """Finite scalar quantization: the code is made of rounded channels.

    Attributes:
        fsq_levels: number of values of each channel; their product is the codebook size. If empty,
            they are derived from the codebook size.
    """

    search_beam: int = 1
    fsq_levels: tuple[int, ...] = ()


@dataclass(frozen=True)
class LfqConfig(CommittedConfig):
    """Lookup-free quantization: the code is made of the channels' signs.

    Attributes:
        entropy_weight: weight of the loss that is a latent's entropy over codes minus the batch's
            entropy.
    """

    search_beam: int = 1
    entropy_weight: float = 1.0


@dataclass(frozen=True)
class GritConfig(CommittedConfig, SummedConfig):
    """GRIT-VQ.

    The power radius needs the commitment loss. A radius slope below 1 leaves a part of the
    straight-through gradient along the gap; without a commitment loss the latents then diverged.

    Attributes:
        radius: the radius family of the surrogate, a name of
            `tokenizer.quantizers.grit.radius.RADII`.
        psi_max: upper bound of the radius slope ψ′. At 0 the gradient is the straight-through one;
            at 1 it has no part along the gap. For radial families up to 1 the surrogate is
            non-expansive, and below 2 it never flips a gradient's sign.
        transform: a name of `tokenizer.quantizers.grit.transform.TRANSFORMS`.
        rank: r of the linear transform's U Vᵀ; for attention_low_rank the number of features.
        top_k: how many codewords a row attends to in attention_top_k.
        spectral_clip: upper bound of σ_max(W). It is a guard: training on Amazon Beauty reaches
            1.5.
        feed: what the decoder gets in training: the codewords (`hard`) or z̃ (`surrogate`).
        protocol: whether the raw codebook stays (`frozen`) or learns (`joint`, `joint_ema`); a name
            of `tokenizer.quantizers.grit.codebook.PROTOCOLS`.
        usage_weight: weight of the KL divergence of usage from uniform; `joint` only.
        reset_below: a codeword used less than this share of uniform use counts as dead and restarts
            from a latent; so does one that no training item uses at a measurement. 0 never resets.
            Joint protocols only.
        decay: decay of the moving averages of use, and of joint_ema's codewords.
        row_norm: normalise each row of the raw codebook to length 1, not only their mean length.
        codeword_norm: normalise the transformed rows too: all codewords of a level then have one
            length, the gain.
        gain: whether each level has a learnt scale, started from its codewords' scale; without it C
            holds the scale.
        refresh_every: how many training steps use one transformed codebook before it is computed
            again.
    """

    name: str = "grit"
    radius: str = "power"
    psi_max: float = 0.5
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
    "hypervq": HypervqConfig,
    "kmeans": CommittedConfig,
    "lfq": LfqConfig,
    "lsh": LshConfig,
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

    The fields that `config` sets to other values than its defaults stay, if the variant has them.
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


def sized(config: QuantizerConfig) -> QuantizerConfig:
    """Return the configuration with default `rank` and `top_k` no larger than the codebook."""
    usual = GritConfig()
    if not isinstance(config, GritConfig):
        return config
    smaller = {
        name: min(getattr(usual, name), config.codebook_size)
        for name in ("rank", "top_k")
        if getattr(config, name) == getattr(usual, name)
    }
    return replace(config, **smaller)
