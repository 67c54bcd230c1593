from django.db import models


class Quiz(models.Model):
    slug = models.CharField(max_length=80, unique=True)
    title = models.CharField(max_length=200)
    opens_at = models.DateTimeField()
    closes_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "quiz"


class Question(models.Model):
    quiz = models.ForeignKey(Quiz, models.CASCADE, related_name="questions")
    position = models.IntegerField()
    stem = models.CharField(max_length=500)
    choices = models.JSONField()
    correct = models.IntegerField()

    class Meta:
        managed = False
        db_table = "question"
        ordering = ["position"]


class Attempt(models.Model):
    token = models.CharField(max_length=32, unique=True)
    quiz = models.ForeignKey(Quiz, models.CASCADE)
    player_name = models.CharField(max_length=40)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    score = models.IntegerField(null=True)
    milliseconds = models.BigIntegerField(null=True)

    class Meta:
        managed = False
        db_table = "attempt"


class Answer(models.Model):
    attempt = models.ForeignKey(Attempt, models.CASCADE, related_name="answers")
    question = models.ForeignKey(Question, models.CASCADE)
    choice = models.IntegerField()
    answered_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "answer"
        unique_together = [("attempt", "question")]
