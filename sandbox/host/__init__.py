"""The local Functions host: Microsoft's `azure-functions-runtime` with a listener, a clock and a queue around it."""
