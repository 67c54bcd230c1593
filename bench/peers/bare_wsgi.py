"""A WSGI function that takes an answer and forgets it: the limit of what any application can serve on this server."""

import json


def app(environ, start_response):
    if environ["REQUEST_METHOD"] == "PUT":
        *_, item = environ["PATH_INFO"].split("/")
        choices = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))["choices"]
        body = json.dumps({"item": int(item), "choices": choices, "saved": True}).encode()
        content_type = "application/json"
    else:
        body, content_type = b"push", "text/plain"
    start_response("200 OK", [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]
