"""The upper layer state machine of PS3.8 section 9.2 as a table: states, events, actions (Tables 9-1 to 9-10)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple


class State(IntEnum):
    """States of PS3.8 Tables 9-1 to 9-5. The number is that of the standard."""

    IDLE = 1
    AWAITING_ASSOCIATE_RQ = 2
    AWAITING_ASSOCIATE_RESPONSE = 3
    AWAITING_TRANSPORT = 4
    AWAITING_ASSOCIATE_AC = 5
    ESTABLISHED = 6
    AWAITING_RELEASE_RP = 7
    AWAITING_RELEASE_RESPONSE = 8
    COLLISION_REQUESTOR_RESPONSE = 9
    COLLISION_ACCEPTOR_RP = 10
    COLLISION_REQUESTOR_RP = 11
    COLLISION_ACCEPTOR_RESPONSE = 12
    AWAITING_CLOSE = 13


class Event(IntEnum):
    """Events, the rows of PS3.8 Table 9-10. The number is that of the standard."""

    ASSOCIATE_REQUEST = 1
    TRANSPORT_CONFIRMED = 2
    ASSOCIATE_AC_RECEIVED = 3
    ASSOCIATE_RJ_RECEIVED = 4
    TRANSPORT_INDICATED = 5
    ASSOCIATE_RQ_RECEIVED = 6
    ASSOCIATE_ACCEPT = 7
    ASSOCIATE_REJECT = 8
    DATA_REQUEST = 9
    DATA_RECEIVED = 10
    RELEASE_REQUEST = 11
    RELEASE_RQ_RECEIVED = 12
    RELEASE_RP_RECEIVED = 13
    RELEASE_RESPONSE = 14
    ABORT_REQUEST = 15
    ABORT_RECEIVED = 16
    TRANSPORT_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


class Timer(StrEnum):
    """What an action does to the ARTIM timer."""

    KEEP = "keep"
    START = "start"
    STOP = "stop"


class Action(NamedTuple):
    """One action of PS3.8 Tables 9-6 to 9-9.

    next: the state after it; where the standard names two, the first holds unless the caller says otherwise
    (AE-6: the request is not acceptable to the service provider; AR-8: this side accepted the association).
    """

    name: str
    text: str
    next: tuple[State, ...]
    timer: Timer = Timer.KEEP
    close: bool = False


class IllegalTransition(ValueError):
    """The table has no action for this event in this state."""


_S = State
_ACTIONS: Final = (
    # PS3.8 Table 9-6, association establishment.
    Action("AE-1", "Issue TRANSPORT CONNECT request", (_S.AWAITING_TRANSPORT,)),
    Action("AE-2", "Send A-ASSOCIATE-RQ", (_S.AWAITING_ASSOCIATE_AC,)),
    Action("AE-3", "Issue A-ASSOCIATE confirmation (accept)", (_S.ESTABLISHED,)),
    Action("AE-4", "Issue A-ASSOCIATE confirmation (reject), close", (_S.IDLE,), close=True),
    Action("AE-5", "Issue transport response, start ARTIM", (_S.AWAITING_ASSOCIATE_RQ,), Timer.START),
    Action(
        "AE-6",
        "Stop ARTIM; acceptable: A-ASSOCIATE indication, else send A-ASSOCIATE-RJ and start ARTIM",
        (_S.AWAITING_ASSOCIATE_RESPONSE, _S.AWAITING_CLOSE),
        Timer.STOP,
    ),
    Action("AE-7", "Send A-ASSOCIATE-AC", (_S.ESTABLISHED,)),
    Action("AE-8", "Send A-ASSOCIATE-RJ, start ARTIM", (_S.AWAITING_CLOSE,), Timer.START),
    # PS3.8 Table 9-7, data transfer.
    Action("DT-1", "Send P-DATA-TF", (_S.ESTABLISHED,)),
    Action("DT-2", "Issue P-DATA indication", (_S.ESTABLISHED,)),
    # PS3.8 Table 9-8, association release.
    Action("AR-1", "Send A-RELEASE-RQ", (_S.AWAITING_RELEASE_RP,)),
    Action("AR-2", "Issue A-RELEASE indication", (_S.AWAITING_RELEASE_RESPONSE,)),
    Action("AR-3", "Issue A-RELEASE confirmation, close", (_S.IDLE,), close=True),
    Action("AR-4", "Send A-RELEASE-RP, start ARTIM", (_S.AWAITING_CLOSE,), Timer.START),
    Action("AR-5", "Stop ARTIM", (_S.IDLE,), Timer.STOP),
    Action("AR-6", "Issue P-DATA indication", (_S.AWAITING_RELEASE_RP,)),
    Action("AR-7", "Send P-DATA-TF", (_S.AWAITING_RELEASE_RESPONSE,)),
    Action("AR-8", "Issue A-RELEASE indication", (_S.COLLISION_REQUESTOR_RESPONSE, _S.COLLISION_ACCEPTOR_RP)),
    Action("AR-9", "Send A-RELEASE-RP", (_S.COLLISION_REQUESTOR_RP,)),
    Action("AR-10", "Issue A-RELEASE confirmation", (_S.COLLISION_ACCEPTOR_RESPONSE,)),
    # PS3.8 Table 9-9, association abort.
    Action("AA-1", "Send A-ABORT (service user), (re)start ARTIM", (_S.AWAITING_CLOSE,), Timer.START),
    Action("AA-2", "Stop ARTIM, close", (_S.IDLE,), Timer.STOP, close=True),
    Action("AA-3", "Issue A-ABORT or A-P-ABORT indication, close", (_S.IDLE,), close=True),
    Action("AA-4", "Issue A-P-ABORT indication", (_S.IDLE,)),
    Action("AA-5", "Stop ARTIM", (_S.IDLE,), Timer.STOP),
    Action("AA-6", "Ignore the PDU", (_S.AWAITING_CLOSE,)),
    Action("AA-7", "Send A-ABORT", (_S.AWAITING_CLOSE,)),
    Action(
        "AA-8",
        "Send A-ABORT (service provider), issue A-P-ABORT indication, start ARTIM",
        (_S.AWAITING_CLOSE,),
        Timer.START,
    ),
)
ACTIONS: Final[Mapping[str, Action]] = {action.name: action for action in _ACTIONS}

# PS3.8 Table 9-10: event → {state number: action}. `_WIRE` is the part of a row that all PDUs share when they come
# where they do not belong: in the states in which an association exists, the provider aborts it.
_WIRE: Final = {3: "AA-8", **{number: "AA-8" for number in range(5, 13)}}
_ROWS: Final[Mapping[Event, Mapping[int, str]]] = {
    Event.ASSOCIATE_REQUEST: {1: "AE-1"},
    Event.TRANSPORT_CONFIRMED: {4: "AE-2"},
    Event.ASSOCIATE_AC_RECEIVED: {**_WIRE, 2: "AA-1", 5: "AE-3", 13: "AA-6"},
    Event.ASSOCIATE_RJ_RECEIVED: {**_WIRE, 2: "AA-1", 5: "AE-4", 13: "AA-6"},
    Event.TRANSPORT_INDICATED: {1: "AE-5"},
    Event.ASSOCIATE_RQ_RECEIVED: {**_WIRE, 2: "AE-6", 13: "AA-7"},
    Event.ASSOCIATE_ACCEPT: {3: "AE-7"},
    Event.ASSOCIATE_REJECT: {3: "AE-8"},
    Event.DATA_REQUEST: {6: "DT-1", 8: "AR-7"},
    Event.DATA_RECEIVED: {**_WIRE, 2: "AA-1", 6: "DT-2", 7: "AR-6", 13: "AA-6"},
    Event.RELEASE_REQUEST: {6: "AR-1"},
    Event.RELEASE_RQ_RECEIVED: {**_WIRE, 2: "AA-1", 6: "AR-2", 7: "AR-8", 13: "AA-6"},
    Event.RELEASE_RP_RECEIVED: {**_WIRE, 2: "AA-1", 7: "AR-3", 10: "AR-10", 11: "AR-3", 13: "AA-6"},
    Event.RELEASE_RESPONSE: {8: "AR-4", 9: "AR-9", 12: "AR-4"},
    Event.ABORT_REQUEST: {3: "AA-1", 4: "AA-2", **{number: "AA-1" for number in range(5, 13)}},
    Event.ABORT_RECEIVED: {2: "AA-2", 3: "AA-3", **{number: "AA-3" for number in range(5, 13)}, 13: "AA-2"},
    Event.TRANSPORT_CLOSED: {2: "AA-5", **{number: "AA-4" for number in range(3, 13)}, 13: "AR-5"},
    Event.ARTIM_EXPIRED: {2: "AA-2", 13: "AA-2"},
    Event.INVALID_PDU: {**_WIRE, 2: "AA-1", 13: "AA-7"},
}
TRANSITIONS: Final[Mapping[tuple[State, Event], Action]] = {
    (State(number), event): ACTIONS[name] for event, row in _ROWS.items() for number, name in row.items()
}


# The same table by number: two indexings cost less than hashing two enum members, and P-DATA asks for each PDU.
_GRID: Final = tuple(
    tuple(
        TRANSITIONS.get((State(number), Event(event))) if number and event else None
        for event in range(len(Event) + 1)
    )
    for number in range(len(State) + 1)
)


def transition(state: State, event: Event) -> Action:
    """The action of PS3.8 Table 9-10. Raises IllegalTransition where the table is blank."""
    action = _GRID[state][event]
    if action is None:
        raise IllegalTransition(f"{event.name} in state {int(state)}")
    return action
