"""The database: tables, engine, migrations and change notifications."""
