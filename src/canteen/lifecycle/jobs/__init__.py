"""Jobs: long work with a specification, progress, a receipt, and a way to go on after a crash."""
