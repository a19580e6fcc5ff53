"""The lines of fields, compared with those of ruamel.yaml, of which JSON is a part."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from autoseg.dataset.json_lines import lines_of, repeated_fields

KEYS = st.text(st.sampled_from('ab"\\[]{},: \né'), min_size=1, max_size=4)
DOCUMENTS = st.recursive(
    st.none() | st.integers(-5, 5) | KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


def lines_by_yaml(node, place=()):
    if isinstance(node, CommentedMap):
        for key in node:
            yield (*place, key), node.lc.key(key)[0] + 1
            yield from lines_by_yaml(node[key], (*place, key))
    elif isinstance(node, CommentedSeq):
        for i in range(len(node)):
            yield (*place, i), node.lc.item(i)[0] + 1
            yield from lines_by_yaml(node[i], (*place, i))


@settings(max_examples=150, deadline=None)
@given(document=st.dictionaries(KEYS, DOCUMENTS, max_size=4), indent=st.sampled_from([None, 0, 1, 4]))
def test_lines_are_those_of_yaml(document, indent) -> None:
    text = json.dumps(document, indent=indent)
    expected = dict(lines_by_yaml(YAML().load(text)))
    assert lines_of(text, list(expected)) == expected


def test_a_field_that_is_not_there_has_the_line_of_the_one_around_it() -> None:
    text = '{\n"a": {\n"b": [1,\n2]\n}\n}'
    places = [("a", "b", 1), ("a", "c"), ("a", "b", 7, "x"), ("z",)]
    assert lines_of(text, places) == {places[0]: 4, places[1]: 2, places[2]: 3}


def test_repeated_fields_are_found_in_their_own_object() -> None:
    text = '{"a": 1,\n"b": {"a": 2,\n"c": "a, {",\n"a": 3, "a": 4},\n"b": 5}'
    assert repeated_fields(text) == [("a", 4), ("b", 5)]


def test_what_is_no_json_is_told() -> None:
    with pytest.raises(ValueError, match="line 2: not JSON"):
        lines_of("case\n, T1", [("labels",)])
