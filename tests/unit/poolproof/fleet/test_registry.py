"""Real processes that join a fleet, and end in every way there is."""

from __future__ import annotations

import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from poolproof.core import stats
from poolproof.core.stats import Histogram
from poolproof.fleet.registry import MAX_STATE_SIZE, FleetDirectory, add_trees
from poolproof.fleet.request_counter import RequestCounter, requests_served
from tests.support.narrowing import not_none
from tests.support.waiting import wait_until
from tests.unit.poolproof.fleet.member import PROJECT, Process, several


@pytest.fixture
def folder(tmp_path: Path) -> FleetDirectory:
    return FleetDirectory(tmp_path / "fleet")


def test_where_nobody_has_met_yet_nobody_is_seen(folder: FleetDirectory) -> None:
    assert not folder.snapshot().members
    assert folder.crashed() == []
    assert not folder.path.exists(), "who only looks leaves nothing behind"


def test_a_living_process_is_seen_by_others_with_what_it_says(folder: FleetDirectory) -> None:
    with several(folder.path, 1) as (process,):
        process.do("say", {"count": 3}, {"doing": "this"})
        (seen,) = folder.snapshot().members
        assert (seen.key, seen.identity["pid"], seen.identity["name"]) == (process.key, process.pid, "worker")
        assert (seen.counters, seen.status) == ({"count": 3}, {"doing": "this"})
        assert seen.silent_for < 10


def test_processes_see_each_other_and_the_oldest_is_the_first(folder: FleetDirectory) -> None:
    with several(folder.path, 3) as processes:
        for number, process in enumerate(processes):
            process.do("say", {"count": 10**number}, {})
        assert [process.key for process in folder.snapshot().members] == [process.key for process in processes]
        assert folder.snapshot().counters == {"count": 111}
        assert max(processes[2].do("read_sums", 20)) == 111


def test_a_killed_process_vanishes_at_once(folder: FleetDirectory) -> None:
    with several(folder.path, 2) as (process, other):
        process.signal(signal.SIGKILL)
        assert [member.key for member in folder.snapshot().members] == [other.key]


@pytest.mark.parametrize("reads", [1, 5])
def test_what_a_killed_process_has_counted_stays_in_the_sum_once(folder: FleetDirectory, reads: int) -> None:
    with several(folder.path, 3) as (process, other, third):
        process.do("say", {"count": 5, "by": {"a": [1, 2]}}, {})
        other.do("say", {"count": 7, "by": {"a": [1], "b": [4]}}, {})
        process.signal(signal.SIGKILL)
        for _ in range(reads):
            assert folder.snapshot().counters == {"count": 12, "by": {"a": [2, 2], "b": [4]}}
            assert set(third.do("read_sums", 20)) == {12}
        other.signal(signal.SIGKILL)
        assert folder.snapshot().counters["count"] == 12
    assert folder.snapshot().counters["count"] == 12


def test_a_fleet_that_starts_anew_goes_on_counting(folder: FleetDirectory) -> None:
    for expected in (4, 8, 12):
        with several(folder.path, 2) as processes:
            for process in processes:
                process.do("say", {"count": 2}, {})
            assert folder.snapshot().counters == {"count": expected}


def test_a_goodbye_is_no_unexpected_death_and_what_was_counted_stays(folder: FleetDirectory) -> None:
    with several(folder.path, 1) as (process,):
        process.do("leave", {"count": 9})
        assert folder.snapshot().members == []
        assert folder.snapshot().counters == {"count": 9}
    assert folder.crashed() == []


def test_a_kill_and_an_end_without_a_goodbye_are_unexpected_deaths_told_once(folder: FleetDirectory) -> None:
    with several(folder.path, 2) as (killed, other):
        killed.signal(signal.SIGKILL)
        folder.snapshot()
        assert other.end_of("exit") == 0
        for _ in range(3):
            folder.snapshot()
    assert [death["pid"] for death in folder.crashed()] == [killed.pid, other.pid]
    assert time.time() - folder.crashed()[0]["found_at"] < 60


def test_a_frozen_process_is_still_a_member_and_its_silence_grows(folder: FleetDirectory) -> None:
    with several(folder.path, 1) as (process,):
        process.do("say", {"count": 1}, {})
        process.signal(signal.SIGSTOP)
        first = folder.snapshot().members[0].silent_for
        wait_until(lambda: folder.snapshot().members[0].silent_for >= first + 0.25)
        assert folder.crashed() == []
        process.signal(signal.SIGCONT)
        started_at = time.monotonic()
        process.do("say", {"count": 2}, {})
        assert folder.snapshot().members[0].silent_for <= time.monotonic() - started_at
        assert folder.snapshot().counters == {"count": 2}


def test_a_child_of_fork_does_not_keep_its_dead_parent_alive(folder: FleetDirectory) -> None:
    with several(folder.path, 1) as (parent,):
        parent.do("say", {"count": 6}, {})
        child = parent.do("fork")
        assert len(folder.snapshot().members) == 1, "the child has closed its own copy only"
        try:
            parent.signal(signal.SIGKILL)
            # The child lets go when it runs for the first time, which may be after its parent's end.
            wait_until(lambda: folder.snapshot().members == [])
            assert folder.snapshot().counters == {"count": 6}
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("rounds", [3, pytest.param(60, marks=pytest.mark.soak)])
def test_sums_never_go_backwards_whoever_looks_and_buries_at_the_same_time(
    folder: FleetDirectory, tmp_path: Path, rounds: int
) -> None:
    is_over = tmp_path / "over"
    with several(folder.path, 3) as readers:
        for process in readers:
            process.begin("read_sums", 20, str(is_over))
        sums = []
        for _ in range(rounds):
            with several(folder.path, 3) as processes:
                for process in processes:
                    process.do("say", {"count": 10}, {})
                    sums.append(folder.snapshot().counters.get("count", 0))
                processes[0].do("leave", {"count": 11})
            sums.append(folder.snapshot().counters["count"])
        is_over.touch()
        assert sums == sorted(sums)
        for process in readers:
            seen = process._answer()
            assert seen == sorted(seen)
    assert folder.snapshot().counters["count"] == sums[-1] == 31 * rounds


def test_sums_do_not_go_backwards_while_somebody_is_frozen_with_the_common_lock(folder: FleetDirectory) -> None:
    with several(folder.path, 3) as (frozen, process, reader):
        process.do("say", {"count": 4}, {})
        frozen.do("take_shared_lock")
        frozen.signal(signal.SIGSTOP)
        process.signal(signal.SIGKILL)
        # A reader does not wait until the frozen process goes on.
        assert folder.snapshot().counters == {"count": 4}
        assert set(reader.do("read_sums", 3)) == {4}
        frozen.signal(signal.SIGCONT)
        assert set(reader.do("read_sums", 2)) == {4}
    assert folder.snapshot().counters == {"count": 4}


@pytest.mark.parametrize("attempts", [6, pytest.param(100, marks=pytest.mark.soak)])
def test_a_process_killed_in_the_middle_of_a_word_loses_nothing_that_was_seen(
    folder: FleetDirectory, attempts: int
) -> None:
    total = 0
    for attempt in range(attempts):
        process = Process(folder.path)
        process.do("publish_for_ever", 400_000)
        wait_until(lambda total=total: folder.snapshot().counters.get("count", 0) > total + 3)  # type: ignore[misc]
        # At another moment of its writing each time.
        time.sleep(0.0007 * (attempt % 12))
        before = folder.snapshot().counters["count"]
        process.signal(signal.SIGKILL)
        after = folder.snapshot().counters["count"]
        assert after >= before >= total
        total = after
        process.close()
    assert len(folder.crashed()) == min(attempts, 20)


def test_who_is_read_in_the_middle_of_a_word_is_seen_with_the_word_before(folder: FleetDirectory) -> None:
    with several(folder.path, 1) as (process,):
        process.do("publish_for_ever", 400_000)
        wait_until(lambda: folder.snapshot().counters.get("count", 0) > 3)
        counts = []
        for _ in range(100):
            (member,) = folder.snapshot().members
            counts.append(member.counters["count"])
        assert counts == sorted(counts)
        assert counts[-1] > counts[0]


FOREIGN = [b"", b"\0" * 50, b"{}", b"00000000 00000000\n", b"zz", b"deadbeef 000000ff\n{", b"\xff\xfe" * 40]


@pytest.mark.parametrize("content", FOREIGN)
def test_a_torn_or_foreign_file_harms_nobody(folder: FleetDirectory, content: bytes) -> None:
    with several(folder.path, 1) as (process,):
        process.do("say", {"count": 2}, {})
        for name in ("torn.state", "1-abc.state", "1-abc.new", "notes.txt"):
            (folder.path / name).write_bytes(content)
        (folder.path / "a folder.state").mkdir()
        seen = folder.snapshot()
        assert [member.key for member in seen.members] == [process.key]
        assert seen.counters == {"count": 2}
        assert process.do("read_sums", 20)[-1] == 2


@pytest.mark.parametrize(
    "content", ["", "[]", "null", "3", '{"format":2}', '{"format":0}', "{", '{"format":2,"keys":5}']
)
def test_a_torn_or_foreign_sum_of_the_gone_begins_anew(folder: FleetDirectory, content: str) -> None:
    with several(folder.path, 2) as (process, other):
        other.do("say", {"count": 2}, {})
        (folder.path / "exited.json").write_text(content)
        process.signal(signal.SIGKILL)
        assert folder.snapshot().counters == {"count": 2}
        assert [death["pid"] for death in folder.crashed()] == [process.pid]


def test_who_may_read_and_not_write_still_sees_all(folder: FleetDirectory) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    with several(folder.path, 2) as (process, other):
        process.do("say", {"count": 1}, {})
        folder.path.chmod(0o500)
        other.signal(signal.SIGKILL)
        assert [member.key for member in folder.snapshot().members] == [process.key]
        folder.path.chmod(0o700)


def test_a_folder_that_cannot_be_made_is_an_error_for_who_joins_and_none_for_who_looks(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    folder = FleetDirectory(tmp_path / "file" / "fleet")
    with pytest.raises(OSError, match="file"):
        folder.register({})
    assert not folder.snapshot().members


def test_what_a_burial_was_killed_in_the_middle_of_is_counted_once(folder: FleetDirectory) -> None:
    with several(folder.path, 2) as (process, _):
        process.do("say", {"count": 5}, {})
        state = folder.path / f"{process.key}.state"
        content = state.read_bytes()
        process.signal(signal.SIGKILL)
        assert folder.snapshot().counters == {"count": 5}
        assert not state.exists()
        # As if the process that added it up had been killed before it could remove the file.
        state.write_bytes(content)
        assert folder.snapshot().counters == {"count": 5}
        assert len(folder.snapshot().members) == 1


def test_a_full_disk_is_an_error_for_who_speaks_and_harms_nobody_else(folder: FleetDirectory) -> None:
    program = (
        "import resource, sys, time; from pathlib import Path; from poolproof.fleet.registry import FleetDirectory\n"
        "registration = FleetDirectory(Path(sys.argv[1])).register({'name': 'small'})\n"
        "registration.publish({'count': 1}, {})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))\n"
        "try: registration.publish({'count': 2}, {'much': 'x' * 10000})\n"
        "except OSError: print('full', flush=True)\n"
        "time.sleep(20)"
    )
    command = [sys.executable, "-c", program, str(folder.path)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as other:
        assert not_none(other.stdout).readline() == b"full\n"
        assert folder.snapshot().counters == {"count": 1}
        other.kill()
    assert folder.snapshot().counters == {"count": 1}


def test_sums_of_seconds_do_not_depend_on_who_is_added_first() -> None:
    seconds = [0.1, 0.2, 0.3, 1e-6, 7.7, 12345.678]
    trees = {total: json.loads(json.dumps(stats.histogram_to_dict(Histogram(total=total)))) for total in seconds}
    # A reader of metrics takes the last digit less for a counter that began anew.
    (summed,) = {
        functools.reduce(add_trees, (trees[total] for total in order))["total"]
        for order in itertools.permutations(seconds)
    }
    assert summed == pytest.approx(sum(seconds), abs=1e-5)


def test_a_state_that_is_too_large_leaves_out_what_is_largest_and_disturbs_nothing(folder: FleetDirectory) -> None:
    member = folder.register({"name": "worker"})
    counter = RequestCounter(member.path)
    counter.publish(7)
    large = {
        "holders": ["x" * 100] * 40_000,
        "lanes": {"interactive": 1},
        "by route": dict.fromkeys(map(str, range(9)), 0),
    }
    for count in range(3):
        member.publish({"count": count}, large)
        (seen,) = folder.snapshot().members
        assert seen.counters == {"count": count}
        assert seen.status == {**large, "holders": []}
        assert requests_served(folder) == 7
    member.unregister({"count": 3})


def test_counters_that_are_too_large_are_refused_and_those_before_remain(folder: FleetDirectory) -> None:
    member = folder.register({"name": "worker"})
    member.publish({"count": 1}, {})
    with pytest.raises(OSError, match="too large"):
        member.publish({"count" * 10: "x" * MAX_STATE_SIZE}, {})
    (seen,) = folder.snapshot().members
    assert seen.counters == {"count": 1}
    member.unregister({"count": 2})
