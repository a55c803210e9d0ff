"""Azure Storage: tables, queues, blobs."""
