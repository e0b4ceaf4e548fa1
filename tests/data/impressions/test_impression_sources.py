"""What is said of a file that lacks a column."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tfrec.data.impressions.impression_sources import check_columns, open_sources
from tfrec.errors import DataError


def test_a_missing_column_is_looked_for_among_those_without_a_role(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    pd.DataFrame({"l_feat_23": [1], "l_feat3": [1], "seq": ["1"]}).to_csv(path, index=False)
    sources = open_sources((str(path),), split=None, file_format=None)
    with pytest.raises(DataError, match=r"column `l_feat_3`: .* Did you mean `l_feat3`\? Known: `l_feat3`\.$"):
        check_columns(sources, ["l_feat_23", "l_feat_3", "seq"])
    with pytest.raises(DataError, match=r"column `other`: .* correct the schema\.$"):
        check_columns(sources, ["l_feat_23", "l_feat3", "seq", "other"])
