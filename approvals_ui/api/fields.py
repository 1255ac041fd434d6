"""The fields that requests and answers of the API are made of: each with its form, its bounds and an example."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

LONGEST_ID: Final = 500
LONGEST_REASON: Final = 500
LONGEST_COMMENT: Final = 20_000
LARGEST: Final = 2**31 - 1
LAST: Final = 2**63 - 1
ID_TAIL: Final = "01kajx5q9b2m8v0d7t3y"
SPAN: Final = r"^\s*[0-9]+(\.[0-9]+)? ?(ms|s|m|h|d|w)( ?[0-9]+(\.[0-9]+)? ?(ms|s|m|h|d|w))*\s*$"
AT: Final = "2026-11-23T09:00:00Z"


class Asked(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a request says. A field that is none is refused, with the name that was probably meant."""


class Told(Struct, kw_only=True):
    """What an answer says. Fields may be added to it in later releases; let what you do not know pass."""


def id_of(kind: str, what: str) -> Meta:
    """The form of an id of ours."""
    example = f"{kind}_{ID_TAIL}"
    return Meta(pattern=rf"^{kind}_[0-9A-Za-z_.:-]{{1,200}}$", examples=[example], description=f"The id of {what}.")


RunId = Annotated[str, id_of("run", "a run")]
ApprovalId = Annotated[str, id_of("apr", "an approval")]
StandingId = Annotated[str, id_of("sta", "a standing approval")]
DeliveryId = Annotated[str, id_of("dlv", "a delivery")]
SubscriptionId = Annotated[str, id_of("sub", "a subscription")]
DispatchId = Annotated[str, id_of("msg", "a dispatch")]
BackfillId = Annotated[str, id_of("bkf", "a backfill")]
TokenId = Annotated[str, id_of("tok", "an API token; it is no secret")]
CallbackToken = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST_ID,
        examples=["cbt_k3v9…"],
        description="The token that the run was given, or gave away. It is the right to answer: keep it secret.",
    ),
]
DecisionId = Annotated[
    str,
    Meta(min_length=1, max_length=LONGEST_ID, examples=[f"dec_{ID_TAIL}"], description="The id of a decision."),
]
EventId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST_ID,
        examples=["bank-77"],
        description="The id of an event: its sender's, or one of ours.",
    ),
]
ScheduleId = Annotated[
    str, Meta(min_length=1, max_length=LONGEST_ID, examples=["nightly_review"], description="The id of a schedule.")
]
ListenerId = Annotated[
    str, Meta(min_length=1, max_length=LONGEST_ID, examples=["book_invoice:invoice.*"], description="A listener's id.")
]
TaskId = Annotated[
    str, Meta(min_length=1, max_length=LONGEST_ID, examples=["extract_invoice"], description="The id of a task.")
]
QueueName = Annotated[str, Meta(min_length=1, max_length=200, examples=["default"], description="The name of a queue.")]
Key = Annotated[
    str,
    Meta(
        max_length=2000, examples=["extract/ocr#1"], description="An operation's identity in its run: `scope/name#n`."
    ),
]
Who = Annotated[str, Meta(examples=["mia"], description="Whoever did it: the name of a person or of an API token.")]
Reason = Annotated[
    str,
    Meta(max_length=LONGEST_REASON, examples=["the customer withdrew"], description="Why, for whoever reads it later."),
]
Instant = Annotated[
    datetime, Meta(tz=True, examples=[AT], description="An instant (RFC 3339), always with its offset from UTC.")
]
Span = Annotated[
    str,
    Meta(
        max_length=100,
        pattern=SPAN,
        examples=["1h30m"],
        description='A span of time: "500ms", "90s", "1.5h", "1h30m", "3d", "2w". No unit twice, the largest first.',
    ),
]
Seconds = Annotated[float, Meta(ge=0, examples=[1.25], description="Seconds.")]
Count = Annotated[int, Meta(ge=0, le=LAST, examples=[3])]
Seq = Annotated[int, Meta(ge=0, le=LAST, examples=[7], description="The place in an order that counts from 1.")]
Digest = Annotated[str, Meta(examples=["9f86d081884c7d65"], description="A digest of the content.")]
Cursor = Annotated[
    str,
    Meta(
        pattern=r"^-?[0-9]{1,19}(\.[0-9A-Za-z_.:-]{1,200})?$",
        examples=[f"1795424400000000.apr_{ID_TAIL}"],
        description="The `next_cursor` of the page before. Nothing else is one.",
    ),
]
Limit = Annotated[int, Meta(ge=1, le=200, examples=[50], description="How many to give at once.")]
Search = Annotated[str, Meta(min_length=1, max_length=200, examples=["invoice"], description="What to look for.")]
Json = Annotated[Any, Meta(description="Any JSON value.", examples=[{"total": "1250.50"}])]
JsonObject = Annotated[dict[str, Any], Meta(description="A JSON object.", examples=[{"number": 21}])]
Text = Annotated[str, Meta(examples=["Invoice 2026-114"])]

PATH_FIELDS: Final[Mapping[str, Any]] = {
    "run_id": RunId,
    "approval_id": ApprovalId,
    "standing_id": StandingId,
    "task_id": TaskId,
    "event_id": EventId,
    "listener_id": ListenerId,
    "schedule_id": ScheduleId,
    "backfill_id": BackfillId,
    "delivery_id": DeliveryId,
    "subscription_id": SubscriptionId,
    "dispatch_id": DispatchId,
    "token_id": TokenId,
    "name": QueueName,
    "token": CallbackToken,
}
"""What stands in addresses, by the names the routes give it."""
