"""Top-K SSIM search, against scikit-image brute force and pytorch-msssim."""

import numpy as np
import pytest
import torch
from pytorch_msssim import ssim as msssim
from skimage.metrics import structural_similarity

from fixtures import textured_images
from frerec.calibration.retrieval import sparse_stride, top_k_ssim
from frerec.calibration.similarity import Moments, pair_scores, strided_scores
from frerec.errors import ConfigError, DataError


def brute_force(queries: torch.Tensor, bank: torch.Tensor, data_range: float = 1.0) -> np.ndarray:
    """scikit-image's mean SSIM over windows wholly inside, [Q, N]."""
    scores = np.zeros((len(queries), len(bank)))
    for i, x in enumerate(queries.double().numpy()):
        for j, y in enumerate(bank.double().numpy()):
            _, full = structural_similarity(
                x,
                y,
                channel_axis=0,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=data_range,
                full=True,
            )
            scores[i, j] = full[:, 5:-5, 5:-5].mean()
    return scores


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 32, 32), (3, 21, 34), (1, 11, 11)])
def test_exact_scores_and_ranking_equal_brute_force(channels: int, height: int, width: int) -> None:
    shape = {"channels": channels, "height": height, "width": width}
    queries, bank = textured_images(4, seed=1, **shape), textured_images(30, seed=2, **shape)
    expected = brute_force(queries, bank)
    scores, indices = top_k_ssim(queries, bank, 30)
    found = np.zeros_like(expected)
    np.put_along_axis(found, indices.numpy(), scores.numpy(), axis=1)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    ranked = np.take_along_axis(expected, indices.numpy(), axis=1)
    assert (np.diff(ranked, axis=1) <= 4e-5).all()  # best first


def test_exact_scores_equal_pytorch_msssim() -> None:
    queries, bank = textured_images(2, seed=1), textured_images(9, seed=2)
    scores, indices = top_k_ssim(queries, bank, 9)
    for i in range(2):
        for score, j in zip(scores[i], indices[i], strict=True):
            reference = msssim(queries[i : i + 1], bank[j : j + 1], data_range=1.0)
            assert float(score) == pytest.approx(float(reference), abs=2e-5)


def test_the_data_range_scales_with_the_images() -> None:
    queries, bank = textured_images(3, seed=1), textured_images(12, seed=2)
    scores, indices = top_k_ssim(queries, bank, 5)
    scaled, same = top_k_ssim(queries * 255, bank * 255, 5, data_range=255.0)
    assert torch.equal(indices, same)
    torch.testing.assert_close(scores, scaled, atol=1e-4, rtol=0)


def test_the_bank_is_searched_across_its_blocks() -> None:
    bank = textured_images(300, seed=3, height=16, width=16)
    queries = bank[[5, 140, 299]]
    scores, indices = top_k_ssim(queries, bank, 3)
    assert indices[:, 0].tolist() == [5, 140, 299]
    torch.testing.assert_close(scores[:, 0], torch.ones(3), atol=1e-5, rtol=0)


def test_fast_finds_the_same_neighbours_with_exact_scores() -> None:
    queries = textured_images(16, seed=1, height=64, width=64)
    bank = textured_images(400, seed=2, height=64, width=64)
    exact_scores, exact = top_k_ssim(queries, bank, 80)
    fast_scores, fast = top_k_ssim(queries, bank, 80, method="fast")
    common = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(exact, fast, strict=True)]
    assert np.mean(common) / 80 > 0.98  # synthetic textures are all alike: the hardest case
    for row in range(16):
        known = dict(zip(exact[row].tolist(), exact_scores[row].tolist(), strict=True))
        for index, score in zip(fast[row].tolist(), fast_scores[row].tolist(), strict=True):
            assert score == known.get(index, score)
    assert (fast_scores.diff(dim=1) <= 0).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_sparse_scores_with_every_window_are_the_exact_ones(channels: int) -> None:
    shape = {"channels": channels, "height": 27, "width": 22}
    queries, bank = textured_images(3, seed=1, **shape), textured_images(5, seed=2, **shape)
    found = strided_scores(queries, bank, stride=1, data_range=1.0)
    np.testing.assert_allclose(found.numpy(), brute_force(queries, bank), atol=2e-5)


def test_sparse_scores_take_every_fourth_window_of_every_fourth_row() -> None:
    queries, bank = textured_images(2, seed=1), textured_images(3, seed=2)
    found = strided_scores(queries, bank, stride=4, data_range=1.0)
    for i, x in enumerate(queries[:, 0].double().numpy()):
        for j, y in enumerate(bank[:, 0].double().numpy()):
            _, full = structural_similarity(
                x,
                y,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=1.0,
                full=True,
            )
            assert float(found[i, j]) == pytest.approx(full[5:-5:4, 5:-5:4].mean(), abs=2e-5)


@pytest.mark.parametrize("stride", [1, 3, 4])
def test_sparse_scores_of_pairs_are_those_of_matrix_products(stride: int) -> None:
    shape = {"channels": 3, "height": 29, "width": 40}
    queries, bank = textured_images(2, seed=1, **shape), textured_images(5, seed=2, **shape)
    expected = strided_scores(queries, bank, stride=stride, data_range=1.0)
    x, y = Moments.of(queries, stride=stride), Moments.of(bank, stride=stride)
    for q in range(2):
        found = pair_scores(x[slice(q, q + 1)], y, stride=stride, data_range=1.0)
        torch.testing.assert_close(found, expected[q], atol=1e-5, rtol=0)


def test_the_sparse_grid_keeps_enough_windows() -> None:
    assert sparse_stride(256, 300) == 4
    assert sparse_stride(128, 128) == 4
    assert sparse_stride(64, 128) == 2
    assert sparse_stride(11, 64) == 1


def test_a_bank_is_read_block_by_block() -> None:
    """Anything that hands out rows can be searched, and no block exceeds its bound."""
    images = textured_images(300, seed=3, height=64, width=64)
    largest = 0

    class Rows:
        shape = images.shape

        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
            nonlocal largest
            largest = max(largest, len(images[rows]))
            return images[rows]

    queries = textured_images(3, seed=1, height=64, width=64)
    expected = top_k_ssim(queries, images, 20, method="fast")
    found = top_k_ssim(queries, Rows(), 20, method="fast")
    assert torch.equal(found[1], expected[1])
    assert largest <= 512


def test_threads_do_not_change_a_score() -> None:
    queries = textured_images(9, seed=1, height=61, width=67)
    bank = textured_images(60, seed=2, height=61, width=67)
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(top_k_ssim(queries, bank, 20)[0])
            assert torch.equal(top_k_ssim(queries[4:5], bank, 20)[0][0], results[-1][4])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_excluded_images_are_never_neighbours() -> None:
    bank = textured_images(20, seed=4)
    exclude = torch.zeros(2, 20, dtype=torch.bool)
    exclude[0, :10] = True
    exclude[1, 10:] = True
    _, indices = top_k_ssim(bank[:2], bank, 10, exclude=exclude)
    assert sorted(indices[0].tolist()) == list(range(10, 20))
    assert sorted(indices[1].tolist()) == list(range(10))


@pytest.mark.parametrize("method", ["exact", "fast"])
def test_ties_go_to_the_lower_index(method: str) -> None:
    one = textured_images(1, seed=5, height=64, width=64)
    bank = one.repeat(200, 1, 1, 1)
    _, indices = top_k_ssim(one, bank, 7, method=method)  # type: ignore[arg-type]
    assert indices[0].tolist() == list(range(7))


def test_fast_finds_the_one_most_similar_image() -> None:
    """What the baselines ask for: K = 1 leaves room for the sparse grid's error."""
    queries = textured_images(24, seed=1, height=64, width=64)
    bank = textured_images(300, seed=2, height=64, width=64)
    exact, fast = (top_k_ssim(queries, bank, 1, method=m)[1] for m in ("exact", "fast"))
    assert float((exact == fast).float().mean()) > 0.95


def test_mixed_precision_changes_no_ranking() -> None:
    queries, bank = textured_images(4, seed=1), textured_images(60, seed=2)
    expected = top_k_ssim(queries, bank, 20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = top_k_ssim(queries, bank, 20)
    assert torch.equal(found[1], expected[1])
    assert torch.equal(found[0], expected[0])


@pytest.mark.parametrize("method", ["exact", "fast"])
def test_a_query_does_not_depend_on_its_batch(method: str) -> None:
    shape = {"height": 60, "width": 64}
    queries, bank = textured_images(37, seed=1, **shape), textured_images(150, seed=2, **shape)
    together = top_k_ssim(queries, bank, 20, method=method)
    for i in (0, 5, 36):
        alone = top_k_ssim(queries[i : i + 1], bank, 20, method=method)
        assert torch.equal(alone[0][0], together[0][i])
        assert torch.equal(alone[1][0], together[1][i])


def test_constant_images_are_compared_by_their_brightness() -> None:
    levels = torch.tensor([0.0, 0.5, 1.0])
    bank = levels[:, None, None, None].expand(3, 1, 16, 16)
    scores, indices = top_k_ssim(bank[1:2] + 0.01, bank, 3)
    assert indices[0, 0] == 1
    assert torch.isfinite(scores).all()


def test_no_queries_give_empty_results() -> None:
    scores, indices = top_k_ssim(torch.zeros(0, 1, 32, 32), textured_images(5), 3)
    assert scores.shape == indices.shape == (0, 3)


def test_bad_arguments_are_named() -> None:
    bank = textured_images(6)
    with pytest.raises(ConfigError, match="k=7"):
        top_k_ssim(bank, bank, 7)
    with pytest.raises(ConfigError, match="exact, fast"):
        top_k_ssim(bank, bank, 1, method="quick")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="same C, H, W"):
        top_k_ssim(textured_images(1, height=16), bank, 1)
    with pytest.raises(DataError, match="11 x 11"):
        top_k_ssim(torch.rand(1, 1, 8, 8), torch.rand(3, 1, 8, 8), 1)
    with pytest.raises(ConfigError, match="exclude"):
        top_k_ssim(bank, bank, 1, exclude=torch.zeros(6, 5, dtype=torch.bool))
    with pytest.raises(ConfigError, match="candidates left"):
        top_k_ssim(bank, bank, 2, exclude=torch.ones(6, 6, dtype=torch.bool))
