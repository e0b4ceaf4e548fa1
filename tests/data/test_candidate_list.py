from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from tfrec.data.candidate_list import read_candidates
from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import DataError

VOCABULARY = Vocabulary(pa.array([70, 30, 50]), [5, 2, 1])


def test_ids_become_indices(tmp_path: Path) -> None:
    path = tmp_path / "items.txt"
    path.write_text("50\n\n 70 \n")
    assert read_candidates(path, VOCABULARY) == [2, 4]  # 70 is the first id, 50 the third


@pytest.mark.parametrize(
    ("text", "row", "fragment"),
    [
        ("70\n50\n70\n", 3, "`70` is listed twice, first in row 1"),
        ("70\n31\n", 2, "`31` is not in the training data"),
        ("70\n\nx\n", 3, "`x` is not an integer"),
        ("70\n--5\n", 2, "`--5` is not an integer"),
        ("7_0\n", 1, "`7_0` is not an integer"),
        (f"70\n{2**63}\n", 2, f"`{2**63}` is beyond int64"),
        (f"{-(2**63) - 1}\n", 1, "is beyond int64"),
        ("\n", None, "is empty"),
    ],
)
def test_bad_lists_name_the_row(tmp_path: Path, text: str, row: int | None, fragment: str) -> None:
    path = tmp_path / "items.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=fragment) as caught:
        read_candidates(path, VOCABULARY)
    assert (f"row {row}" in str(caught.value)) == (row is not None)
