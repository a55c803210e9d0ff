"""What the owner is told for each reason: plain words and a way on. Reasons are stable; the words may change."""

# ruff: noqa: RUF001 - these are texts for people, set with typographic apostrophes

from dataclasses import dataclass, replace

from mailsync.errors import MailsyncError, Misconfigured, RetryLater, TokenRefused
from mailsync.reasons import Reason


@dataclass(frozen=True, slots=True)
class Refusal:
    """A page: HTTP status, heading, what happened, what to do. `again` shows the button that starts afresh.

    `approval` shows the link for an administrator, `technical` the error's own sentence, for an IT department.
    """

    status: int
    title: str
    happened: str
    remedy: str
    again: bool = True
    approval: bool = False
    technical: bool = False


_START_AGAIN = "Start again, and finish in the same browser within ten minutes."
_ASK = "ask whoever sent you the link, and give them what stands below."
_ADMINISTRATOR = "An administrator with the right to grant consent for the whole organization"
_UNTRUSTED = Refusal(
    400,
    "Microsoft’s answer could not be trusted",
    "It did not pass our checks, so nothing was connected.",
    f"Start again. If it happens again: {_ASK}",
    technical=True,
)

_OTHER = Refusal(
    400,
    "Microsoft refused the sign-in",
    "The inbox was not connected, and nothing was stored.",
    f"Start again. If it happens again: {_ASK}",
    technical=True,
)

REFUSALS: dict[Reason, Refusal] = {
    Reason.BAD_ANSWER: Refusal(
        400,
        "This is not an answer from Microsoft",
        "The page was called in a way that Microsoft’s sign-in never does.",
        "Start again from the link you were given.",
    ),
    Reason.WRONG_SITE: Refusal(
        403,
        "Start from our own page",
        "Another site tried to start the sign-in for you, so it was stopped.",
        "If you do want to connect your inbox, start here.",
    ),
    Reason.SIGN_IN_UNKNOWN: Refusal(
        400,
        "This sign-in is not open",
        "It was finished before, or was never begun here. That happens when a page is reloaded or an old tab is used.",
        "If you have already seen the page that says your inbox is connected, all is well. Otherwise start again.",
    ),
    Reason.SIGN_IN_EXPIRED: Refusal(
        400, "The sign-in took too long", "More than ten minutes passed, so it was closed for safety.", _START_AGAIN
    ),
    Reason.WRONG_BROWSER: Refusal(
        400,
        "This browser did not begin the sign-in",
        "The sign-in began in another browser or window, or this browser blocks or has lost our cookie.",
        "Start again and stay in one browser. If it happens again, allow cookies for this site.",
    ),
    Reason.BAD_ID_TOKEN: _UNTRUSTED,
    Reason.IDENTITY_MISMATCH: _UNTRUSTED,
    Reason.PERSONAL_ACCOUNT: Refusal(
        403,
        "That is a personal Microsoft account",
        "Only inboxes of a work or school account (Microsoft 365) can be connected.",
        "Start again and choose the account of your marketing inbox.",
    ),
    Reason.WRONG_ORGANIZATION: Refusal(
        403,
        "That account belongs to another organization",
        "This app serves inboxes of one organization only, and the account is not part of it.",
        "Start again and choose the account of your marketing inbox.",
    ),
    Reason.MISSING_PERMISSION: Refusal(
        403,
        "A permission is missing",
        "Microsoft did not grant everything that is needed to read the inbox, so nothing was connected.",
        "Start again and accept all of the permissions. If Microsoft does not offer them, your administrator has"
        " limited them: the page below lets them approve the app.",
        approval=True,
        technical=True,
    ),
    Reason.NO_REFRESH_TOKEN: Refusal(
        403,
        "Lasting access was not granted",
        "Microsoft let us read the inbox just once, which is of no use for keeping it up to date.",
        "Start again and accept all of the permissions, including the one to keep access.",
        technical=True,
    ),
    Reason.APP_NOT_IN_TENANT: Refusal(
        403,
        "Your organization does not have the app",
        "Microsoft says that the app was removed or disabled in your organization, so nothing was connected.",
        "Ask your Microsoft 365 administrator to approve it: the page below leads them there. Then start again.",
        approval=True,
        technical=True,
    ),
    Reason.GUEST_ACCOUNT: Refusal(
        403,
        "You signed in as a guest",
        "A guest’s account has no inbox in the organization that it visits.",
        "Start again and sign in with the account in the organization to which the inbox belongs.",
    ),
    Reason.NO_ACCOUNT: Refusal(
        403,
        "We do not expect this inbox",
        "No account here lists the address you signed in with. We have thrown away the access that Microsoft gave us.",
        "Check that you chose the account of the marketing inbox and not your own. If you did, ask whoever"
        " sent you the link to add its address (the user name it signs in with) to your account.",
    ),
    Reason.WRONG_TENANT: Refusal(
        403,
        "That organization is not the one we know",
        "Inboxes of this domain are connected from another Microsoft 365 organization. We have thrown away the"
        " access that Microsoft gave us.",
        f"If your organization has moved: {_ASK}",
        again=False,
    ),
    Reason.WRONG_USER: Refusal(
        403,
        "That address was connected by another user",
        "It belongs to a Microsoft 365 user whom we know, and you signed in as another with the same address. We have"
        " thrown away the access that Microsoft gave us.",
        f"If the inbox was made anew, or its address was given to you: {_ASK}",
        again=False,
    ),
    Reason.ODD_ADDRESS: Refusal(
        403,
        "We cannot read that user name",
        "The user name that Microsoft gave us has a domain in other letters than Microsoft 365 allows. We have thrown"
        " away the access that Microsoft gave us.",
        f"Start again with the account of the marketing inbox. If it happens again: {_ASK}",
    ),
    Reason.OTHER_ACCOUNT: Refusal(
        409,
        "This inbox is connected elsewhere",
        "It already belongs to another account, and is never moved without notice. Its connection is as it was.",
        f"If it should move: {_ASK}",
        again=False,
    ),
    # Microsoft's answer is the same after "Cancel" and after its page "Need admin approval".
    Reason.CONSENT_DECLINED: Refusal(
        400,
        "Consent was not given",
        "Either the request was declined on Microsoft’s page, or that page said that an administrator has to approve"
        " the app first. Nothing was connected and nothing was stored.",
        "If Microsoft asked for an administrator’s approval, send the page below to your Microsoft 365 administrator,"
        " and start again once they have approved. If you declined and did not mean to, start again and choose Accept.",
        approval=True,
        technical=True,
    ),
    Reason.CODE_EXPIRED: Refusal(
        400,
        "The sign-in has run out",
        "Microsoft’s answer came too late or had been used already, so nothing was connected.",
        _START_AGAIN,
        technical=True,
    ),
    # An answer that is not known here: an approval may be what is missing.
    Reason.SIGN_IN_FAILED: replace(
        _OTHER,
        remedy="If Microsoft asked for an administrator’s approval, send the page below to your Microsoft 365"
        f" administrator. Otherwise start again. If it happens again: {_ASK}",
        approval=True,
    ),
    Reason.MAILBOX_NOT_ENABLED: Refusal(
        403,
        "That account has no inbox",
        "It can sign in, but no Exchange Online mailbox belongs to it, or its licence for one has lapsed.",
        "Start again with the account of the marketing inbox, or ask your administrator to give this one a mailbox"
        " with a valid licence.",
    ),
    Reason.ACCESS_DENIED: Refusal(
        403,
        "Microsoft does not let us read the inbox",
        "The sign-in worked, but access was refused right after it. Nothing was connected.",
        f"Start again. If it happens again: {_ASK}",
        technical=True,
    ),
    Reason.ADMIN_APPROVAL_REQUIRED: Refusal(
        403,
        "Your administrator has to approve the app first",
        "Your organization does not let people give these permissions themselves. Nothing was connected.",
        "Send the page below to your Microsoft 365 administrator. Once they have approved, start again.",
        approval=True,
        technical=True,
    ),
    Reason.CONDITIONAL_ACCESS: Refusal(
        403,
        "Your organization’s rules stopped the sign-in",
        "A conditional access policy did not allow it, for example because of this device, network or country.",
        "Try a managed device on your organization’s network. Otherwise give your IT department what stands"
        " below: the sign-in log in Microsoft Entra shows which policy it was.",
        technical=True,
    ),
    Reason.ADMIN_DECLINED: Refusal(
        400,
        "The app was not approved",
        "The approval was cancelled on Microsoft’s page, or did not succeed there. Nothing has changed.",
        f"{_ADMINISTRATOR} can try again from the page below.",
        again=False,
        approval=True,
    ),
}

UNCHECKED_DECLINE = Refusal(
    400,
    "If the app was not approved, it still can be",
    "Microsoft sends administrators here who declined to approve the app for their organization, or whose approval"
    " did not succeed. This page cannot check which.",
    f"{_ADMINISTRATOR} can try again from the page below.",
    again=False,
    approval=True,
)
"""For an answer to an administrator that belongs to no request of this browser. Anybody can call it up: no fact."""

_BUSY = Refusal(
    503,
    "Please try again in a moment",
    "A service that we depend on is busy or out of reach. Nothing is wrong with your inbox.",
    "Wait a minute, then start again.",
)
_OURS = Refusal(
    500,
    "This is our mistake",
    "The connector is not set up correctly. There is nothing that you did wrong, and nothing that you could set right.",
    "Please tell whoever sent you the link, with what stands below, and try again later.",
)
UNEXPECTED = Refusal(
    500,
    "Something went wrong on our side",
    "An unexpected fault stopped the connection. It has been recorded.",
    "Start again in a few minutes. If it happens again, give whoever sent you the link what stands below.",
)
"""For what no MailsyncError describes."""


def refusal_for(error: MailsyncError) -> Refusal:
    """The page for an error: by what must be done, then by its reason."""
    if isinstance(error, RetryLater | TokenRefused):
        return _BUSY
    if isinstance(error, Misconfigured):
        return _OURS
    return REFUSALS.get(error.reason, _OTHER)
