# SPDX-License-Identifier: MIT
"""Tables of one party as secrets: CSV, Parquet, DataFrames, and what is wrong with them."""

import numpy as np
import pandas as pd
import pytest
import torch

import cryptensor as ct
from cryptensor.errors import ConfigError, FileError, RangeError, ShapeError
from cryptensor.tables import numbers, read_frame

FRAME = pd.DataFrame({"a": [1.5, -2.25, 3.0], "b": [True, False, True], "c": [7, 8, 9]})


def loaded(source, **options):
    def body():
        secret = ct.load_table(source if ct.rank() == 1 else None, 1, **options)
        return secret.owner, secret.reveal()

    (owner, first), (_, second) = ct.simulate(body)
    assert owner == 1
    assert torch.equal(first, second)
    return first


def test_every_form_gives_the_same(tmp_path):
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    FRAME.to_parquet(tmp_path / "t.parquet")
    expected = torch.tensor([[1.5, 1, 7], [-2.25, 0, 8], [3, 1, 9]])
    for source in (FRAME, tmp_path / "t.csv", str(tmp_path / "t.parquet"), FRAME.convert_dtypes()):
        assert torch.equal(loaded(source), expected)


def test_columns_and_rows_come_as_they_are_asked_for():
    rows = torch.tensor([2, 0])
    assert loaded(FRAME, columns=["c", "a"], rows=rows).tolist() == [[9, 3], [7, 1.5]]
    assert loaded(FRAME, columns=["c"], dtype=torch.float64).dtype is torch.float64


def test_identifiers_of_a_csv_are_text(tmp_path):
    (tmp_path / "t.csv").write_text("id,x\n007,1\n7,2\n")
    assert read_frame(tmp_path / "t.csv", ["id"])["id"].tolist() == ["007", "7"]


SECRET = "4711"
REFUSED = {
    "text": ({"a": [1, SECRET]}, ConfigError, "column 'a' is of dtype object, with str in row 1"),
    "words": ({"a": ["x", SECRET]}, ConfigError, "column 'a' is of dtype str, with str in row 0"),
    "dates": ({"a": pd.to_datetime(["2020-01-01"])}, ConfigError, "Timestamp in row 0"),
    "complex": ({"a": [1j]}, ConfigError, "dtype complex128"),
    "categories": ({"a": pd.Categorical([SECRET])}, ConfigError, "dtype category"),
    "gap": ({"a": [0.0, None, 4711.0]}, RangeError, "of dtype float64 has nothing in row 1"),
    "NA": (
        {"a": pd.array([4711, pd.NA], "Int64")},
        RangeError,
        "of dtype Int64 has nothing in row 1",
    ),
    "infinite": ({"a": [4711, np.inf]}, RangeError, "is infinite in row 1"),
    "too large": ({"a": [0.0, 1e300]}, RangeError, ""),
    "no rows": ({"a": []}, ShapeError, "0 rows and 1 columns"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_number_is_refused_at_all_parties(case):
    values, kind, text = REFUSED[case]
    frame = pd.DataFrame(values)

    def body():
        with pytest.raises(kind) as caught:
            ct.load_table(frame if ct.rank() == 0 else None)
        return str(caught.value)

    owner, other = ct.simulate(body)
    assert text in owner
    assert SECRET not in owner
    assert "party 0" in other
    assert "column" not in other


def test_sources_columns_and_rows_that_are_not_there(tmp_path):
    (tmp_path / "bad.parquet").write_bytes(b"no table")
    (tmp_path / "empty.csv").write_text("")
    for source in ("missing.csv", tmp_path / "bad.parquet", tmp_path / "empty.csv"):
        with pytest.raises(FileError, match="table: "):
            read_frame(source)
    for source in (None, 5, [[1]], "t.xlsx", ""):
        with pytest.raises(ConfigError, match="source is"):
            read_frame(source)
    with pytest.raises(ConfigError, match="'z' is not there"):
        numbers(FRAME, ["z"])
    with pytest.raises(ConfigError, match="'a' is there 2 times"):
        numbers(FRAME.rename(columns={"b": "a"}), ["a"])
    with pytest.raises(ConfigError, match="a list of names"):
        numbers(FRAME, "a")
    for rows in ([3], [-1], [0.5], [True, False, True], [[0]]):
        with pytest.raises(ConfigError, match="rows "):
            numbers(FRAME, None, rows)
