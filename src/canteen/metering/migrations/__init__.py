"""Numbered steps of the database's tables, in SQL that SQLite and PostgreSQL both read."""
