"""The stable codes of what went wrong, grouped as docs/operations.md explains them.

They are shown on pages, in status and in telemetry, and stored, so a member's text never changes. What is read back
may be the text of another version and no member here: records hold reasons as plain texts.
"""

from enum import StrEnum


class Reason(StrEnum):
    """What went wrong. Each stands in the first group that it belongs to; the class of the error says who must act."""

    # Passing; tried again by itself
    GRAPH_THROTTLED = "graph_throttled"
    GRAPH_UNAVAILABLE = "graph_unavailable"
    GRAPH_UNREACHABLE = "graph_unreachable"
    GRAPH_UNAUTHORIZED = "graph_unauthorized"
    ACCESS_DENIED = "access_denied"
    GRAPH_FORBIDDEN = "graph_forbidden"
    WORKER_BUSY = "worker_busy"
    GRAPH_ANSWER_TOO_LARGE = "graph_answer_too_large"
    MESSAGES_UNREAD = "messages_unread"
    DELTA_ENDLESS = "delta_endless"
    HISTORY_SHORT = "history_short"
    FILTER_REFUSED = "filter_refused"
    MAILBOX_FULL = "mailbox_full"
    ENTRA_UNAVAILABLE = "entra_unavailable"
    IDENTITY_UNAVAILABLE = "identity_unavailable"
    KEY_VAULT_THROTTLED = "key_vault_throttled"
    KEY_VAULT_UNAVAILABLE = "key_vault_unavailable"
    KEY_VAULT_BUSY = "key_vault_busy"
    STORAGE_THROTTLED = "storage_throttled"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    SYNC_STATE_LOST = "sync_state_lost"
    SIGNING_KEY_BEING_MADE = "signing_key_being_made"
    SIGNING_KEY_BEING_READ = "signing_key_being_read"
    NOTIFICATIONS_LATE = "notifications_late"
    ROWS_CONTENDED = "rows_contended"
    MAILBOX_CONTENDED = "mailbox_contended"
    MAILBOX_BUSY = "mailbox_busy"
    STALE_WRITE = "stale_write"

    # The owner must connect again
    GRANT_REVOKED = "grant_revoked"
    INTERACTION_REQUIRED = "interaction_required"
    CONSENT_REQUIRED = "consent_required"
    TOKEN_MISSING = "token_missing"  # noqa: S105 - a code, as those below
    TOKEN_UNREADABLE = "token_unreadable"  # noqa: S105

    # The operator must act
    BAD_SETTINGS = "bad_settings"
    INVALID_CLIENT = "invalid_client"
    NO_APP_CREDENTIAL = "no_app_credential"
    BAD_AUTHORITY = "bad_authority"
    BAD_PERMISSIONS = "bad_permissions"
    BAD_REDIRECT_URI = "bad_redirect_uri"
    ENTRA_REFUSED = "entra_refused"
    APP_NOT_IN_TENANT = "app_not_in_tenant"
    KEY_VAULT_FORBIDDEN = "key_vault_forbidden"
    KEY_VAULT_MISSING = "key_vault_missing"
    KEY_VAULT_REFUSED = "key_vault_refused"
    STORAGE_FORBIDDEN = "storage_forbidden"
    STORAGE_MISSING = "storage_missing"
    STORAGE_REFUSED = "storage_refused"
    FOLDER_NOT_FOUND = "folder_not_found"
    MAILBOX_NOT_ENABLED = "mailbox_not_enabled"
    LICENSE_LAPSED = "license_lapsed"
    FOREIGN_LINK = "foreign_link"
    GRAPH_REFUSED = "graph_refused"
    SIGNING_KEY_UNREADABLE = "signing_key_unreadable"
    TOKEN_DISABLED = "token_disabled"  # noqa: S105
    SIGNING_KEY_DISABLED = "signing_key_disabled"
    TOKEN_TOO_LARGE = "token_too_large"  # noqa: S105
    BAD_NOTIFICATIONS = "bad_notifications"
    BAD_HINT = "bad_hint"
    POISONED = "poisoned"
    UNEXPECTED = "unexpected"

    # Push
    SILENT = "silent"
    SIGNING_KEY_DROPPED = "signing_key_dropped"
    HANDSHAKE_FAILED = "handshake_failed"
    SUBSCRIPTION_FORBIDDEN = "subscription_forbidden"
    SUBSCRIPTION_QUOTA = "subscription_quota"
    SUBSCRIPTION_EXISTS = "subscription_exists"
    SUBSCRIPTION_REFUSED = "subscription_refused"
    SUBSCRIPTION_TOO_LONG = "subscription_too_long"
    SUBSCRIPTION_GONE = "subscription_gone"

    # At the connect pages
    CONSENT_DECLINED = "consent_declined"
    ADMIN_DECLINED = "admin_declined"
    ADMIN_APPROVAL_REQUIRED = "admin_approval_required"
    CONDITIONAL_ACCESS = "conditional_access"
    CODE_EXPIRED = "code_expired"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_IN_EXPIRED = "sign_in_expired"
    SIGN_IN_UNKNOWN = "sign_in_unknown"
    WRONG_BROWSER = "wrong_browser"
    WRONG_SITE = "wrong_site"
    BAD_ANSWER = "bad_answer"
    BAD_ID_TOKEN = "bad_id_token"  # noqa: S105
    MISSING_PERMISSION = "missing_permission"
    NO_REFRESH_TOKEN = "no_refresh_token"  # noqa: S105
    PERSONAL_ACCOUNT = "personal_account"
    GUEST_ACCOUNT = "guest_account"
    WRONG_ORGANIZATION = "wrong_organization"
    IDENTITY_MISMATCH = "identity_mismatch"
    NO_ACCOUNT = "no_account"
    WRONG_TENANT = "wrong_tenant"
    WRONG_USER = "wrong_user"
    ODD_ADDRESS = "odd_address"
    OTHER_ACCOUNT = "other_account"
    UNEXPECTED_ERROR = "unexpected_error"

    # At the management routes and the command line
    BAD_MAILBOX_ID = "bad_mailbox_id"
    UNKNOWN_MAILBOX = "unknown_mailbox"
    AMBIGUOUS_MAILBOX = "ambiguous_mailbox"
    BAD_ACCOUNT_ID = "bad_account_id"
    BAD_ADDRESS = "bad_address"
    BAD_DOMAIN = "bad_domain"
    ALREADY_CLAIMED = "already_claimed"
    TOO_MANY_CLAIMS = "too_many_claims"
    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_CLAIM = "unknown_claim"
    NOT_PINNED = "not_pinned"
