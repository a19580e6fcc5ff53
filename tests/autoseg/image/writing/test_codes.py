"""The table of coded concepts: checked against pydicom's dictionary of SNOMED CT; tables of users; bad tables."""

from pathlib import Path

import pytest
from pydicom.sr.codedict import codes

from autoseg.errors import InputError
from autoseg.image.writing.codes import COLUMNS, LESION, TISSUE, code_table, told_defaults, told_unused

HEADER = ",".join(COLUMNS)
LIVER = "SCT,91723000,Anatomical Structure,SCT,10200004,Liver"


def test_every_default_code_is_one_that_pydicom_knows_by_the_same_words() -> None:
    known = {(found.value, found.meaning) for name in codes.SCT.dir() for found in [getattr(codes.SCT, name)]}
    table = code_table().codes
    assert len(table) > 200
    wrong = [
        name
        for name, code in (table | {"": TISSUE, "l": LESION}).items()
        if not all((one.code, one.meaning) in known and one.scheme == "SCT" for one in (code.category, code.type))
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Liver", "10200004"),
        ("kidney_left", "64033007"),
        ("Left Kidney", "64033007"),
        ("heart ventricle left", "85756007"),
        ("left-ventricle", "87878005"),
        ("vertebrae_L1", "66794005"),
        ("tumour", "108369006"),
        ("metastases", "14799000"),
        ("Hippocampus", "5366008"),
    ],
)
def test_names_are_found_without_case_signs_and_sides(name: str, code: str) -> None:
    assert code_table().of(name, lesion=False).type.code == code


def test_what_no_table_has_gets_a_general_concept_and_is_told() -> None:
    table = code_table()
    found = [table.of("anterior", lesion=False), table.of("foci", lesion=True), table.of("liver", lesion=True)]
    assert found[:2] == [TISSUE, LESION] and not found[2].is_default
    told = told_defaults(["anterior", "foci", "liver"], found)
    assert told == (
        "The table of codes lacks anterior: coded as Tissue (SCT 85756007); a table given by --codes says better",
        "The table of codes lacks foci: coded as Lesion (SCT 52988006); a table given by --codes says better",
    )


def test_a_users_table_comes_first_and_may_give_colours(tmp_path: Path) -> None:
    path = tmp_path / "codes.csv"
    path.write_text(
        f"{HEADER}\nliver,99L,a1,Part,99L,b2,My liver,#102030\nanterior,99L,a1,Part,99L,c3,Anterior hippocampus,\n",
        encoding="utf-8",
    )
    table = code_table(path)
    assert table.of("LIVER", lesion=False).type.meaning == "My liver"
    assert table.of("liver", lesion=False).colour == (16, 32, 48)
    assert table.of("anterior", lesion=False).type.code == "c3" and table.of("anterior", lesion=False).colour is None
    assert table.of("spleen", lesion=False).type.code == "78961009"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,type_code\nliver,1\n", "line 1: lacks the columns category_scheme"),
        (f"{HEADER}\nliver,{LIVER}\n", "line 2: has 7 cells, the first line has 8"),
        (f"{HEADER}\nliver,{LIVER},\nLIVER,{LIVER},\n", "line 3: the name 'LIVER' stands in two lines"),
        (f"{HEADER}\n  ,{LIVER},\n", "line 2: the name '' is empty"),
        (f"{HEADER}\nliver,{LIVER},red\n", "line 2: colour is 'red', and must be six hexadecimal digits"),
        (f"{HEADER}\nliver,{LIVER}{'r' * 60},\n", "line 2: type_meaning is .*DICOM takes 1 to 64"),
        (f"{HEADER}\nliver,{LIVER.replace('10200004', '1' * 17)},\n", "line 2: type_code is .*1 to 16"),
        (f"{HEADER}\nliver,{LIVER}^,\n", "line 2: type_meaning is 'Liver\\^'"),
        ("", "line 1: lacks the columns"),
    ],
)
def test_a_malformed_table_is_refused_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"mine\.csv, {told}"):
        code_table(path)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        code_table(tmp_path / "none.csv")


def test_a_users_table_that_names_no_class_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"{HEADER}\nlivr,{LIVER},\nkidney,{LIVER},\n", encoding="utf-8")
    told = told_unused(path, ["liver", "spleen"])
    assert told == (f"{path}: names none of the classes (liver, spleen), so that it changes nothing",)
    assert told_unused(path, ["liver", "Kidney_left"]) == ()
