"""What Gunicorn loads in each worker."""

from webapp import create_app

app = create_app()
