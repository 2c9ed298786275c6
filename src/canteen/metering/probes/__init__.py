"""Where a machine's energy can be read, and how to tell a live counter from a dead one."""
