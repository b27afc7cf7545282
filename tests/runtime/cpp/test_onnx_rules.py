"""What docs/bundle-format.md says of ONNX files: the C++ reader and the Python reader draw the same line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from clipspect.base.errors import BundleError
from clipspect.bundle.bundle import require_known_weights
from clipspect.bundle.manifest import read_manifest, write_manifest
from support import handmade, handmade_graphs
from support.cpp_programs import call

MODEL = handmade_graphs.brightness(handmade.SIDE, handmade.DIM)
MINUS_ONE = b"\xff" * 9 + b"\x01"  # as a varint


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, wire: int, value: bytes) -> bytes:
    return varint(number << 3 | wire) + (varint(len(value)) if wire == 2 else b"") + value


def changed(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = onnx.load_from_string(MODEL)
    change(model)
    return model.SerializeToString()


def with_external(*entries: bytes) -> bytes:
    """The model with one more tensor, whose external data has these entries."""
    tensor = field(8, 2, b"weights") + b"".join(field(13, 2, entry) for entry in entries)
    graph = onnx.load_from_string(MODEL).graph.SerializeToString() + field(5, 2, tensor)
    return field(1, 0, varint(10)) + field(7, 2, graph)


def entry(key: str, value: str) -> bytes:
    return field(1, 2, key.encode()) + field(2, 2, value.encode())


def nested(times: int) -> bytes:
    """A graph in an attribute of a node of a graph, and so on: 2 + 3 x times messages deep."""
    graph = b""
    for _ in range(times):
        graph = field(1, 2, field(5, 2, field(6, 2, graph)))
    return field(7, 2, graph)


ALLOWED = {
    "as it is": MODEL,
    "a negative number": MODEL + field(5, 0, MINUS_ONE),
    "one name of its producer": MODEL + field(2, 2, b"by hand"),
    "two properties": MODEL + 2 * field(14, 2, entry("a", "b")),
    "a domain by name": changed(lambda model: setattr(model.graph.node[0], "domain", "ai.onnx")),
    "weights in a file": with_external(entry("location", "model.bin"), entry("offset", "0"), entry("length", "4")),
    "62 messages deep": nested(20),
}
REFUSED = {
    "nothing": b"",
    "no graph": field(1, 0, b"\x08"),
    "two graphs": MODEL + field(7, 2, b""),
    "two names of its producer": MODEL + 2 * field(2, 2, b"by hand"),
    "two versions": MODEL + 2 * field(5, 0, b"\x01"),
    "a function": MODEL + field(25, 2, b""),
    "training information": MODEL + field(20, 2, b""),
    "an unknown field": MODEL + field(99, 2, b""),
    "field 0": MODEL + field(0, 2, b""),
    "a key of 33 bits": MODEL + field((1 << 29) + 7, 2, b""),
    "a key that is longer than it need be": MODEL + b"\x92\x00\x00",
    "a length that is longer than it need be": MODEL + b"\x12\x80\x00",
    "a number that is longer than it need be": MODEL + b"\x28\x81\x00",
    "a number of 65 bits": MODEL + b"\x28" + b"\xff" * 9 + b"\x02",
    "a number of eleven bytes": MODEL + b"\x28" + b"\xff" * 10 + b"\x01",
    "a group": MODEL + b"\x13\x14",
    "wire type 7": MODEL + b"\x17",
    "a name that is a number": MODEL + field(2, 0, b"\x01"),
    "a version of four bytes": MODEL + field(5, 5, bytes(4)),
    "a key without a value": MODEL + b"\x12",
    "a value that is cut": MODEL + b"\x12\x05ab",
    "a length beyond memory": MODEL + b"\x12" + MINUS_ONE,
    "an unknown field in a node": field(7, 2, field(1, 2, field(99, 0, b"\x01"))),
    "another's operators": changed(lambda model: setattr(model.graph.node[0], "domain", "com.microsoft")),
    "65 messages deep": nested(21),
    "100,000 messages deep": nested(100_000 // 64),
    "weights outside": with_external(entry("location", "../model.bin")),
    "weights in a hidden file": with_external(entry("location", ".model.bin")),
    "weights in an option": with_external(entry("location", "-model.bin")),
    "weights in a file of another alphabet": with_external(entry("location", "modèl.bin")),
    "weights in no file": with_external(entry("location", "")),
    "weights in a file without a hash": with_external(entry("location", "other.bin")),
    "an entry without a value": with_external(field(1, 2, b"location")),
    "an entry without a key": with_external(field(2, 2, b"model.bin")),
    "an entry with two values": with_external(entry("location", "model.bin") + field(2, 2, b"other.bin")),
    "weights in no place": with_external(entry("offset", "0")),
    "two locations": with_external(entry("location", "model.bin"), entry("location", "model.bin")),
    "an unknown key": with_external(entry("location", "model.bin"), entry("basepath", "/")),
}


def _write(folder: Path, models: dict[str, bytes]) -> list[Path]:
    bundles = []
    for number, model in enumerate(models.values()):
        bundle = handmade.write_bundle(folder / f"{number}.bundle")
        (bundle / "model.onnx").write_bytes(model)
        (bundle / "model.bin").write_bytes(bytes(4))
        write_manifest(bundle, handmade.make_manifest())
        bundles.append(bundle)
    return bundles


def _refusals_of_python(bundle: Path) -> str | None:
    """By its reader of ONNX files; what Python asks of a graph besides, C++ does not."""
    try:
        require_known_weights(bundle, read_manifest(bundle)[0])
    except BundleError as error:
        return str(error)
    return None


def test_what_is_allowed_is_read(built: Path, tmp_path: Path) -> None:
    bundles = _write(tmp_path, ALLOWED)
    said = call(built / "readers", *bundles)[0].decode().splitlines()
    assert dict(zip(ALLOWED, said, strict=True)) == dict.fromkeys(ALLOWED, "read")
    assert {name: _refusals_of_python(bundle) for name, bundle in zip(ALLOWED, bundles)} == dict.fromkeys(ALLOWED)


def test_what_is_not_allowed_is_refused(built: Path, tmp_path: Path) -> None:
    bundles = _write(tmp_path, REFUSED)
    said = call(built / "readers", *bundles)[0].decode().splitlines()
    assert {name: "'model.onnx'" in line for name, line in zip(REFUSED, said, strict=True)} == dict.fromkeys(
        REFUSED, True
    ), said
    taken = [name for name, bundle in zip(REFUSED, bundles) if _refusals_of_python(bundle) is None]
    assert taken == []


def test_the_readers_agree_on_any_changed_byte(built: Path, tmp_path: Path) -> None:
    models = {}
    for position in range(0, len(MODEL), 2):
        for flip in (0x01, 0x80):
            model = bytearray(MODEL)
            model[position] ^= flip
            models[f"{position} {flip}"] = bytes(model)
    bundles = _write(tmp_path, models)
    said = call(built / "readers", *bundles)[0].decode("utf-8", "replace").splitlines()
    assert {line == "read" for line in said} == {True, False}
    for name, bundle, line in zip(models, bundles, said, strict=True):
        assert (line == "read") == (_refusals_of_python(bundle) is None), (name, line)


def test_a_tensor_in_every_place_names_its_file(built: Path, tmp_path: Path) -> None:
    weights = TensorProto(name="w", dims=[1], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value="elsewhere.bin")
    places = TensorProto(name="p", dims=[1], data_type=TensorProto.INT64, int64_data=[0])
    sparse = helper.make_sparse_tensor(weights, places, [1])
    inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=weights)], "inner", [], [])
    models = {
        "an initializer": lambda model: model.graph.initializer.append(weights),
        "a sparse initializer": lambda model: model.graph.sparse_initializer.append(sparse),
        "a constant": lambda model: model.graph.node.append(helper.make_node("Constant", [], ["c"], value=weights)),
        "a sparse constant": lambda model: model.graph.node.append(
            helper.make_node("Constant", [], ["c"], sparse_value=sparse)
        ),
        "a graph in a node": lambda model: model.graph.node.append(
            helper.make_node("If", ["image"], ["c"], then_branch=inner, else_branch=inner)
        ),
    }
    bundles = _write(tmp_path, {name: changed(change) for name, change in models.items()})
    said = call(built / "readers", *bundles)[0].decode().splitlines()
    assert ["reads its weights from 'elsewhere.bin'" in line for line in said] == [True] * len(models), said
    assert all("elsewhere.bin" in (_refusals_of_python(bundle) or "") for bundle in bundles)
