"""How commands and tests arrange the stand-in."""
