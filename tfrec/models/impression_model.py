"""What every click model is: a Keras model that gives the logit of a click for every row of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from pydantic import BaseModel

from tfrec.data.impressions.fields import FieldSet
from tfrec.data.impressions.impression_batches import LABEL
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.errors import ConfigError, did_you_mean
from tfrec.layers.field_vectors import FieldVectors
from tfrec.seeds import derive_seed

Batch = Mapping[str, tf.Tensor]
"""A batch of `tfrec.data.impressions.impression_batches`."""

Objective = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""From labels and logits `[batch]` to a loss, scalar."""


class ImpressionModel(keras.Model):
    """Base of all click models: a configuration, the fields of the data, `logits`, and a training step.

    Args:
        config: Architecture, an instance of the class attribute `config_class`.
        fields: Features of the data.
        click_rate: Share of clicks in the training rows.
        seed: Seed of initial weights and drop-out.
    """

    config_class: ClassVar[type[BaseModel]]
    registered_name: ClassVar[str]
    training_scheme: ClassVar[str] = "impressions"

    def __init__(self, config: Any, fields: FieldSet, *, click_rate: float = 0.5, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.fields = fields
        self.click_rate = click_rate
        self.seed = seed
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.event_counter = keras.metrics.Sum(name="events", dtype="float64")
        self.step_counter = keras.metrics.Sum(name="mini_batches", dtype="float64")
        self._objective: Objective | None = None
        self._penalty = 0.0
        self.inference_graph: Any = None

    @classmethod
    def for_dataset(cls, config: Any, dataset: ImpressionDataset, **kwargs: Any) -> ImpressionModel:
        """Returns a new model for the fields of a data set.

        Args:
            config: Architecture.
            dataset: An open data set.
            **kwargs: `seed` and what Keras models take.
        """
        rows = max(dataset.num_rows("train"), 1)
        return cls(config, dataset.encoder.fields, click_rate=dataset.num_clicks("train") / rows, **kwargs)

    @property
    def max_length(self) -> int | None:
        """Values of lists that the model reads; None: all."""
        return getattr(self.config, "max_length", None)

    def logits(self, batch: Batch, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the logit of a click for every row.

        Args:
            batch: See `Batch`.
            dropout_seed: int32 `[2]`; None means inference.

        Returns:
            float32 `[batch]`.
        """
        raise TypeError(f"`{type(self).__name__}` does not define `logits`.")

    def logits_of_batch(self, batch: Batch) -> tf.Tensor:
        """`logits` without drop-out, for tracing."""
        return self.logits(batch)

    def call(self, batch: Batch) -> tf.Tensor:
        """Returns the probability of a click for every row, float32 `[batch]`."""
        return tf.sigmoid(self.logits(batch))

    def explain(self, batch: Batch) -> dict[str, Any]:
        """What the model looks at in a batch, for reports.

        Returns:
            `fields`, `interaction` float `[fields, fields]` and `interaction_kind`, what that is; `weights` float
            `[tokens]` with the `distance` of each token to the target int `[tokens]`, and `kind`, what weights are. A
            model may tell any part, or nothing.
        """
        return {}

    def looked_up(self, batch: Batch) -> list[tuple[Any, tf.Tensor]]:
        """Tables and the ids that a batch looks up in them, for the penalty on vectors."""
        return []

    def dense_vectors(self) -> list[Any]:
        """Vectors that every row uses, for the same penalty."""
        return []

    # ---- fields ---------------------------------------------------------------------------------------------------

    def field_names(self, kind: str) -> list[str]:
        """Names of the features of a kind, in the order of the fields."""
        return [field.name for field in self.fields.fields if field.kind == kind]

    def check_names(self, key: str, names: Sequence[str], *kinds: str) -> None:
        """Raises ConfigError unless all names are features of one of the kinds."""
        known = [field.name for field in self.fields.fields if field.kind in kinds]
        for name in names:
            if name not in known:
                raise ConfigError(f"`model.{key}` names `{name}`.", remedy=did_you_mean(name, known))

    def make_vectors(self, name: str = "vectors", only: Sequence[str] | None = None) -> FieldVectors:
        """Returns the vectors of all features, or of some."""
        fields = [field for field in self.fields.fields if only is None or field.name in only]
        ids = {field.name: str(field.vocabulary) for field in fields if field.vocabulary}
        numbers = {field.name: field.name for field in fields if field.kind == "number"}
        numbers |= {field.name: field.scaled_as or field.name for field in fields if field.kind == "numbers"}
        vectors = FieldVectors(
            self.config.embedding_dim,
            {str(field.vocabulary): field.size for field in fields if field.vocabulary},
            ids,
            numbers,
            stddev=self.config.init_stddev,
            seed=derive_seed(self.seed, name),
            name=name,
        )
        vectors.build()
        return vectors

    # ---- training -------------------------------------------------------------------------------------------------

    def prepare_training(self, objective: Objective, *, vector_penalty: float = 0.0) -> None:
        """Sets what is minimised; must precede `fit`.

        Args:
            objective: From labels and logits `[batch]` to a scalar.
            vector_penalty: Half of it times the squares of the vectors that a batch looks up is added.
        """
        self._objective = objective
        self._penalty = vector_penalty

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self.loss_tracker, self.event_counter, self.step_counter]

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Takes one step on a batch with `label` float32 `[batch]`."""
        objective = self._objective
        if objective is None:
            raise RuntimeError("`prepare_training` must be called before `fit`.")
        rows = tf.cast(tf.size(batch[LABEL]), tf.float32)
        step = tf.cast(self.optimizer.iterations.value, tf.int32)
        with tf.GradientTape() as tape:
            logits = self.logits(batch, dropout_seed=tf.stack([derive_seed(self.seed, "dropout"), step]))
            loss = objective(batch[LABEL], logits)
            cost = loss + 0.5 * self._penalty * self.squares(batch) if self._penalty else loss
            cost = self.optimizer.scale_loss(cost)
        gradients = tape.gradient(cost, [variable.value for variable in self.trainable_variables])
        # Counters must wait for the batch: else they would also run when the data end, which raises in this graph.
        with tf.control_dependencies([cost]):
            self.optimizer.apply(gradients, self.trainable_variables)
            self.loss_tracker.update_state(loss, sample_weight=rows)
            self.event_counter.update_state(rows)
            self.step_counter.update_state(1.0)
        return self.get_metrics_result()

    def squares(self, batch: Batch) -> tf.Tensor:
        """Sum of the squares of the vectors that a batch looks up, every row of a table once, scalar."""
        total = tf.add_n([tf.reduce_sum(tf.square(weight.value)) for weight in self.dense_vectors()] or [tf.zeros([])])
        grouped: dict[int, tuple[Any, list[tf.Tensor]]] = {}
        for table, ids in self.looked_up(batch):
            grouped.setdefault(id(table), (table, []))[1].append(tf.reshape(ids, [-1]))
        for table, ids in grouped.values():
            rows, _ = tf.unique(tf.concat(ids, axis=0))
            total += tf.reduce_sum(tf.square(tf.gather(table.value, rows)))
        return total

    def get_config(self) -> dict[str, Any]:
        return {
            "config": self.config.model_dump(mode="json"),
            "fields": self.fields.model_dump(mode="json"),
            "click_rate": self.click_rate,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: object = None) -> ImpressionModel:
        settings = dict(config)
        architecture = cls.config_class.model_validate(settings.pop("config"))
        return cls(architecture, FieldSet.model_validate(settings.pop("fields")), **settings)


def real_positions(values: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the entries of padded lists one after another, and the row of each.

    Args:
        values: `[batch, width]`, padded on the right.
        lengths: int32 `[batch]`.
    """
    place = tf.where(tf.range(tf.shape(values)[1]) < lengths[:, tf.newaxis])
    return tf.gather_nd(values, place), tf.cast(place[:, 0], tf.int32)


def aligned_at_end(batch: Batch, name: str, row: tf.Tensor, distance: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Values of another list at the tokens of the first, by their distance to the end, and whether it has one there.

    Args:
        batch: See `Batch`.
        name: The list.
        row: Row of every token, int32 `[tokens]`.
        distance: Places to the target, 0 at the target, int32 `[tokens]`.
    """
    place = tf.gather(batch[f"{name}/length"], row) - distance
    padded = tf.pad(batch[name], [[0, 0], [0, 1]])
    return tf.gather_nd(padded, tf.stack([row, tf.maximum(place, 0)], axis=1)), place >= 0


def constant_logit(rate: float) -> float:
    """Returns the logit of a probability, finite for 0 and 1."""
    clipped = min(max(rate, 1e-7), 1.0 - 1e-7)
    return float(np.log(clipped) - np.log1p(-clipped))
