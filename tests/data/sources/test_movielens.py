"""MovieLens in its three forms, as a directory, a zip file and a download from a server in this process."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tfrec import datasets
from tfrec.command import run_command
from tfrec.data import remote_paths
from tfrec.data.dataset import InteractionDataset
from tfrec.data.sources import archive, registry
from tfrec.data.sources.registry import public_dataset
from tfrec.errors import DataError

RATINGS = [(1, 10, 5, 1000), (1, 11, 3, 1001), (2, 10, 4, 1002), (1, 12, 4, 1003), (2, 12, 1, 1004), (2, 11, 5, 1005)]
# Id, title, year and genres; the last one has neither.
MOVIES = [
    (10, "Café Society", 1995, ["Children's", "Film-Noir"]),
    (11, "Net, The", 1996, ["Action"]),
    (12, "unknown", None, []),
]
FLAGS = "unknown|Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|Film-Noir|Horror|Musical"
FLAG_NAMES = [*FLAGS.split("|"), "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"]


def write_recbole(folder: Path, ratings: list[tuple[int, int, int, int]] = RATINGS) -> None:
    rows = "".join(f"{user}\t{item}\t{rating}\t{time}\n" for user, item, rating, time in ratings)
    (folder / "ml-100k.inter").write_text(f"user_id:token\titem_id:token\trating:float\ttimestamp:float\n{rows}")
    lines = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    lines += [f"{item}\t{title}\t{year or 'unkonwn'}\t{' '.join(g) or 'unknown'}" for item, title, year, g in MOVIES]
    (folder / "ml-100k.item").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_grouplens(folder: Path) -> None:
    (folder / "u.data").write_text("".join("\t".join(map(str, row)) + "\n" for row in RATINGS))
    lines = []
    for item, title, year, genres in MOVIES:
        flags = "|".join(str(int(name in (genres or ["unknown"]))) for name in FLAG_NAMES)
        shown = f"{title} ({year})" if year else title
        lines.append(f"{item}|{shown}|01-Jan-{year or ''}||http://us.imdb.com/M?{item}|{flags}\n")
    (folder / "u.item").write_text("".join(lines), encoding="latin-1")


def write_double_colon(folder: Path) -> None:
    (folder / "ratings.dat").write_text("".join("::".join(map(str, row)) + "\n" for row in RATINGS))
    lines = [f"{i}::{title}{f' ({year})' if year else ''}::{'|'.join(genres)}\n" for i, title, year, genres in MOVIES]
    (folder / "movies.dat").write_text("".join(lines), encoding="latin-1")


FORMS = {"recbole": write_recbole, "grouplens": write_grouplens, "double colon": write_double_colon}


@pytest.fixture
def zipped(tmp_path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    write_grouplens(folder)
    path = tmp_path / "published" / "ml-100k.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("ml-100k/README", "...")
        for name in ("u.data", "u.item"):
            file.write(folder / name, f"ml-100k/{name}")
    return path


def run(*arguments: object) -> int:
    return run_command(datasets.main, [str(argument) for argument in arguments], prog="python -m tfrec.datasets")


def check(folder: Path) -> None:
    events = pq.read_table(folder / "ml.parquet").to_pydict()
    assert list(zip(*(events[name] for name in ("user_id", "item_id", "rating")), strict=True)) == [
        row[:3] for row in RATINGS
    ]
    assert events["timestamp"] == [1000 * row[3] for row in RATINGS]
    items = pq.read_table(folder / "items.parquet").to_pydict()
    assert list(zip(*(items[name] for name in ("item_id", "title", "year", "genres")), strict=True)) == MOVIES


@pytest.mark.parametrize("form", FORMS)
def test_three_forms_of_one_data_set(tmp_path, form, get):
    FORMS[form](tmp_path)
    files = ["--output", tmp_path / "ml.parquet", "--items", tmp_path / "items.parquet"]
    document = get("ml-100k", "--from", tmp_path, *files)
    check(tmp_path)
    assert document["items"]["rows"] == 3
    assert document["citation"].startswith("Harper and Konstan")
    assert "--where" not in document["convert"]
    assert f"--item-features genres,year:number --items {tmp_path / 'items.parquet'}" in document["convert"]


@pytest.mark.parametrize("by", ["file", "directory"])
def test_zip_file(tmp_path, zipped, by, get):
    given = zipped if by == "file" else zipped.parent
    get("ml-100k", "--from", given, "--output", tmp_path / "ml.parquet", "--items", tmp_path / "items.parquet")
    check(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_dataset_has_features_and_titles(tmp_path, get):
    more = [(user, item, 3, 2000) for user in (1, 2) for item in (10, 11)]  # five per user, as the recipe asks
    write_recbole(tmp_path, [*RATINGS, *more])
    get("ml-100k", "--from", tmp_path, "--dataset", tmp_path / "DS")
    dataset = InteractionDataset.open(tmp_path / "DS")
    features = dataset.item_features()
    titles = dict(zip(dataset.item_vocabulary.ids.tolist(), features.titles[2:], strict=True))
    assert titles == {10: "Café Society", 11: "Net, The", 12: "unknown"}
    assert features.lists.keys() == {"genres"}
    assert features.numbers.keys() == {"year"}
    (tmp_path / "ml-100k.item").unlink()
    get("ml-100k", "--from", tmp_path, "--dataset", tmp_path / "plain")
    assert not InteractionDataset.open(tmp_path / "plain").has_item_features


@pytest.fixture
def offered(zipped, serve, tmp_path, monkeypatch):
    """Lets `ml-100k` be downloaded from this process; returns the directory that downloads are kept in."""
    url = f"{serve(zipped.parent)}/ml-100k.zip"
    md5 = hashlib.md5(zipped.read_bytes(), usedforsecurity=False).hexdigest()
    dataset = replace(public_dataset("ml-100k"), archive=archive.Archive("ml-100k.zip", url, md5))
    monkeypatch.setitem(registry.PUBLIC_DATASETS, "ml-100k", dataset)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TFREC_DATA", raising=False)
    return tmp_path / "cache" / "tfrec" / "ml-100k"


def test_download_is_announced_checked_and_kept(tmp_path, offered, zipped, capsys):
    files = ["--output", tmp_path / "ml.parquet", "--items", tmp_path / "items.parquet"]
    assert run("get", "ml-100k", *files) == 0
    out, err = capsys.readouterr()
    assert "Downloading http://127.0.0.1" in err
    assert "Terms: GroupLens" in err
    assert "Cite: Harper" in out
    check(tmp_path)
    assert (offered / "ml-100k.zip").read_bytes() == zipped.read_bytes()
    zipped.unlink()  # the server has nothing any more
    assert run("get", "ml-100k", *files, "--overwrite", "--json") == 0
    out, err = capsys.readouterr()
    assert "Downloading" not in err
    assert json.loads(out)["events"]["rows"] == 6


def test_another_archive_is_refused(tmp_path, offered, zipped, capsys):
    zipped.write_bytes(zipped.read_bytes() + b"x")
    assert run("get", "ml-100k", "--output", tmp_path / "ml.parquet") == 3
    err = capsys.readouterr().err
    assert "Its md5 is" in err
    assert "Remove it and get it again from http://127.0.0.1" in err
    assert not (tmp_path / "ml.parquet").exists()


def test_a_closed_address_says_what_else_to_do(tmp_path, offered, monkeypatch, closed_port, capsys):
    dataset = public_dataset("ml-100k")
    moved = replace(dataset.archive, url=f"http://127.0.0.1:{closed_port}/ml-100k.zip")
    monkeypatch.setitem(registry.PUBLIC_DATASETS, "ml-100k", replace(dataset, archive=moved))
    monkeypatch.setattr(remote_paths, "ANSWER_SECONDS", 5)
    assert run("get", "ml-100k", "--output", tmp_path / "ml.parquet") == 3
    assert "pass the file with --from" in capsys.readouterr().err


def test_dry_run_downloads_nothing(tmp_path, offered, capsys):
    assert run("get", "ml-100k", "--output", tmp_path / "ml.parquet", "--dry-run") == 2
    assert "--dry-run downloads nothing" in capsys.readouterr().err
    assert not offered.exists()


def test_tfrec_data_comes_first(tmp_path, offered, monkeypatch, get):
    folder = tmp_path / "data" / "ml-100k"
    folder.mkdir(parents=True)
    write_recbole(folder)
    monkeypatch.setenv("TFREC_DATA", str(tmp_path / "data"))
    get("ml-100k", "--output", tmp_path / "ml.parquet", "--items", tmp_path / "items.parquet")
    check(tmp_path)
    assert not offered.exists()


def test_what_is_no_archive(tmp_path, capsys):
    path = tmp_path / "u.data"
    path.write_text("1\t2\t3\t4\n")
    assert run("get", "ml-100k", "--from", path, "--output", tmp_path / "ml.parquet") == 3
    assert "Neither a directory nor a zip file" in capsys.readouterr().err
    damaged = tmp_path / "x.zip"
    damaged.write_bytes(b"PK damaged")
    assert run("get", "ml-100k", "--from", damaged, "--output", tmp_path / "ml.parquet") == 3
    assert "Not a readable zip file" in capsys.readouterr().err
    with zipfile.ZipFile(damaged, "w") as file:
        file.writestr("a/u.data", "1\t2\t3\t4\n")
        file.writestr("b/u.data", "1\t2\t3\t4\n")
    assert run("get", "ml-100k", "--from", damaged, "--output", tmp_path / "ml.parquet") == 3
    assert "It holds `a/u.data` and `b/u.data`" in capsys.readouterr().err
    with zipfile.ZipFile(damaged, "w") as file:
        file.writestr("../u.data", "1\t2\t3\t4\n")
    assert run("get", "ml-100k", "--from", damaged, "--output", tmp_path / "ml.parquet", "--dry-run") == 0
    assert path.read_text() == "1\t2\t3\t4\n"


def test_another_data_set_of_the_same_format_is_refused(tmp_path):
    write_double_colon(tmp_path)
    small = replace(public_dataset("ml-100k"), most_rows=5)
    from tfrec.data.sources.prepare import prepare

    with pytest.raises(DataError, match="6 rows; the data set `ml-100k` has at most 5"):
        prepare(small, tmp_path, tmp_path / "X.parquet")
    prepare(public_dataset("ml-1m"), tmp_path, tmp_path / "X.parquet")


def test_items_where_there_are_none(tmp_path, capsys):
    assert run("get", "coveo", "--from", tmp_path, "--output", tmp_path / "x", "--items", tmp_path / "y") == 2
    assert "`coveo` has no file about items" in capsys.readouterr().err
    write_recbole(tmp_path)
    (tmp_path / "ml-100k.item").unlink()
    assert run("get", "ml-100k", "--from", tmp_path, "--output", tmp_path / "x", "--items", tmp_path / "y") == 3
    assert "The file `ml-100k.item` of the data set `ml-100k` is missing" in capsys.readouterr().err


def test_published_items(real_data, tmp_path, get):
    """Of the 1,682 movies one has no year; its title is `unknown`, misspelt by RecBole."""
    files = ["--output", tmp_path / "ml.parquet", "--items", tmp_path / "items.parquet"]
    get("ml-100k", "--from", real_data / "ml-100k", *files)
    items = pq.read_table(tmp_path / "items.parquet").to_pylist()
    lines = (real_data / "ml-100k" / "ml-100k.item").read_text(encoding="utf-8").splitlines()[1:]
    assert len(items) == len(lines) == 1682
    assert [item["item_id"] for item in items if item["year"] is None] == [267]
    for item, line in zip(items, sorted(lines, key=lambda line: int(line.split("\t")[0])), strict=True):
        identity, title, year, genres = line.split("\t")
        assert item["item_id"] == int(identity)
        assert " ".join(item["genres"] or ["unknown"]) == genres
        if year.isdigit():
            assert (item["title"], item["year"]) == (title, int(year))


def test_published_attributes_of_beauty(real_data, tmp_path, get):
    files = ["--output", tmp_path / "b.parquet", "--items", tmp_path / "items.parquet"]
    get("beauty", "--from", real_data / "beauty", *files)
    table = pq.read_table(tmp_path / "items.parquet").to_pydict()
    wanted = json.loads((real_data / "beauty" / "Beauty_item2attributes.json").read_text())
    assert dict(zip(map(str, table["item_id"]), table["attributes"], strict=True)) == wanted
