from itertools import product
from typing import Any

import pytest
import torch

from tokenizer.quantizers.base import search
from tokenizer.quantizers.base.path_tables import PathTables
from tokenizer.quantizers.base.search import nearest, nearest_codes, search_paths


def _books(levels: int = 3, size: int = 6, width: int = 4) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, width, generator=generator) / (i + 1) for i in range(levels)]


def _lost(z: torch.Tensor, codes: torch.Tensor, books: list[torch.Tensor]) -> torch.Tensor:
    total = sum((book[codes[:, i]] for i, book in enumerate(books)), torch.zeros_like(z))
    return (z - total).square().sum(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_nearest_codeword_is_that_of_brute_force(dtype: torch.dtype) -> None:
    z = torch.randn(5000, 4, generator=torch.Generator().manual_seed(1)).to(dtype)
    book = _books()[0].to(dtype)
    distances = torch.cdist(z.double(), book.double()).square()
    codes = nearest_codes(z, book, book.square().sum(1) / 2)
    chosen = distances.gather(1, codes[:, None])[:, 0]
    slack = 0.1 if dtype == torch.bfloat16 else 1e-4
    assert (chosen <= distances.min(1).values + slack).all()
    if dtype != torch.bfloat16:
        index, lost = nearest(z, book)
        assert torch.equal(index, codes)
        assert torch.allclose(lost.double(), chosen, atol=1e-4)


def test_a_beam_of_one_is_greedy_and_a_full_one_is_exhaustive() -> None:
    books = _books()
    z = torch.randn(50, 4, generator=torch.Generator().manual_seed(2))
    greedy, residual = [], z
    for book in books:
        greedy.append(nearest(residual, book)[0])
        residual = residual - book[greedy[-1]]
    assert torch.equal(search_paths(z, books, 1), torch.stack(greedy, dim=1))
    every = torch.tensor(list(product(range(6), repeat=3)))
    sums = sum((book[every[:, i]] for i, book in enumerate(books)), torch.zeros(216, 4))
    best = torch.cdist(z, sums).min(1).values.square()
    assert torch.allclose(_lost(z, search_paths(z, books, 216), books), best, atol=1e-4)


def test_wider_beams_lose_less_on_the_whole() -> None:
    books = _books(levels=4, size=16, width=8)
    z = torch.randn(500, 8, generator=torch.Generator().manual_seed(3))
    lost = [_lost(z, search_paths(z, books, beam), books).sum().item() for beam in (1, 2, 8, 64)]
    assert lost == sorted(lost, reverse=True)
    assert lost[0] > 1.02 * lost[-1]


def test_a_beam_in_parts_is_the_beam(monkeypatch: pytest.MonkeyPatch) -> None:
    books, largest = _books(size=16), []
    z = torch.randn(500, 4, generator=torch.Generator().manual_seed(4))
    whole = search_paths(z, books, 5)
    addmm = torch.addmm

    def watched(*args: Any, **options: Any) -> torch.Tensor:
        product = addmm(*args, **options)
        largest.append(product.numel())
        return product

    monkeypatch.setattr(search, "MOST_SCORES", 1000)
    monkeypatch.setattr(torch, "addmm", watched)
    assert torch.equal(search_paths(z, books, 5), whole)
    assert max(largest) <= 1000


@pytest.mark.parametrize("beam", [1, 3, 20])
@pytest.mark.parametrize("levels", [2, 4])
def test_tables_find_the_paths_of_the_residuals(beam: int, levels: int) -> None:
    books = [book.double() for book in _books(levels, size=16, width=8)]
    z = torch.randn(300, 8, generator=torch.Generator().manual_seed(5)).double()
    tables = PathTables(books)
    products = tables.products(z)
    codes = tables.search(products, beam)
    assert torch.equal(codes, search_paths(z, books, beam))
    left = z - sum((book[column] for book, column in zip(books[:-1], codes.T, strict=False)), 0 * z)
    half_norms = books[-1].square().sum(1) / 2
    last = search.half_distances(left, books[-1], half_norms)
    assert torch.allclose(tables.continued(products, codes[:, None, :-1])[:, 0], last)


def test_tables_know_their_codebooks() -> None:
    books = _books()
    tables = PathTables(books)
    assert tables.are_of(books)
    assert not tables.are_of([*books[:-1], books[-1].clone()])
    assert not tables.are_of(books[:-1])


def test_no_vectors_have_no_codes() -> None:
    tables = PathTables(_books())
    assert tables.search(tables.products(torch.zeros(0, 4)), 5).shape == (0, 3)
    assert search_paths(torch.zeros(0, 4), _books(), 5).shape == (0, 3)
    assert nearest(torch.zeros(0, 4), _books()[0])[0].shape == (0,)
