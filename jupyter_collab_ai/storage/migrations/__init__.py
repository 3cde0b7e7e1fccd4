"""The Alembic migrations; they ship in the package and run when a server starts."""
