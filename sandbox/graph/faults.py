"""The faults that can be ordered from Graph. `address` restricts one to a user, `operation` to an operation."""

from sandbox.control.faults import register
from sandbox.control.parameters import number, one_of, whole

OPERATIONS = (
    *("me", "folder", "messages", "message", "delta", "batch"),
    *("subscriptions", "subscription", "reauthorize"),
)
"""The operations of Graph by which a fault can be restricted."""

WHERE = {"address": None, "operation": one_of(*OPERATIONS, nullable=True)}
"""Parameters by which a fault is restricted."""

THROTTLE = register(
    "graph-throttle",
    "Graph answers 429; Retry-After says `seconds`, as a date where `date` is true, not at all where `seconds` is null",
    seconds=whole(10, nullable=True),
    date=False,
    **WHERE,
)
OUTAGE = register(
    "graph-outage",
    "Graph answers 503; Retry-After says `seconds`, or is missing where that is null",
    seconds=whole(None, nullable=True),
    **WHERE,
)
GATEWAY_TIMEOUT = register("graph-gateway-timeout", "Graph answers 504", **WHERE)
SLOW = register("graph-slow", "Graph takes `seconds` before it answers", seconds=number(1.0, most=3_600), **WHERE)
CUT = register("graph-cut", "Graph drops the connection in the middle of its answer", **WHERE)
ACCESS_DENIED = register(
    "access-denied",
    "Graph answers 403 with `code`: ErrorInvalidLicense for a lapsed licence, UnknownError for who knows what",
    code="ErrorAccessDenied",
    **WHERE,
)
UNAUTHORIZED = register("graph-unauthorized", "Graph answers 401 to a token that is good", **WHERE)
GATEWAY_PAGE = register(
    "graph-gateway-page",
    "A gateway before Graph answers `status` with a page in HTML",
    status=whole(403, least=400, most=599),
    **WHERE,
)
NOT_ENABLED = register(
    "mailbox-not-enabled",
    "The user has no mailbox that Graph reaches: `status` with `code` (ResourceNotFound, ErrorInvalidUser and "
    "OrganizationFromTenantGuidNotFound are met too, the last with 401 as well, and 403 ErrorInvalidLicense)",
    status=whole(404, least=400, most=499),
    code="MailboxNotEnabledForRESTAPI",
    **WHERE,
)
MESSAGE_REFUSED = register(
    "graph-message-refused",
    "A message cannot be read by its id, alone or in a batch: `status` with `code`; 200 puts the error under a good "
    "status. `message` is its immutable id; without it each is refused",
    status=whole(500, least=200, most=599),
    code="ErrorContentConversionFailed",
    message=None,
    address=None,
)
PAGE_REFUSED = register(
    "graph-page-refused",
    "A page that holds the message with the immutable id `message` is answered with 500; one with few properties is"
    " well where `narrow` is true",
    message=None,
    narrow=True,
    address=None,
)
OVER_QUOTA = register("mailbox-over-quota", "The mailbox is full: delta answers 403 ErrorQuotaExceeded", address=None)
FOREIGN_LINK = register(
    "foreign-next-link", "Next and delta links name another `host`", host="graph.example.net", address=None
)
DELTA_EXPIRED = register(
    "delta-expired",
    "Delta tokens are no longer known: 410 with `code`, with the Location of a fresh start where `location` is true",
    code="SyncStateNotFound",
    location=True,
    address=None,
)
DELTA_REPLAY = register(
    "delta-replay", "The next delta round repeats the last `changes` changes", changes=whole(50), address=None
)
DELTA_LAG = register("delta-lag", "Delta rounds do not see what is new yet: order it for `count` rounds", address=None)
DELTA_FILTER_REFUSED = register(
    "delta-filter-refused", "Delta refuses every $filter with 400 ErrorInvalidUrlQuery", address=None
)
DELTA_HEADERS = register(
    "delta-headers",
    "Delta returns internetMessageHeaders where selected; else it leaves them out",
    address=None,
)
DELTA_WHOLE = register(
    "delta-whole", "Delta returns updated messages whole; else only what changed of them", address=None
)
DELTA_EMPTY_PAGE = register("delta-empty-page", "Delta answers an empty page with a next link", address=None)
DELTA_CAP = register(
    "delta-cap",
    "A filtered delta query enumerates at most `cap` messages, chosen by `order`: random, newest or oldest",
    cap=whole(5000),
    order=one_of("random", "newest", "oldest", default="random"),
    address=None,
)
