"""Images and Parquet at an address of S3, read from a server of S3 that we did not write (moto)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipspect.base.errors import ClipspectError
from clipspect_lab.archive.source import open_source
from support import archived, handmade

pytestmark = pytest.mark.slow


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A bucket `parts` with what is in the folder that is given: nine images, one damaged, and one empty."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    handmade.write_bundle(tmp_path / "tiny.bundle")
    paths = archived.write_images(tmp_path / "images", 9)
    paths[4].write_bytes(paths[4].read_bytes()[:50])
    paths[5].write_bytes(b"")
    contents = [path.read_bytes() for path in paths]
    pq.write_table(pa.table({"image": contents}), tmp_path / "parts.parquet", row_group_size=4)
    store = s3fs.S3FileSystem()
    store.makedirs("parts", exist_ok=True)  # all servers of a process have one state
    store.put(f"{tmp_path}/images/", "parts/images/", recursive=True)
    store.put(f"{tmp_path}/parts.parquet", "parts/tables/parts.parquet")
    yield tmp_path
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()


def test_images_and_parquet_in_a_bucket_give_what_the_files_give(bucket: Path) -> None:
    files = archived.inspected(Path("tiny.bundle"), "images").sort_by("number")
    for source, names in (
        ("s3://parts/images", [f"s3://parts/images/part{number}.png" for number in range(9)]),
        ("s3://parts/tables", [f"s3://parts/tables/parts.parquet#{number}" for number in range(9)]),
    ):
        found = archived.inspected(Path("tiny.bundle"), source).sort_by("number")
        assert found["name"].to_pylist() == names
        for column in ("score", "verdict", "peak", "regions", "width"):
            assert found[column].to_pylist() == files[column].to_pylist(), (source, column)
        assert [row for row, error in enumerate(found["error"].to_pylist()) if error] == [4, 5]
        assert found["error"][5].as_py() == f"{names[5]}: the file is empty"


@pytest.mark.parametrize("address", ["s3://parts/nothing", "s3://no-such-bucket/images", "nonsense://parts"])
def test_an_address_with_nothing_there_is_one_clear_error(bucket: Path, address: str) -> None:
    with pytest.raises(ClipspectError) as caught:
        open_source(address, None, Path("out"))
    assert str(caught.value).startswith(f"{address}: ")
