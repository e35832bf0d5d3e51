"""The papers' questions as rows of options: GRIT-VQ's ablations, DiVeQ's and Wasserstein VQ's."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tokenizer.quantizers.grit.radius import RADII
from tokenizer.quantizers.grit.transform import TRANSFORMS

__all__ = ["IMAGE_STUDIES", "ImageStudy"]


@dataclass(frozen=True)
class ImageStudy:
    """A study.

    Attributes:
        rows: for each row's name, the options that it sets.
        shared: options of all rows, unless the user sets them.
    """

    rows: Mapping[str, Mapping[str, object]]
    shared: Mapping[str, object] = field(default_factory=dict)


_NO_PRIOR: Mapping[str, object] = {"prior_steps": 0}


def _grit(**options: object) -> dict[str, object]:
    return {"quantizer": "grit", **options}


# The order is that in which `all` runs them.
IMAGE_STUDIES: dict[str, ImageStudy] = {
    "components": ImageStudy(
        {
            "ste": {"quantizer": "ste"},
            "grit, no radius (ψ′ = 0)": _grit(psi_max=0.0),
            "grit, no transform": _grit(transform="none"),
            "grit": _grit(),
            "grit, frozen": _grit(protocol="frozen"),
        },
    ),
    "codebook-size": ImageStudy(
        {
            f"{name}, K = {size}": {"quantizer": name, "codebook_size": size}
            for size in (256, 1024, 4096, 16_384)
            for name in ("diveq", "ema", "fsq", "grit", "ste", "wasserstein")
        }
    ),
    "start": ImageStudy(
        {
            **{
                f"{name}, random start": {"quantizer": name, "start": "random"}
                for name in ("ste", "ema", "simvq", "diveq", "sf_diveq", "wasserstein", "grit")
            },
            "grit, random start, frozen": _grit(start="random", protocol="frozen"),
            "grit, random start, no resets": _grit(start="random", reset_below=0.0),
        },
        _NO_PRIOR,
    ),
    "auxiliary": ImageStudy(
        {
            **{
                f"{name}{told}": {"quantizer": name, **options}
                for name in ("diveq", "sf_diveq", "nsvq")
                for told, options in (("", {}), (", no auxiliary loss", {"sum_weight": 0.0}))
            },
            "grit": _grit(),
            "grit, no pull of the sum": _grit(sum_weight=0.0),
            "grit, no commitment": _grit(commitment=0.0),
            "grit, no auxiliary loss": _grit(sum_weight=0.0, commitment=0.0),
        },
        _NO_PRIOR,
    ),
    "levels": ImageStudy(
        {
            f"{name}, L = {levels}": {"quantizer": name, "levels": levels}
            for levels in (1, 2, 3)
            for name in ("diveq", "grit")
        },
        _NO_PRIOR,
    ),
    "transform": ImageStudy(
        {
            **{name: _grit(transform=name) for name in sorted(TRANSFORMS)},
            **{f"linear, rank {rank}": _grit(rank=rank) for rank in (8, 16, 32, 64)},
        },
        _NO_PRIOR,
    ),
    "radius": ImageStudy({name: _grit(radius=name) for name in sorted(RADII)}, _NO_PRIOR),
    "refresh": ImageStudy(
        {
            f"every {steps}": _grit(refresh_every=steps, protocol="frozen")
            for steps in (1, 4, 8, 16, 32)
        },
        _NO_PRIOR,
    ),
    "grid": ImageStudy(
        {
            f"{name}, {grid} × {grid}": {"quantizer": name, "grid": grid}
            for grid in (4, 8)
            for name in ("ste", "grit")
        },
        _NO_PRIOR,
    ),
}
