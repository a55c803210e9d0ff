"""msgraph-sdk for the mail, by delta, and the SDK's async transactions for the table.

https://github.com/microsoftgraph/msgraph-sdk-python
"""

import asyncio
import json
import os
import ssl
import time
from itertools import batched
from typing import Any

import httpx
from azure.data.tables.aio import TableClient
from kiota_abstractions.authentication import AnonymousAuthenticationProvider
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.users.item.mail_folders.item.messages.delta.delta_request_builder import DeltaRequestBuilder
from msgraph.graph_request_adapter import options
from msgraph_core import GraphClientFactory
from rows import SELECT, finished


def _rows(message: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    people = {
        name: json.dumps([{"address": one.email_address.address, "name": one.email_address.name} for one in recipients])
        for name, recipients in (
            ("replyTo", message.reply_to),
            ("toRecipients", message.to_recipients),
            ("ccRecipients", message.cc_recipients),
        )
    }
    headers = [{"name": header.name, "value": header.value} for header in message.internet_message_headers or ()]
    author = message.from_.email_address
    columns = {
        "internetMessageId": message.internet_message_id,
        "conversationId": message.conversation_id,
        "subject": message.subject,
        "importance": message.importance.value,
        "webLink": message.web_link,
        "bodyPreview": message.body_preview,
        "isRead": message.is_read,
        "hasAttachments": message.has_attachments,
        "receivedDateTime": message.received_date_time,
        "sentDateTime": message.sent_date_time,
        "fromAddress": author.address,
        "fromName": author.name,
        "senderAddress": message.sender.email_address.address,
        "bodyContentType": message.body.content_type.value,
        "body": message.body.content,
        "headers": json.dumps(headers),
        **people,
    }
    return finished(columns, message.id, message.parent_folder_id, message.received_date_time)


async def main() -> None:
    """Prints what it took."""
    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    client = GraphClientFactory.create_with_default_middleware(
        options=options, client=httpx.AsyncClient(verify=context)
    )
    adapter = GraphRequestAdapter(AnonymousAuthenticationProvider(), client)
    adapter.base_url = os.environ["GRAPH_ENDPOINT"]
    graph = GraphServiceClient(request_adapter=adapter)
    adapter.base_url = os.environ["GRAPH_ENDPOINT"]
    parameters = DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(select=SELECT.split(","))
    configuration = RequestConfiguration(query_parameters=parameters)
    configuration.headers.add("Prefer", "odata.maxpagesize=100")
    delta = graph.me.mail_folders.by_mail_folder_id("inbox").messages.delta
    count = 0
    async with TableClient.from_connection_string(os.environ["MAIL_STORAGE"], "messages") as table:
        started, processor = time.perf_counter(), time.process_time()
        page = await delta.get(request_configuration=configuration)
        while page:
            for some in batched(page.value or (), 50, strict=False):
                pairs = [_rows(message) for message in some]
                count += len(pairs)
                await table.submit_transaction([("upsert", row) for pair in pairs for row in pair])
            link = page.odata_next_link
            page = await delta.with_url(link).get(request_configuration=configuration) if link else None
        seconds, cpu = time.perf_counter() - started, time.process_time() - processor
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "messages": count}))


asyncio.run(main())
