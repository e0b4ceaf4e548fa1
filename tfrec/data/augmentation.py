"""Training sequences cropped, reordered and masked at random, a batch at a time."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfrec.config.augmentation_config import AugmentationConfig
from tfrec.data.pipeline_options import parallel_calls
from tfrec.data.vocabulary import OOV_INDEX, PADDING_INDEX
from tfrec.errors import ConfigError
from tfrec.seeds import derive_seed

Batch = Mapping[str, tf.Tensor]

_ROUNDING = 1e-4  # 0.7 * 10 is 6.9999998 in float32


def augmented_batches(
    batches: tf.data.Dataset, config: AugmentationConfig, *, split: str, seed: int
) -> tf.data.Dataset:
    """Returns the batches of `sequence_dataset` with their sequences varied, as `augment_batch` does it.

    What is drawn depends on the seed and the number of the batch only: a dataset that is iterated again gives the same
    batches, and passing over the first n of them changes nothing about the others. Give every epoch its own seed.

    Args:
        batches: From `sequence_dataset`.
        config: Probabilities and strengths.
        split: Where the sequences come from; only `train` may be varied.
        seed: Seed of the draws.

    Returns:
        Batches with the same columns and, with masks, `inputs`.

    Raises:
        ConfigError: Another split than `train`.
    """
    if split != "train":
        raise ConfigError(f"Only the split `train` is augmented, received `{split}`.", remedy="Leave it as it is.")
    if not config.enabled:
        return batches
    first = derive_seed(seed, "augmentation")
    return batches.enumerate().map(
        lambda number, batch: augment_batch(batch, config, tf.stack([first, tf.cast(number, tf.int32)])),
        num_parallel_calls=parallel_calls(),
    )


def augment_batch(batch: Batch, config: AugmentationConfig, seed: tf.Tensor) -> dict[str, tf.Tensor]:
    """Varies the sequences of a batch: crop, then reorder, then mask, each chosen per sequence on its own.

    Cropping and reordering make another sequence: inputs and targets follow it alike. (Were only the inputs reordered,
    the model would find its targets among them.) Masking hides inputs behind the out-of-vocabulary index and leaves
    `item` as it is, so that the targets stay the true ones; the model must read `inputs` where there are some.

    Args:
        batch: `item` int32 `[batch, seq]` padded with 0 on the right, `timestamp` int64 `[batch, seq]`, `length` and
            `num_targets` int32 `[batch]`; other columns of one value per sequence are passed on.
        config: Probabilities and strengths.
        seed: int32 `[2]`; equal seeds give equal draws.

    Returns:
        The batch in the same shape; with `mask_probability` above 0 also `inputs` int32 `[batch, seq]`.

    Reference:
        Zhou et al., "S3-Rec", CIKM 2020 (masks and segments); Xie et al., "Contrastive Learning for Sequential
        Recommendation" (CL4SRec), ICDE 2022, section 3.2.

    Differences:
        CL4SRec makes two views of a sequence by one operation each and contrasts them; here the varied sequence is the
        training example. Timestamps of reordered events stay in order.
    """
    size, width = tf.shape(batch["item"])[0], tf.shape(batch["item"])[1]
    seeds = tf.random.experimental.stateless_split(seed, 8)  # [8, 2]
    varied = dict(batch)

    def uniform(number: int, *, wide: bool = False) -> tf.Tensor:
        return tf.random.stateless_uniform([size, width] if wide else [size], seeds[number])

    if config.crop_probability:
        varied = crop_sequences(varied, uniform(0) < config.crop_probability, config.crop_keep, uniform(1))
    if config.reorder_probability:
        chosen = uniform(2) < config.reorder_probability
        varied = reorder_sequences(varied, chosen, config.reorder_share, uniform(3), uniform(4, wide=True))
    if config.mask_probability:
        varied = mask_inputs(varied, uniform(5) < config.mask_probability, config.mask_share, uniform(6, wide=True))
    return varied


def crop_sequences(batch: Batch, chosen: tf.Tensor, keep: float, place: tf.Tensor) -> dict[str, tf.Tensor]:
    """Keeps consecutive events of chosen sequences.

    Args:
        batch: See `augment_batch`.
        chosen: bool `[batch]`.
        keep: Share of events to keep, rounded down but at least 2 events.
        place: Where the part begins, from 0 (earliest) to below 1 (latest), float32 `[batch]`.

    Returns:
        The batch; `num_targets` leaves at least one event before the first target.
    """
    length = batch["length"]
    kept = tf.minimum(tf.maximum(_share_of(length, keep), 2), length)
    kept = tf.where(chosen, kept, length)  # [batch]
    first = _place(place, length - kept)
    column = tf.range(tf.shape(batch["item"])[1])[tf.newaxis]  # [1, seq]
    inside = column < kept[:, tf.newaxis]  # [batch, seq]
    source = tf.where(inside, column + first[:, tf.newaxis], 0)
    cropped = dict(batch)
    for name in ("item", "timestamp"):
        moved = tf.gather(batch[name], source, batch_dims=1)  # [batch, seq]
        cropped[name] = tf.where(inside, moved, tf.cast(PADDING_INDEX, moved.dtype))
    cropped["length"] = kept
    cropped["num_targets"] = tf.minimum(batch["num_targets"], kept - 1)
    return cropped


def reorder_sequences(
    batch: Batch, chosen: tf.Tensor, share: float, place: tf.Tensor, noise: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Shuffles the items of consecutive events of chosen sequences.

    Args:
        batch: See `augment_batch`.
        chosen: bool `[batch]`.
        share: Share of events to shuffle, rounded down.
        place: Where the part begins, from 0 (earliest) to below 1 (latest), float32 `[batch]`.
        noise: Numbers from 0 to below 1 whose order becomes that of the items of the part, float32 `[batch, seq]`.

    Returns:
        The batch; timestamps stay where they are.
    """
    length = batch["length"]
    span = tf.where(chosen, _share_of(length, share), 0)  # [batch]
    first = _place(place, length - span)[:, tf.newaxis]  # [batch, 1]
    column = tf.range(tf.shape(batch["item"])[1])[tf.newaxis]  # [1, seq]
    inside = (column >= first) & (column < first + span[:, tf.newaxis])  # [batch, seq]
    # Keys inside the part lie between those of its neighbours: first - 1 < first + noise < first + span.
    # (float64 keeps all digits of the noise also far behind in a long sequence.)
    key = tf.cast(tf.where(inside, first, column), tf.float64)
    key += tf.where(inside, tf.cast(noise, tf.float64), 0.0)  # [batch, seq]
    order = tf.argsort(key, axis=1, stable=True)  # [batch, seq]
    return {**batch, "item": tf.gather(batch["item"], order, batch_dims=1)}


def mask_inputs(batch: Batch, chosen: tf.Tensor, share: float, noise: tf.Tensor) -> dict[str, tf.Tensor]:
    """Adds `inputs`: the items, of which some are replaced by the out-of-vocabulary index in chosen sequences.

    Args:
        batch: See `augment_batch`.
        chosen: bool `[batch]`.
        share: Share of events before the last (which is never an input) to hide, rounded down but at least one.
        noise: float32 `[batch, seq]`; events with the smallest numbers are hidden.

    Returns:
        The batch with `inputs` int32 `[batch, seq]`; `item`, from which targets are taken, stays.
    """
    inputs = batch["length"] - 1  # [batch]
    count = tf.where(chosen, tf.minimum(tf.maximum(_share_of(inputs, share), 1), inputs), 0)
    column = tf.range(tf.shape(batch["item"])[1])[tf.newaxis]  # [1, seq]
    order = tf.argsort(tf.where(column < inputs[:, tf.newaxis], noise, 2.0), axis=1, stable=True)  # [batch, seq]
    rank = tf.argsort(order, axis=1, stable=True)  # [batch, seq]
    hidden = rank < count[:, tf.newaxis]
    return {**batch, "inputs": tf.where(hidden, tf.cast(OOV_INDEX, batch["item"].dtype), batch["item"])}


def _share_of(length: tf.Tensor, share: float) -> tf.Tensor:
    return tf.cast(tf.floor(tf.cast(length, tf.float32) * share + _ROUNDING), tf.int32)


def _place(place: tf.Tensor, room: tf.Tensor) -> tf.Tensor:
    """A whole number from 0 to `room` for a share from 0 to below 1."""
    return tf.minimum(tf.cast(place * tf.cast(room + 1, tf.float32), tf.int32), room)
