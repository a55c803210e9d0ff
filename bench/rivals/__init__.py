"""Other ways to do a first reading, each a script of its own; `bench/rival.py` runs them. None knows the program."""
