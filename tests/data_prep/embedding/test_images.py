"""Images by a model made here, which reads texts and images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sentence_transformers import SentenceTransformer

from data_prep.embedding.embed import embed
from data_prep.embedding.encoders import load_encoder
from data_prep.embedding.images import embed_images, image_files
from data_prep.embedding.model_settings import ModelSettings
from data_prep.errors import InputError
from tests.data_prep.embedding.small_models import small_clip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return small_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Write pictures of several sizes and modes."""
    draw = np.random.default_rng(0)
    files = []
    for number, shape in enumerate([(40, 50, 3), (64, 33, 3), (32, 32)]):
        path = tmp_path / f"{number}.png"
        Image.fromarray(draw.integers(0, 255, shape, dtype=np.uint8)).save(path)
        files.append(path)
    return files


def test_images_get_the_vectors_of_the_library(model: str, pictures: list[Path]) -> None:
    encoder = load_encoder(model)
    vectors = embed_images(pictures, encoder)
    expected = SentenceTransformer(model).encode(
        [Image.open(path).convert("RGB") for path in pictures]
    )
    assert np.allclose(vectors, expected, atol=1e-5)
    assert np.array_equal(embed_images(pictures[1:2], encoder)[0], vectors[1])
    assert embed(["red cup"], encoder).shape == (1, 12)
    cut = load_encoder(model, settings=ModelSettings(truncate_dim=5))
    assert np.array_equal(embed_images(pictures, cut), vectors[:, :5])


def test_what_is_no_image_is_refused(model: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(InputError, match=r"a\.png is not a readable image"):
        embed_images([tmp_path / "a.png"], load_encoder(model))
    with pytest.raises(InputError, match="hashing reads no images"):
        embed_images([tmp_path / "a.png"], load_encoder("hashing"))
    wrong = ((None, "'x' has no image"), ("b.png", "there is no image"), ("http://a/b", "download"))
    for name, said in wrong:
        with pytest.raises(InputError, match=said):
            image_files([name], ["x"], tmp_path)
