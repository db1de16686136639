# SPDX-License-Identifier: MIT
"""Rows brought together by an identifier: what matches, who learns it, what is refused."""

import random
import uuid

import numpy as np
import pandas as pd
import pytest
import torch

import cryptensor as ct
from cryptensor.errors import ConfigError, PolicyError, ProtocolError, ShapeError
from cryptensor.joining import blinding, intersection, pairing
from cryptensor.joining.identifiers import encoded


def intersections(*identifiers, parties=2, **options):
    """What every party gets from intersect()."""
    return ct.simulate(lambda: ct.intersect(identifiers[ct.rank()], **options), parties=parties)


def outcomes(body, parties=2):
    """What every party raises; the error itself comes from the same call everywhere."""

    def caught():
        try:
            body(ct.rank())
        except Exception as error:
            return error
        return None

    return ct.simulate(caught, parties=parties)


KINDS = {
    "int": ([5, -3, 2**80, 9], [2**80, 7, 5]),
    "numpy": (np.array([5, 3, 9]), torch.tensor([9, 5])),
    "column": (pd.Series([1, 2, 4], dtype="Int64"), pd.Index([4, 3])),
    "str": (["ann", "zo\u00eb", "Bob"], ["zoe\u0308", "bob", "ann"]),
    "bytes": ([b"a", b"\0", b"\xff"], [b"\xff", b"\0\0"]),
    "UUID": ([uuid.UUID(int=1), uuid.UUID(int=2)], [uuid.UUID(int=2)]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_both_owners_get_the_rows_that_match(kind):
    first, second = KINDS[kind]
    rows = intersections(first, second)
    plain = [encoded(given, "NFC")[1] for given in (first, second)]
    found = [[values[row] for row in r.tolist()] for values, r in zip(plain, rows, strict=True)]
    assert found[0] == found[1]
    assert set(found[0]) == set(plain[0]) & set(plain[1])
    assert len(found[0])


def test_random_sets_over_several_chunks(monkeypatch):
    monkeypatch.setattr(intersection, "_CHUNK", 7)
    drawn = random.Random(1)
    first, second = drawn.sample(range(90), 40), drawn.sample(range(90), 23)
    rows = intersections(first, second)
    assert [first[row] for row in rows[0]] == [second[row] for row in rows[1]]
    assert {first[row] for row in rows[0]} == set(first) & set(second)


def test_nothing_in_common_is_no_rows():
    assert [tuple(rows.shape) for rows in intersections([1], [2, 3])] == [(0,), (0,)]


def test_the_owners_are_two_of_several_parties():
    rows = intersections([1, 2, 3], None, [3, 1], parties=3, owners=(2, 0))
    assert rows[1] is None
    assert [[1, 2, 3][row] for row in rows[0]] == [[3, 1][row] for row in rows[2]]
    assert len(rows[0]) == 2


def test_text_is_compared_as_normalize_says():
    ligature, letters = ["\ufb01n"], ["fin"]
    assert len(intersections(ligature, letters, normalize="NFC")[0]) == 0
    assert len(intersections(ligature, letters, normalize="NFKC")[0]) == 1
    assert len(intersections(["\u00eb"], ["e\u0308"], normalize=None)[0]) == 0


def test_types_are_apart():
    errors = outcomes(lambda rank: ct.intersect([[1], ["1"]][rank]))
    assert all(isinstance(error, ConfigError) for error in errors)
    assert "int at party 0 and str at party 1" in str(errors[0])


REFUSED = {
    "twice": ([7, 8, 7], ConfigError, "same in rows 0 and 2"),
    "twice once normalized": (["\u00eb", "e\u0308"], ConfigError, "same in rows 0 and 1"),
    "empty": ([], ShapeError, "a row or more"),
    "None": ([1, None], ConfigError, "row 1 of identifiers is missing"),
    "no text": (["a", ""], ConfigError, "row 1 of identifiers is missing"),
    "NaN": ([float("nan")], ConfigError, "row 0 of identifiers is missing"),
    "NA": (pd.Series([1, pd.NA], dtype="Int64"), ConfigError, "row 1 of identifiers is missing"),
    "NaT": ([pd.NaT], ConfigError, "row 0 of identifiers is missing"),
    "float": ([1.0], ConfigError, "type float"),
    "bool": ([True], ConfigError, "type bool"),
    "two types": ([1, "secret"], ConfigError, "int in row 0 and str in row 1"),
    "text": ("secret", ConfigError, "a list, array or column"),
    "nothing": (None, ConfigError, "NoneType"),
    "number": (5, ConfigError, "a list, array or column"),
    "rows of rows": ([[1, 2]], ConfigError, "type list"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unsuitable_identifiers_are_refused_at_all_parties(case):
    given, kind, text = REFUSED[case]
    owner, other = outcomes(lambda rank: ct.intersect(given if rank == 0 else [1, 2]))
    assert isinstance(owner, kind)
    assert text in str(owner)
    assert "secret" not in str(owner)
    assert isinstance(other, kind)
    assert "party 0 could not give its identifiers" in str(other)


@pytest.mark.parametrize("owners", [(0, 0), (0, 2), (0,), 1, (True, 0), None])
def test_owners_are_two_ranks(owners):
    errors = outcomes(lambda rank: ct.intersect([1], owners))
    assert all(isinstance(e, ConfigError) and "owners is" in str(e) for e in errors)


def test_settings_are_the_same_at_all_parties():
    errors = outcomes(lambda rank: ct.intersect([1], normalize=[None, "NFC"][rank]))
    assert all(isinstance(e, ConfigError) and "normalize" in str(e) for e in errors)
    errors = outcomes(lambda rank: ct.intersect([1], normalize="nfc"))
    assert all(isinstance(e, ConfigError) and "'nfc'" in str(e) for e in errors)


def test_a_policy_forbids_it():
    def body(rank):
        with ct.policy(reveal_to=0):
            ct.intersect([1, 2])

    assert all(isinstance(error, PolicyError) for error in outcomes(body))


def test_what_is_sent_depends_on_secrets_that_are_used_once():
    first, second = blinding.Blinding(), blinding.Blinding()
    point = first.of_identifier(b"ann")
    assert point != second.of_identifier(b"ann")
    assert second.of_point(point, 0) == first.of_point(second.of_identifier(b"ann"), 1)
    assert second.of_point(point, 0) != first.of_point(second.of_identifier(b"bob"), 1)


@pytest.mark.parametrize("point", [b"\0" * 32, b"\1" + b"\0" * 31, b"\xff" * 32, b"short"])
def test_bytes_that_are_no_point_are_refused(point):
    with pytest.raises(ProtocolError, match="party 1 sent"):
        blinding.Blinding().of_point(point, 1)


def test_points_leave_in_an_order_that_says_nothing(monkeypatch):
    sent = []
    exchanged = intersection._exchanged

    def spied(engine, points, *others):
        sent.append(points)
        return exchanged(engine, points, *others)

    monkeypatch.setattr(intersection, "_exchanged", spied)
    intersections(list(range(20)), [3, 40])
    first = next(points for points in sent if len(points) == 20)
    assert first == sorted(first)


LEFT = pd.DataFrame({"id": [5, 3, 9, 4], "age": [31, 62, 18, 77], "ill": [True, False, True, True]})
RIGHT = pd.DataFrame({"dose": [10.5, -20.0, 0.25], "key": [9, 8, 5]})


def joined(**options):
    def body():
        tables = ct.join([LEFT, RIGHT][ct.rank()], ["id", "key"][ct.rank()], **options)
        return [None if table is None else table.reveal().tolist() for table in tables]

    first, second = ct.simulate(body)
    assert first == second
    return first


def test_a_join_aligns_the_rows():
    left, right, matched = joined()
    assert sorted(zip(map(tuple, left), map(tuple, right), strict=True)) == [
        ((18, 1), (10.5,)),
        ((31, 1), (0.25,)),
    ]
    assert matched is None


def test_a_hidden_join_has_all_rows_and_reveals_none(monkeypatch):
    monkeypatch.setattr(pairing, "_PAIRS", 6)  # two rows a block
    left, right, matched = joined(hidden=True)
    assert left == [[31, 1], [62, 0], [18, 1], [77, 1]]
    assert right == [[0.25], [0], [10.5], [0]]
    assert matched == [1, 0, 1, 0]

    def body():
        with ct.policy(reveal_to="nobody", max_reveals=0):
            ct.join([LEFT, RIGHT][ct.rank()], ["id", "key"][ct.rank()], hidden=True)

    # The agreement on counts and types is public and the only thing revealed.
    assert all(isinstance(e, PolicyError) for e in outcomes(lambda rank: body()))


def test_a_join_refuses_at_all_parties():
    def errors(table, on="id", **options):
        return outcomes(lambda rank: ct.join([table, RIGHT][rank], [on, "key"][rank], **options))

    gap = LEFT.assign(age=[1, None, 3, 4])
    for table, on, text in (
        (gap, "id", "column 'age'"),
        (LEFT, "name", "'name' is not there"),
        (None, "id", "source is"),
    ):
        owner, other = errors(table, on)
        assert text in str(owner)
        assert type(owner) is type(other)
        assert "party 0 could not give its table" in str(other)
    assert all(isinstance(e, ConfigError) for e in errors(LEFT, hidden="yes"))


@pytest.mark.parametrize("word", [0, 1])
def test_both_words_of_a_hash_count(monkeypatch, word):
    """Identifiers that share one of the two words do not match."""

    def words(identifiers):
        made = torch.ones(2, len(identifiers), dtype=torch.int64)
        made[word] = torch.tensor([2**29 + int(identifier) for identifier in identifiers])
        return made

    monkeypatch.setattr(pairing, "_words", words)
    assert joined(hidden=True)[2] == [1, 0, 1, 0]
