"""`poolproof lab incident`: one push at Flask-SQLAlchemy with its defaults, then at Poolproof."""
