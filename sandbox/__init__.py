"""Development only: what the app needs around it, on this machine, without any Microsoft cloud."""
