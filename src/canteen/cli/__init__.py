"""The shell's door, and Python's: one file per verb, imported when it is called."""
