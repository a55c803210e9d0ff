"""Azure Storage: tables, the queue of hints, and blobs."""
