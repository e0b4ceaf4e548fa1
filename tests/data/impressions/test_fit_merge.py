"""Fits of parts of the rows, put together, know what one fit of all rows knows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tfrec.config.impression_schema import ImpressionSchema
from tfrec.data.impressions.fit_fields import FieldFit

ROLES = ImpressionSchema.model_validate(
    {
        "categorical": ["city"],
        "numeric": ["price", {"name": "age", "scaling": "quantile"}],
        "sequence": [{"name": "seq", "max_length": 2}, {"name": "words", "separator": "|"}],
        "min_count": 2,
    }
)


def test_parts_and_the_whole_give_the_same_fields():
    rng = np.random.default_rng(3)
    numbers = np.round(rng.normal(size=60), 2)
    batch = pa.RecordBatch.from_pydict(
        {
            "city": pa.array([None if n % 7 == 0 else f"c{n % 5}" for n in range(60)]),
            "price": pa.array(numbers, mask=np.arange(60) % 4 == 0),
            "age": pa.array(numbers[::-1].copy()),
            "seq": pa.array([f"{n % 3},{n % 11},{900 + n % 2}" for n in range(60)]),
            "words": pa.array([None if n % 9 == 0 else f"a|b{n % 4}" for n in range(60)]),
        }
    )
    whole = FieldFit(ROLES)
    whole.add(batch, file="log")
    joined = FieldFit(ROLES)
    for start, stop in ((0, 10), (10, 10), (10, 35), (35, 60)):  # the second part is of no rows
        part = FieldFit(ROLES)
        part.add(batch.slice(start, stop - start), file="log")
        joined.merge(part)
    expected, found = whole.finish(), joined.finish()
    assert found.hash == expected.hash
    assert found.vocabularies["seq"].ids.tolist()[:2] == ["900", "901"]
    assert found.fields == expected.fields
