"""A restarted server is told from a lost connection, by ids or by the moment at which it began."""

from __future__ import annotations

from poolproof.health.server_restart import ServerRestartDetector


def test_a_lower_id_after_a_loss_means_a_restarted_server() -> None:
    detector = ServerRestartDetector()
    assert not detector.record_connect(100, started_at=1.0, connected_at=1.1)
    assert not detector.record_connect(7, started_at=2.0, connected_at=2.1), "none was lost: another server, perhaps"
    detector.connection_lost = True
    assert detector.record_connect(8, started_at=3.0, connected_at=3.1)
    assert not detector.record_connect(9, started_at=4.0, connected_at=4.1)


def test_connects_that_overlap_may_come_in_any_order() -> None:
    detector = ServerRestartDetector(connection_lost=True)
    detector.record_connect(101, started_at=1.0, connected_at=1.5)
    assert not detector.record_connect(100, started_at=1.1, connected_at=1.6)


def test_a_later_start_after_a_loss_means_a_restarted_server() -> None:
    detector = ServerRestartDetector()
    assert not detector.record_server_start(100.0)
    assert not detector.record_server_start(200.0), "none was lost: another server, perhaps"
    detector.connection_lost = True
    assert not detector.record_server_start(200.0), "a single connection was lost"
    assert detector.record_server_start(300.0)
    assert not detector.record_server_start(400.0)


def test_a_child_of_fork_gets_a_lock_of_its_own() -> None:
    detector = ServerRestartDetector()
    before = detector._lock
    detector.reset_after_fork()
    assert detector._lock is not before
