"""The connection layer: engines, pools and units of work for threads and MySQL.

It imports nothing of the rest of `webapp` and can be lifted out whole. Flask is
known in `extension`, PyMySQL in `driver`, Gunicorn in `hooks`.
"""
