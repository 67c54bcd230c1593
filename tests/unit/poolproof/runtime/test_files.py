"""JSON files that are replaced as a whole, and locks between the processes of a machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from poolproof.runtime.files import is_locked, locked, open_locked, read_json, try_lock, write_json
from tests.support.narrowing import not_none


def test_what_was_written_is_read_and_no_draft_is_left(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"a": 1})
    write_json(path, {"b": [2]})
    assert read_json(path) == {"b": [2]}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, "", "{", "[1]"])
def test_a_file_without_an_object_reads_as_none(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "state.json"
    if content is not None:
        path.write_text(content)
    assert read_json(path) is None


def test_a_file_that_is_larger_than_allowed_reads_as_none(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"a": 1}')
    assert read_json(path, max_bytes=8) == {"a": 1}
    assert read_json(path, max_bytes=7) is None


def test_a_lock_is_had_once_and_again_when_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = try_lock(path)
    assert first is not None
    assert try_lock(path) is None
    assert is_locked(path)
    first.close()
    assert not is_locked(path)
    second = try_lock(path)
    assert second is not None
    second.close()


def test_a_lock_that_another_has_is_waited_for_only_so_long(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, 0.0) as first, locked(path, 0.01) as second:
        assert (first, second) == (True, False)
    with locked(path, 0.0) as again:
        assert again


def test_a_file_that_is_locked_when_it_is_made_is_open_for_writing(tmp_path: Path) -> None:
    with open_locked(tmp_path / "own") as file:
        file.write(b"content")
        assert is_locked(tmp_path / "own")
    assert not is_locked(tmp_path / "missing")


def test_only_one_process_has_a_lock_and_its_death_frees_it(tmp_path: Path) -> None:
    lock = tmp_path / "leader"
    program = "import sys, time; from pathlib import Path; from poolproof.runtime.files import try_lock\n"
    program += "file = try_lock(Path(sys.argv[1])); print(file is not None, flush=True); time.sleep(20)"
    command = [sys.executable, "-c", program, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as other:
        assert not_none(other.stdout).readline() == b"True\n"
        assert try_lock(lock) is None
        other.kill()
    lock_file = try_lock(lock)
    assert lock_file is not None
    lock_file.close()
