"""The store on a PostgreSQL server: a connection with the interface of SQLite's, its statements and its schema."""
