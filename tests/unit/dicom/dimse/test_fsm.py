"""The state machine against PS3.8 Table 9-10: every legal pair, and every blank one."""

from __future__ import annotations

import pytest
from pynetdicom import fsm as peer

from wardlight.dicom.dimse.fsm import ACTIONS, TRANSITIONS, Event, IllegalTransition, State, Timer, transition

# The table row by row as the standard prints it: event, then its cell in states 1 to 13; "-" is blank.
TABLE = """
1  AE-1 -    -    -    -    -    -    -    -    -     -    -    -
2  -    -    -    AE-2 -    -    -    -    -    -     -    -    -
3  -    AA-1 AA-8 -    AE-3 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
4  -    AA-1 AA-8 -    AE-4 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
5  AE-5 -    -    -    -    -    -    -    -    -     -    -    -
6  -    AE-6 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
7  -    -    AE-7 -    -    -    -    -    -    -     -    -    -
8  -    -    AE-8 -    -    -    -    -    -    -     -    -    -
9  -    -    -    -    -    DT-1 -    AR-7 -    -     -    -    -
10 -    AA-1 AA-8 -    AA-8 DT-2 AR-6 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
11 -    -    -    -    -    AR-1 -    -    -    -     -    -    -
12 -    AA-1 AA-8 -    AA-8 AR-2 AR-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
13 -    AA-1 AA-8 -    AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3 AA-8 AA-6
14 -    -    -    -    -    -    -    AR-4 AR-9 -     -    AR-4 -
15 -    -    AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1  AA-1 AA-1 -
16 -    AA-2 AA-3 -    AA-3 AA-3 AA-3 AA-3 AA-3 AA-3  AA-3 AA-3 AA-2
17 -    AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4  AA-4 AA-4 AR-5
18 -    AA-2 -    -    -    -    -    -    -    -     -    -    AA-2
19 -    AA-1 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
"""
CELLS = {
    (State(state), Event(int(row.split()[0]))): cell
    for row in TABLE.strip().splitlines()
    for state, cell in enumerate(row.split()[1:], 1)
}


def test_the_table_is_complete() -> None:
    assert len(CELLS) == len(State) * len(Event) == 247


@pytest.mark.parametrize(("pair", "name"), [item for item in CELLS.items() if item[1] != "-"])
def test_legal_pair(pair: tuple[State, Event], name: str) -> None:
    assert transition(*pair).name == TRANSITIONS[pair].name == name


@pytest.mark.parametrize("pair", [pair for pair, cell in CELLS.items() if cell == "-"])
def test_illegal_pair(pair: tuple[State, Event]) -> None:
    assert pair not in TRANSITIONS
    with pytest.raises(IllegalTransition):
        transition(*pair)


def test_same_as_pynetdicom() -> None:
    """An implementation by others that reads the same table."""
    theirs = {
        (int(state[3:]), int(event[3:])): name for (event, state), name in peer.TRANSITION_TABLE.items()
    }
    assert theirs == {(int(state), int(event)): action.name for (state, event), action in TRANSITIONS.items()}


@pytest.mark.parametrize("name", list(ACTIONS))
def test_next_states_are_those_of_pynetdicom(name: str) -> None:
    theirs = peer.ACTIONS[name][2]
    numbers = {int(state[3:]) for state in ([theirs] if isinstance(theirs, str) else theirs)}
    assert {int(state) for state in ACTIONS[name].next} == numbers


def test_timer_and_close() -> None:
    """The words of Tables 9-6 to 9-9 say which actions start or stop ARTIM, and which close the connection."""
    for action in ACTIONS.values():
        text = action.text.lower()
        assert action.close == text.endswith("close") or action.name == "AE-4"
        if action.name != "AE-6":
            assert (action.timer is Timer.START) == ("start" in text and "artim" in text)
        assert (action.timer is Timer.STOP) == text.startswith("stop artim")
        # ARTIM runs in the states that only the peer or the timer can end, and in no other.
        if action.timer is Timer.START:
            assert action.next[0] in (State.AWAITING_ASSOCIATE_RQ, State.AWAITING_CLOSE)
