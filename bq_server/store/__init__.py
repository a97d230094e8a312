"""The only room with SQL: tables, migrations, and queries by aggregate, loaded from `sql/*.sql`."""
