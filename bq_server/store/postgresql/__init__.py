"""The store on a PostgreSQL server: a connection that takes what SQLite's takes, its statements and its schema."""
