"""The driver and its requests file."""

from evd.core.wire.messages import RequestStatus
from tests.unit.driver.scene import Scene, accepted, completed, sent, update


def test_the_file_goes_on_after_each_end_and_the_interval() -> None:
    """Proves: line after line, `any` without a cp_id, the interval between end and next start."""
    scene = Scene("CP-001\n# lunch\n\nany\n")
    scene.beacon()
    [first] = sent(scene.tick())
    assert first.cp_id == "CP-001"
    scene.tell(accepted(first.request_id))
    assert {m.request_id for m in sent(scene.tick(20.0))} == {first.request_id}
    scene.tell(completed(first.request_id))
    assert not sent(scene.tick(3.75))
    [second] = sent(scene.tick(0.25))
    assert second.cp_id is None
    scene.tell(update(second.request_id, RequestStatus.DENIED, "none is available"))
    assert not sent(scene.tick(60.0))


def test_the_file_is_taken_up_where_it_was_and_a_changed_one_anew() -> None:
    """Proves: the place in the file survives a restart; another content begins at its start."""
    scene = Scene("CP-001\nCP-002\n")
    scene.beacon()
    [first] = sent(scene.tick())
    scene.restart()
    scene.beacon()
    assert {m.request_id for m in sent(scene.tick(2.0))} == {first.request_id}
    scene.tell(completed(first.request_id))
    scene.tick()
    same = Scene("CP-001\nCP-002\n", scene.disk)
    same.beacon()
    assert not sent(same.tick(3.75))
    assert [m.cp_id for m in sent(same.tick(0.25))] == ["CP-002"]
    changed = Scene("CP-007\n", scene.disk, digest="b")
    changed.beacon()
    assert [m.cp_id for m in sent(changed.tick())] == ["CP-007"]


def test_a_file_that_repeats_begins_anew_at_its_end() -> None:
    """Proves: where the operator wants it a driver never runs out of requests: its first line
    follows its last, after the usual interval, also where the file had ended before."""
    ended = Scene("CP-001\nCP-002\n")
    ended.beacon()
    for cp_id in ("CP-001", "CP-002"):
        asked = sent(ended.tick(4.25))[0]
        assert asked.cp_id == cp_id
        ended.tell(update(asked.request_id, RequestStatus.DENIED, "x"))
    assert not sent(ended.tick(60.0))
    again = Scene("CP-001\nCP-002\n", ended.disk, repeats=True)
    again.made = ended.made
    again.beacon()
    for cp_id in ("CP-001", "CP-002", "CP-001"):
        asked = sent(again.tick(4.25))[0]
        assert asked.cp_id == cp_id
        again.tell(update(asked.request_id, RequestStatus.DENIED, "x"))
