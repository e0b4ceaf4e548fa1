"""What every data set states about itself."""

from __future__ import annotations

import json

import pytest

from tfrec import convert, datasets
from tfrec.command import run_command
from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.sources.registry import PUBLIC_DATASETS, public_dataset
from tfrec.errors import ConfigError

# Section 2 of the specification: split rule, D, fixed end, support, collapse, gap, filters.
RECIPES = {
    "rsc15": ("session_time_last", 1, None, 5, False, None, "single_pass"),
    "yoochoose": ("session_time", 1, None, 5, True, None, "fixpoint"),
    "rees46": ("session_time", 1, 1_575_158_400_000, 5, True, 3600, "fixpoint"),
    "coveo": ("session_time", 1, None, 5, True, None, "fixpoint"),  # gaps are cut while reading
    "retailrocket": ("session_time", 7, 1_442_545_200_000, 5, True, 3600, "fixpoint"),
    "diginetica": ("session_time", 7, None, 5, True, None, "fixpoint"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_of_the_session_data_sets(name):
    recipe = public_dataset(name).recipe
    assert (
        recipe.split,
        recipe.days,
        recipe.split_time,
        recipe.min_item_count,
        recipe.drop_consecutive_duplicates,
        recipe.session_gap,
        recipe.filter_mode,
    ) == RECIPES[name]
    assert (recipe.min_seq_len, recipe.unknown_items) == (2, "drop")


@pytest.mark.parametrize("validation", [False, True])
@pytest.mark.parametrize("name", [name for name, dataset in PUBLIC_DATASETS.items() if dataset.recipe])
def test_the_printed_command_has_the_options_of_the_recipe(name, validation, monkeypatch):
    recipe = public_dataset(name).recipe
    seen = []
    monkeypatch.setattr("tfrec.data.conversion.convert", lambda options, progress: seen.append(options))
    words = recipe.command("a b.parquet", "DS", validation=validation)
    assert "'a b.parquet'" in words
    arguments = words.replace("'a b.parquet'", "a.parquet").split()[3:]
    run_command(convert.main, [*arguments, "--json"])
    expected = ConversionOptions(output="DS", input=("a.parquet",), **recipe.options(validation=validation))
    assert seen == [expected]
    assert bool(expected.valid_days) == (validation and recipe.days is not None)


@pytest.mark.parametrize("name", PUBLIC_DATASETS)
def test_every_data_set_says_what_a_person_needs(name):
    dataset = public_dataset(name)
    assert dataset.name == name
    for text in (dataset.title, dataset.terms, dataset.where, dataset.recipe_note):
        assert text
    assert (dataset.script_note != "") == any(files.script_query for files in dataset.file_sets)
    for files in dataset.file_sets:
        assert "{events}" in files.query


def test_unknown_name():
    with pytest.raises(ConfigError, match=r"Did you mean `rees46`\?"):
        public_dataset("rees64")


def test_list(capsys):
    assert run_command(datasets.main, ["list"]) == 0
    out = capsys.readouterr().out
    for name, dataset in PUBLIC_DATASETS.items():
        for text in (name, dataset.title, dataset.terms, dataset.where, dataset.recipe_note, *dataset.file_names):
            assert text in out


def test_list_with_json(capsys):
    assert run_command(datasets.main, ["list", "--json"]) == 0
    documents = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["datasets"]}
    assert documents.keys() == PUBLIC_DATASETS.keys()
    assert documents["rees46"]["files"] == [["2019-Oct.csv", "2019-Nov.csv"]]
    assert documents["rees46"]["settings"]["split_time"] == 1_575_158_400_000
    assert documents["toss"]["settings"] is None
