from __future__ import annotations

from webapp.quizzes.qr_code import as_svg


def test_a_qr_code_is_an_image_with_a_name_that_no_policy_of_styles_refuses() -> None:
    svg = as_svg("https://quiz.example/join/K7M2XF", "QR code: <join>")
    assert svg.startswith('<svg role="img"')
    assert "&lt;join&gt;" in svg
    assert "style=" not in svg
    assert "<script" not in svg
    assert 'fill="#fff"' in svg
    assert as_svg("https://quiz.example/join/K7M2XG", "") != as_svg("https://quiz.example/join/K7M2XF", "")
