"""python-o365 for the mail and the SDK for the table: `single` upserts each row, `transactions` 50 messages at once.

https://github.com/O365/python-o365, https://learn.microsoft.com/python/api/overview/azure/data-tables-readme
"""

import json
import os
import sys
import time
from itertools import batched
from typing import Any

import requests
from azure.data.tables import TableClient
from O365 import MSGraphProtocol
from O365.connection import Connection
from O365.mailbox import MailBox
from O365.utils.token import MemoryTokenBackend
from rows import SELECT, finished


class _Protocol(MSGraphProtocol):
    """Graph at another address."""

    def __init__(self) -> None:
        super().__init__()
        self.service_url = f"{os.environ['GRAPH_ENDPOINT']}/"


def _rows(message: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    people = {
        name: json.dumps([{"address": one.address, "name": one.name} for one in recipients])
        for name, recipients in (
            ("replyTo", message.reply_to),
            ("toRecipients", message.to),
            ("ccRecipients", message.cc),
        )
    }
    headers = [{"name": header["name"], "value": header["value"]} for header in message.message_headers]
    columns = {
        "internetMessageId": message.internet_message_id,
        "conversationId": message.conversation_id,
        "subject": message.subject,
        "importance": message.importance.value,
        "webLink": message.web_link,
        "bodyPreview": message.body_preview,
        "isRead": message.is_read,
        "hasAttachments": message.has_attachments,
        "receivedDateTime": message.received,
        "sentDateTime": message.sent,
        "fromAddress": message.sender.address,
        "fromName": message.sender.name,
        "senderAddress": message.sender.address,
        "bodyContentType": message.body_type,
        "body": message.body,
        "headers": json.dumps(headers),
        **people,
    }
    return finished(columns, message.object_id, message.folder_id, message.received)


def main() -> None:
    """Prints what it took."""
    protocol = _Protocol()
    connection = Connection(
        ("client", "secret"), auth_flow_type="credentials", tenant_id="tenant", token_backend=MemoryTokenBackend()
    )
    connection.session = requests.Session()
    connection.session.headers["Authorization"] = "Bearer token"
    with TableClient.from_connection_string(os.environ["MAIL_STORAGE"], "messages") as table:
        started, processor = time.perf_counter(), time.process_time()
        inbox = MailBox(con=connection, protocol=protocol, main_resource="me").inbox_folder()
        query = inbox.new_query().select("id", *SELECT.split(","))
        count = 0
        for some in batched(inbox.get_messages(limit=None, batch=100, query=query), 50, strict=False):
            pairs = [_rows(message) for message in some]
            count += len(pairs)
            if "single" in sys.argv:
                for pair in pairs:
                    for row in pair:
                        table.upsert_entity(row)
            else:
                table.submit_transaction([("upsert", row) for pair in pairs for row in pair])
        seconds, cpu = time.perf_counter() - started, time.process_time() - processor
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "messages": count}))


main()
