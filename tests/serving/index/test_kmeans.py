"""k-means: the clusters that are there, and its rules."""

from __future__ import annotations

import numpy as np

from tfrec.serving.index.kmeans import kmeans, nearest_centres


def test_the_nearest_centre_by_euclidean_distance():
    generator = np.random.default_rng(0)
    vectors, centres = generator.standard_normal((500, 7), np.float32), generator.standard_normal((11, 7), np.float32)
    nearest, distances = nearest_centres(vectors, centres)
    expected = ((vectors[:, np.newaxis] - centres) ** 2).sum(axis=2)
    np.testing.assert_array_equal(nearest, expected.argmin(axis=1))
    np.testing.assert_allclose(distances, expected.min(axis=1), atol=1e-4)


def test_one_cluster_is_the_mean():
    vectors = np.random.default_rng(0).standard_normal((300, 3), np.float32)
    np.testing.assert_allclose(kmeans(vectors, 1), vectors.mean(axis=0, keepdims=True), atol=1e-6)


def test_groups_far_apart_are_found_even_from_equal_starting_points():
    """Three groups of very unequal size: whatever the draw, empty clusters move to the far groups."""
    generator = np.random.default_rng(0)
    places = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]], np.float32)
    vectors = np.repeat(places, [500, 3, 1], axis=0)
    vectors += np.float32(0.01) * generator.standard_normal(vectors.shape, np.float32).astype(np.float32)
    duplicates = np.repeat(places, [500, 3, 1], axis=0)
    for points, tolerance in ((vectors, 0.1), (duplicates, 1e-6)):
        for seed in range(5):
            centres = kmeans(points, 3, seed=seed) if points is duplicates else kmeans(points, 20, seed=seed)
            _, distances = nearest_centres(places, centres)
            assert distances.max() <= tolerance


def test_a_seed_fixes_the_centres():
    vectors = np.random.default_rng(0).standard_normal((300, 3), np.float32)
    np.testing.assert_array_equal(kmeans(vectors, 9, seed=4), kmeans(vectors, 9, seed=4))
    assert not np.array_equal(kmeans(vectors, 9, seed=4), kmeans(vectors, 9, seed=5))
