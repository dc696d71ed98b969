"""Events that are told as a whole."""

from parley.core.events import CallDelta, CallStarted, Delta, FinishReason, ScoredToken, SequenceFinished, joined


def test_deltas_that_follow_each_other_in_their_sequence_become_one():
    end = SequenceFinished(1, FinishReason.STOP)
    told = [Delta(0, "a", 1), Delta(1, "x", 1), Delta(0, "", 1), Delta(1, "y", 2), end, Delta(0, "b", 1)]
    assert joined(told) == [Delta(1, "xy", 3), end, Delta(0, "ab", 3)]


def test_text_stays_on_its_side_of_a_call():
    call = [CallStarted(0, 0, "call_1", "look"), CallDelta(0, 0, "{}")]
    told = [Delta(0, "a", 1), Delta(0, "b", 1), *call, Delta(0, "c", 1)]
    assert joined(told) == [Delta(0, "ab", 2), *call, Delta(0, "c", 1)]


def test_scores_stay_with_their_text():
    scored = [Delta(0, text, 1, (ScoredToken(7, text.encode(), -0.5),)) for text in "ab"]
    assert joined([Delta(0, "", 1), *scored, Delta(0, "c", 1)]) == [Delta(0, "", 1), *scored, Delta(0, "c", 1)]
