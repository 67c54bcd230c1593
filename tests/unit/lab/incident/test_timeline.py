"""A push's course is what its tries say, four times a second."""

from __future__ import annotations

from webapp.lab.incident.timeline import build_timeline, error_kind, errors_by_kind
from webapp.lab.loadgen.player import CUT_OFF, RequestSample


def sample(sent_at: float, ended_at: float, result: str = "200") -> RequestSample:
    return RequestSample("open", ended_at - sent_at, result, is_final=True, sent_at=sent_at, ended_at=ended_at)


SAMPLES = [sample(0.1, 0.3), sample(0.2, 1.0), sample(0.2, 0.9, "500"), sample(0.9, 2.0, CUT_OFF)]


def test_who_waits_has_asked_and_is_not_answered() -> None:
    assert [point.waiting for point in build_timeline(SAMPLES, [], 2.0)] == [0, 3, 2, 2, 1, 1, 1, 1, 0, 0]


def test_errors_are_counted_by_kind_and_never_fewer() -> None:
    timeline = build_timeline(SAMPLES, [], 2.0)
    assert [point.error_count for point in timeline] == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert timeline[-1].errors == {"500, an error of the service": 1, "still waiting at the end": 1}
    assert errors_by_kind([*SAMPLES, SAMPLES[2]]) == {"500, an error of the service": 2, "still waiting at the end": 1}


def test_the_throughput_is_of_the_last_second_and_of_what_went_well() -> None:
    assert [point.response_rate for point in build_timeline(SAMPLES, [], 1.0)] == [0, 0, 1, 1, 2, 2]


def test_connections_are_those_of_the_last_look() -> None:
    timeline = build_timeline(SAMPLES, [(0.2, 3), (0.6, 5)], 0.75)
    assert [point.connections for point in timeline] == [None, 3, 3, 5, 5]


def test_an_error_that_nobody_has_words_for_keeps_its_name() -> None:
    assert error_kind(sample(0, 1, "418")) == "418"
    assert error_kind(sample(0, 1, "201")) is None


def test_of_nothing_there_is_a_course_too() -> None:
    assert [point.waiting for point in build_timeline([], [], 0.0)] == [0, 0]
