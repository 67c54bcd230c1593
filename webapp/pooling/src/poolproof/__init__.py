"""The connection layer: engines, pools and units of work for threads, on MySQL, MariaDB and SQLite.

It is a distribution of its own and imports nothing of `webapp`. Flask is known in `integrations.flask_ext`, PyMySQL in
`drivers.mysql.connection`, Gunicorn in `integrations.gunicorn_hooks`.
"""
