from django.urls import path

from django_peer import views

urlpatterns = [
    path("quizzes/<slug:slug>", views.open_quiz),
    path("api/v1/quizzes/<int:quiz_id>/attempts", views.start),
    path("api/v1/quizzes/<int:quiz_id>/leaderboard", views.board),
    path("api/v1/attempts/<str:token>", views.read_back),
    path("api/v1/attempts/<str:token>/answers/<int:item>", views.put_answer),
    path("api/v1/attempts/<str:token>/finish", views.finish),
]
