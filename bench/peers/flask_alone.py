"""Peer (d): Flask without a database takes the same answers and forgets them: the limit of what Flask can serve."""

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.put("/api/v1/attempts/<token>/answers/<int:item>")
def put_answer(token, item):
    return jsonify(item=item, choices=request.get_json()["choices"], saved=True)


@app.get("/quizzes/<slug>")
def ready(slug):
    return slug
