import json
import uuid
from datetime import timedelta

from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.template import engines
from django.utils import timezone

from django_peer.models import Answer, Attempt, Question, Quiz

PAGE = engines["django"].from_string(
    "<!doctype html><title>{{ quiz.title }}</title><h1>{{ quiz.title }}</h1><p>{{ quiz.questions.count }} questions"
)


def open_quiz(request, slug):
    return HttpResponse(PAGE.render({"quiz": get_object_or_404(Quiz, slug=slug)}))


def start(request, quiz_id):
    quiz = get_object_or_404(Quiz, pk=quiz_id)
    name = json.loads(request.body)["name"]
    attempt = Attempt.objects.create(token=uuid.uuid4().hex, quiz=quiz, player_name=name, started_at=timezone.now())
    return JsonResponse({"token": attempt.token}, status=201)


def put_answer(request, token, item):
    attempt = get_object_or_404(Attempt.objects.select_related("quiz"), token=token)
    now = timezone.now()
    if attempt.finished_at or not attempt.quiz.opens_at <= now < attempt.quiz.closes_at:
        return JsonResponse({}, status=409)
    question = get_object_or_404(Question, pk=item)
    choice = json.loads(request.body)["choices"][0]
    if not 0 <= choice < len(question.choices):
        return JsonResponse({}, status=422)
    values = {"choice": choice, "answered_at": now}
    Answer.objects.update_or_create(attempt=attempt, question=question, defaults=values)
    return JsonResponse({"item": item, "choices": [choice], "saved": True})


def finish(request, token):
    attempt = get_object_or_404(Attempt.objects.select_related("quiz"), token=token)
    right = dict(attempt.quiz.questions.values_list("id", "correct"))
    if attempt.finished_at is None:
        attempt.score = sum(right[answer.question_id] == answer.choice for answer in attempt.answers.all())
        attempt.finished_at = timezone.now()
        attempt.milliseconds = (attempt.finished_at - attempt.started_at) // timedelta(milliseconds=1)
        attempt.save()
    return JsonResponse({"score": attempt.score, "out_of": len(right)})


def board(request, quiz_id):
    mine = Attempt.objects.filter(quiz_id=quiz_id, score__isnull=False)
    best = list(mine.order_by("-score", "milliseconds").values("player_name", "score", "milliseconds")[:20])
    return JsonResponse({"finished": mine.count(), "places": best})


def read_back(request, token):
    attempt = get_object_or_404(Attempt, token=token)
    questions = [{"item": one.question_id, "chosen": [one.choice]} for one in attempt.answers.all()]
    return JsonResponse({"score": attempt.score, "finished_at": attempt.finished_at, "questions": questions})
