// Loaded into Azurite's process: ends it, in good order, once whoever started it is gone. Standard input is a
// pipe that nobody writes to; it ends when its other side does, even if that was killed.
process.stdin.on("end", () => process.kill(process.pid, "SIGTERM"));
process.stdin.resume();
// Waiting for that must not keep the process when it is told to end.
process.stdin.unref();
