"""PostgreSQL through psycopg 3 and psycopg2."""
