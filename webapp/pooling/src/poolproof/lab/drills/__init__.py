"""`lab drill`: faults that an application's account may make itself, at SQLAlchemy's pool and at the fair one."""
