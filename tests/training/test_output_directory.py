"""When runs and searches may write into a directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tfrec.errors import ConfigError
from tfrec.training.run_directory import RunDirectory
from tfrec.tuning.search_directory import SearchDirectory


@pytest.mark.parametrize(("kind", "begun"), [(RunDirectory, "config.yaml"), (SearchDirectory, "search.json")])
def test_only_its_own_output_is_replaced_or_continued(
    kind: Callable[[Path], object], begun: str, tmp_path: Path
) -> None:
    def prepare(name: str, *, overwrite: bool = False, resume: bool = False) -> None:
        directory = kind(tmp_path / name)
        assert isinstance(directory, RunDirectory | SearchDirectory)
        directory.prepare(overwrite=overwrite, resume=resume)

    with pytest.raises(ConfigError, match="exclude each other"):
        prepare("mine", overwrite=True, resume=True)
    with pytest.raises(ConfigError, match="to resume"):
        prepare("mine", resume=True)
    assert not (tmp_path / "mine").exists()
    prepare("mine")
    (tmp_path / "mine" / begun).write_text("{}")
    with pytest.raises(ConfigError, match="Pass --overwrite to replace it"):
        prepare("mine")
    prepare("mine", resume=True)
    assert (tmp_path / "mine" / begun).exists()
    prepare("mine", overwrite=True)
    assert not (tmp_path / "mine" / begun).exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious").touch()
    with pytest.raises(ConfigError, match="left alone"):
        prepare("other", overwrite=True)
    assert (tmp_path / "other" / "precious").exists()
