"""What authors learn from the attempts at their quizzes."""
