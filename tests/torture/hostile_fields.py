"""The text fields of the files of a RUN folder, one place for each field of a schema, and how another text gets there.

What guards against accidents alone, the lists of checksums, is put right again, as a hostile hand would.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from autoseg.disk.checksums import LIST_NAME, SEAL, digest_of, write_checksums

MAPS = frozenset(("configurations", "classes", "dice", "cases", "seconds", "strata", "__metadata__"))
"""Fields whose keys are names rather than fields."""

NIFTI_TEXTS = {"data_type": (4, 10), "db_name": (14, 18), "descrip": (148, 80), "aux_file": (228, 24)}
NIFTI_TEXTS |= {"intent_name": (328, 16), "magic": (344, 4)}
"""Place and length in bytes of each text of a NIfTI-1 header."""

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class TextField:
    """A text field of a file: `put` writes another text there, into a file at the same place of a copied RUN."""

    file: Path
    name: str
    put: Callable[[Path, str], None]


def schema_of(path: Path) -> str:
    """A path in which cases, folds and configurations are alike, since one of them stands for all."""
    text = re.sub(r"(ball|fold)_\d+", r"\1_N", path.as_posix())
    return re.sub(r"(?<=/)(all\.)?(2\.5d|2d|3d)(?=/|$)", "CONFIG", text)


def one_of_each(run: Path) -> list[Path]:
    """Relative path of one file or folder of each schema in a RUN folder."""
    found = {schema_of(path.relative_to(run)): path.relative_to(run) for path in sorted(run.rglob("*"), reverse=True)}
    return sorted(found.values())


def text_fields(run: Path) -> Iterator[TextField]:
    """Every text field of every file of a RUN folder that is read, one for each schema."""
    for file in one_of_each(run):
        path = run / file
        if not path.is_file():
            continue
        if path.suffix in (".json", ".yaml"):
            places = text_places(read_document(path))
            yield from (TextField(file, _name(place), _putter(place, key)) for place, key in places)
        elif path.suffix == ".safetensors":
            header, _ = read_safetensors(path)
            yield from (
                TextField(file, _name(p), _tensor_putter(p, key)) for p, key in text_places(header, all_maps=True)
            )
        elif path.name.endswith(".nii.gz"):
            yield from (TextField(file, name, _nifti_putter(*place)) for name, place in NIFTI_TEXTS.items())
        elif path.name == LIST_NAME:
            yield from (TextField(file, ("digest", "name")[part], _list_putter(part)) for part in (0, 1))
        elif path.name == "log.csv":
            rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
            yield from (TextField(file, f"{r}.{c}", _csv_putter(r, c)) for r in (0, 1) for c in range(len(rows[r])))


def text_places(document: Any, *, all_maps: bool = False) -> list[tuple[Place, bool]]:
    """Places of texts, and of what may be text, in a document; and whether the key at that place is meant."""
    found: dict[str, tuple[Place, bool]] = {}

    def walk(node: Any, place: Place, schema: str, parent: str) -> None:
        if isinstance(node, dict):
            is_map = all_maps or parent in MAPS
            for key, value in node.items():
                part = "*" if is_map else str(key)
                if is_map:
                    found.setdefault(f"{schema}.{part} key", ((*place, key), True))
                walk(value, (*place, key), f"{schema}.{part}", str(key))
        elif isinstance(node, list):
            for index, value in enumerate(node):
                walk(value, (*place, index), f"{schema}.*", "")
        elif node is None or isinstance(node, str):
            found.setdefault(schema, (place, False))

    walk(document, (), "", "")
    return list(found.values())


def read_document(path: Path) -> Any:
    """The content of a JSON or YAML file as dicts and lists."""
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else YAML(typ="safe").load(text)


def write_document(path: Path, document: Any) -> None:
    """Write a JSON or YAML file; what guards it against accidents is put right."""
    # JSON is YAML
    path.write_text(json.dumps(document), encoding="utf-8")
    mend_checksums(path)


def mend_checksums(path: Path) -> None:
    """Put right the checksums that tell of a changed file."""
    if (path.parent / LIST_NAME).exists():
        write_checksums(path.parent, ("image.b2nd", "label.b2nd", "foreground.safetensors", "case.json"))
    if path.suffix == ".b2nd" and path.with_suffix(".json").exists():
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        record.pop(SEAL, None)
        path.with_suffix(".json").write_text(json.dumps(record | {"sha256": digest_of(path)}), encoding="utf-8")


def read_safetensors(path: Path) -> tuple[dict[str, Any], bytes]:
    """Header of a file of tensors, and the bytes after it."""
    content = path.read_bytes()
    end = 8 + struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8:end]), content[end:]


def _put(document: Any, place: Place, key: bool, text: str) -> None:
    for part in place[:-1]:
        document = document[part]
    if key:
        document[text] = document.pop(place[-1])
    else:
        document[place[-1]] = text


def _putter(place: Place, key: bool) -> Callable[[Path, str], None]:
    def put(path: Path, text: str) -> None:
        document = read_document(path)
        _put(document, place, key, text)
        if place[0] != SEAL and isinstance(document, dict):
            # whoever changes a record on purpose deletes its checksum
            document.pop(SEAL, None)
        write_document(path, document)

    return put


def _tensor_putter(place: Place, key: bool) -> Callable[[Path, str], None]:
    def put(path: Path, text: str) -> None:
        header, rest = read_safetensors(path)
        _put(header, place, key, text)
        written = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(written)) + written + rest)
        mend_checksums(path)

    return put


def _nifti_putter(first: int, length: int) -> Callable[[Path, str], None]:
    def put(path: Path, text: str) -> None:
        content = bytearray(gzip.decompress(path.read_bytes()))
        written = b"ni1" if length == 4 else text.encode()[-length:]
        content[first : first + length] = written.ljust(length, b"\0")
        path.write_bytes(gzip.compress(bytes(content)))

    return put


def _list_putter(part: int) -> Callable[[Path, str], None]:
    def put(path: Path, text: str) -> None:
        first, *rest = path.read_text(encoding="utf-8").splitlines()
        parts = first.split("  ")
        parts[part] = text
        path.write_text("\n".join(["  ".join(parts), *rest]) + "\n", encoding="utf-8")

    return put


def _csv_putter(row: int, column: int) -> Callable[[Path, str], None]:
    def put(path: Path, text: str) -> None:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
        rows[row][column] = text
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(rows)
        path.write_text(out.getvalue(), encoding="utf-8")

    return put


def _name(place: Place) -> str:
    return ".".join(map(str, place))
