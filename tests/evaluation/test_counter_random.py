from __future__ import annotations

import numpy as np

from tfrec.evaluation.counter_random import id_keys, mixed, uniforms


def test_one_key_gives_the_published_first_number_of_splitmix64() -> None:
    # First outputs of the reference implementation in C for the seeds 1234567 and 0.
    assert mixed(np.array([1234567, 0], np.uint64)).tolist() == [6457827717110365317, 16294208416658607535]


def test_numbers_are_uniform_and_unrelated() -> None:
    numbers = uniforms(mixed(np.arange(200, dtype=np.uint64)[:, np.newaxis], np.arange(500)))  # [200, 500]
    assert numbers.min() >= 0.0
    assert numbers.max() < 1.0
    counts = np.histogram(numbers, 50, (0, 1))[0]
    # 49 degrees of freedom: chi-square above 85.4 has probability 0.001.
    assert ((counts - 2_000) ** 2 / 2_000).sum() < 85.4
    for first, second in ((numbers[:-1], numbers[1:]), (numbers[:, :-1], numbers[:, 1:])):
        # About 100,000 independent pairs: standard error 1 / sqrt(99,500) = 0.0032.
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 4 * 0.0032


def test_order_of_the_further_keys_matters() -> None:
    key = np.array([5], np.uint64)
    assert len({int(mixed(key, *others)[0]) for others in ((), (0,), (1,), (0, 1), (1, 0), (0, 0))}) == 6


def test_ids_of_any_type_have_keys() -> None:
    assert id_keys(np.array([7, -1])).tolist() == [7, 2**64 - 1]
    texts = id_keys(np.array(["anna", "bert", "anna"], object))
    assert texts[0] == texts[2] != texts[1]
    assert id_keys(np.array([b"anna"], object))[0] == texts[0]  # TensorFlow hands out bytes
