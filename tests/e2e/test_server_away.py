"""Outages while people play: the page reports the state, loses no answer, and continues after the recovery."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Dialog, Page, Request, Route, expect

from tests.e2e.conftest import Visitor, let_time_pass
from tests.e2e.outage import (
    BUSY,
    RECOVERY_TIMEOUT,
    Quiz,
    answer_status,
    choose,
    close_quiz,
    deliver,
    expect_saved,
    next_question,
    open_quiz,
    publish_quiz,
    start,
    stored,
    stored_keys,
    wait_until_nothing_is_stored,
)
from tests.support.databases import Databases
from webapp.lab.services.database_server import DatabaseServer
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service
from webapp.lab.services.programs import Flavour

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def server(server_flavour: Flavour, databases: Databases) -> DatabaseServer:
    """A database server that these tests may kill."""
    server = databases.breakable(server_flavour)
    databases.restore(server, "poolproof", "prepared")
    return server


@pytest.fixture(scope="module")
def service(server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolproofService]:
    """A service that these tests may stop."""
    with run_poolproof_service(
        server.url("poolproof"), tmp_path_factory.mktemp("service"), POOLPROOF_WORKERS="1"
    ) as service:
        yield service


@pytest.fixture(scope="module")
def quiz(service: PoolproofService) -> Quiz:
    return publish_quiz(service, "Away and back")


@pytest.fixture
def visitor(browser: Browser, service: PoolproofService) -> Iterator[Visitor]:
    """A visitor whose browser may report that something could not be loaded, and no other error."""
    visitor = Visitor(browser, service.address)
    yield visitor
    visitor.close()
    assert [error for error in visitor.complaints if not error.startswith("Failed to load resource")] == []


@pytest.fixture
def kill_server(server: DatabaseServer, service: PoolproofService) -> Iterator[Callable[[], None]]:
    """Return what kills the database server; after the test it runs again in any case."""
    yield server.kill
    if server.process is None:
        server.start()


def is_answer(request: Request) -> bool:
    return request.method == "PUT"


def test_answers_given_while_the_database_is_away_are_saved_when_it_is_back(
    visitor: Visitor, quiz: Quiz, server: DatabaseServer, kill_server: Callable[[], None]
) -> None:
    page = visitor.page(clock=True)
    start(page, quiz, "Grace")
    kill_server()
    choose(page, "A connection")
    expect(answer_status(page)).to_have_text("1 answer is not saved yet. Trying again…")
    next_question(page)
    expect(answer_status(page)).to_have_text("1 answer is not saved yet. Trying again…")
    choose(page, "Order")
    next_question(page)
    choose(page, "Otters", "Elephants")
    expect(answer_status(page)).to_have_text("3 answers are not saved yet. Trying again…")
    server.start()
    let_time_pass(page, lambda: answer_status(page).text_content() == "All answers are saved")
    assert stored(server, quiz, "Grace") == {"A connection", "Order", "Otters", "Elephants"}
    assert stored_keys(page) == []


def test_answers_given_while_the_database_is_frozen_are_saved_when_it_goes_on(
    visitor: Visitor, quiz: Quiz, server: DatabaseServer
) -> None:
    page = visitor.page(clock=True)
    start(page, quiz, "Niklaus")
    choose(page, "A connection")
    expect_saved(page)
    server.pause()
    try:
        choose(page, "A lifeguard")
        next_question(page)
        choose(page, "Order")
        expect(answer_status(page)).to_have_text("2 answers are not saved yet. Trying again…", timeout=RECOVERY_TIMEOUT)
    finally:
        server.resume()
    let_time_pass(page, lambda: answer_status(page).text_content() == "All answers are saved")
    assert stored(server, quiz, "Niklaus") == {"A lifeguard", "Order"}


def test_answers_survive_a_reload_while_the_database_is_away(
    visitor: Visitor, quiz: Quiz, server: DatabaseServer, kill_server: Callable[[], None]
) -> None:
    page = visitor.page()
    start(page, quiz, "Edsger")
    choose(page, "A towel")
    expect_saved(page)
    kill_server()
    choose(page, "A connection")
    next_question(page)
    choose(page, "Speed")
    expect(answer_status(page)).to_contain_text("2 answers are not saved yet")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("We are very busy for a moment.")
    expect(page.get_by_role("status")).to_contain_text("Answers that are not saved yet are kept on this device.")
    server.start()
    expect(page.get_by_role("group", name="Which of these can swim?")).to_be_visible(timeout=RECOVERY_TIMEOUT)
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_label("Speed")).to_be_checked()
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_label("A connection")).to_be_checked()
    expect_saved(page)
    assert stored(server, quiz, "Edsger") == {"A connection", "Speed"}


def test_a_finish_without_a_reply_is_kept_over_a_reload_and_ends_on_the_result(
    visitor: Visitor, quiz: Quiz, server: DatabaseServer, service: PoolproofService
) -> None:
    page = visitor.page()
    start(page, quiz, "Barbara")
    choose(page, "A connection")
    next_question(page)
    choose(page, "Order")
    expect_saved(page)
    next_question(page)
    service.stop()
    choose(page, "Otters", "Elephants")
    expect(answer_status(page)).to_have_text("1 answer is not saved yet. Trying again…")
    page.get_by_role("button", name="Finish").click()
    expect(answer_status(page)).to_have_text("1 answer is not saved yet. Trying again, then finishing…")
    expect(page.get_by_label("Otters")).to_be_disabled()
    page.close()
    service.start()
    page = visitor.again(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        "Barbara, you have 3 of 3 right", timeout=RECOVERY_TIMEOUT
    )
    assert stored(server, quiz, "Barbara") == {"A connection", "Order", "Otters", "Elephants"}
    assert stored_keys(page) == []


def test_a_player_who_is_offline_is_told_so_and_goes_on_when_back(
    visitor: Visitor, quiz: Quiz, server: DatabaseServer
) -> None:
    page = visitor.page()
    start(page, quiz, "Ken")
    page.context.set_offline(True)
    choose(page, "A lifeguard")
    expect(answer_status(page)).to_have_text(
        "1 answer is not saved yet. You are offline; this continues automatically when you are back online."
    )
    page.context.set_offline(False)
    expect(answer_status(page)).to_have_text("All answers are saved", timeout=RECOVERY_TIMEOUT)
    assert stored(server, quiz, "Ken") == {"A lifeguard"}


def test_a_busy_server_is_not_asked_again_before_the_time_it_names(
    visitor: Visitor, quiz: Quiz, server: DatabaseServer
) -> None:
    page = visitor.page(clock=True)
    start(page, quiz, "Radia")
    routes: list[Route] = []
    statuses: list[int] = []
    page.on("response", lambda response: statuses.append(response.status) if is_answer(response.request) else None)

    def busy_at_first(route: Route) -> None:
        routes.append(route)
        if len(routes) == 1:
            route.fulfill(status=503, headers={"Retry-After": "90"})
        else:
            route.continue_()

    page.route("**/answers/*", busy_at_first)
    choose(page, "A connection")
    expect(answer_status(page)).to_contain_text("1 answer is not saved yet")
    # Neither another choice nor an event of the network shortens the wait.
    choose(page, "A towel")
    page.evaluate("window.dispatchEvent(new Event('online'))")
    page.clock.fast_forward(45_000)
    page.wait_for_timeout(200)
    assert len(routes) == 1
    page.clock.fast_forward(45_000)
    let_time_pass(page, lambda: answer_status(page).text_content() == "All answers are saved")
    assert statuses.count(200) == 1, "both choices are one answer"
    assert stored(server, quiz, "Radia") == {"A towel"}


@pytest.mark.parametrize("status", [429, 500, 502])
def test_whatever_is_no_answer_of_ours_is_asked_again(visitor: Visitor, quiz: Quiz, status: int) -> None:
    page = visitor.page(clock=True)
    start(page, quiz, f"Tony {status}")
    # Until the failure is visible: the wait before the next try is random and may be zero.
    page.route("**/answers/*", lambda route: route.fulfill(status=status))
    choose(page, "A connection")
    expect(answer_status(page)).to_contain_text("1 answer is not saved yet")
    page.unroute("**/answers/*")
    let_time_pass(page, lambda: answer_status(page).text_content() == "All answers are saved")


def test_a_page_that_only_says_ok_is_not_taken_for_the_server(
    visitor: Visitor, quiz: Quiz, server: DatabaseServer
) -> None:
    page = visitor.page(clock=True)
    start(page, quiz, "Whitfield")
    page.route("**/answers/*", lambda route: route.fulfill(status=200, body="<p>Sign in to this network</p>"))
    choose(page, "A connection")
    expect(answer_status(page)).to_contain_text("1 answer is not saved yet")
    page.unroute("**/answers/*")
    let_time_pass(page, lambda: answer_status(page).text_content() == "All answers are saved")
    assert stored(server, quiz, "Whitfield") == {"A connection"}


@pytest.mark.parametrize("locks", [True, False], ids=["with-locks", "without-locks"])
def test_the_newest_choice_wins_and_an_older_reply_does_not_call_it_saved(
    visitor: Visitor, quiz: Quiz, server: DatabaseServer, *, locks: bool
) -> None:
    page = visitor.page()
    if not locks:
        # As in older browsers, and wherever the address begins with http:// and is not this machine's.
        page.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined })")
    player = f"Leslie {locks}"
    start(page, quiz, player)
    held: list[Route] = []
    page.route("**/answers/*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright takes no built-in
    with page.expect_request(is_answer):
        choose(page, "A lifeguard")
    choose(page, "A towel")
    choose(page, "A connection")
    page.wait_for_timeout(300)
    assert len(held) == 1, "two requests for one item at once"
    with page.expect_request(is_answer):
        deliver(held[0])
    expect(answer_status(page)).to_have_text("Saving…")
    assert stored(server, quiz, player) == {"A lifeguard"}
    deliver(held[1])
    expect_saved(page)
    assert len(held) == 2
    assert stored(server, quiz, player) == {"A connection"}


def test_a_choice_made_before_the_script_has_come_is_saved_when_it_has(
    visitor: Visitor, quiz: Quiz, server: DatabaseServer
) -> None:
    page = visitor.page()
    held: list[Route] = []
    page.route("**/files/play.js*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright takes no built-in
    open_quiz(page, quiz, "Kathleen")
    with page.expect_request("**/files/play.js*"):
        page.get_by_role("button", name="Start").click(no_wait_after=True)
    choose(page, "A connection")
    held[0].continue_()
    expect(page.get_by_text("2 of 3")).to_be_visible()
    page.get_by_role("button", name="Back").click()
    expect_saved(page)
    assert stored(server, quiz, "Kathleen") == {"A connection"}


def test_an_answer_that_comes_too_late_is_refused_in_words_and_not_sent_again(
    visitor: Visitor, service: PoolproofService, server: DatabaseServer
) -> None:
    quiz = publish_quiz(service, "Closing")
    page = visitor.page()
    start(page, quiz, "Margaret")
    choose(page, "A towel")
    expect_saved(page)
    close_quiz(service, quiz)
    statuses: list[int] = []
    page.on("response", lambda response: statuses.append(response.status) if is_answer(response.request) else None)
    choose(page, "A connection")
    expect(answer_status(page)).to_contain_text("Question 1 is not saved: The quiz closed on")
    # The saved choice is shown.
    expect(page.get_by_label("A towel")).to_be_checked()
    assert stored_keys(page) == []
    next_question(page)
    next_question(page)
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Margaret, you have 0 of 3 right")
    assert len([status for status in statuses if status != BUSY]) == 1
    assert stored(server, quiz, "Margaret") == {"A towel"}


def test_answers_that_were_not_saved_when_the_attempt_was_finished_elsewhere_are_named_and_forgotten(
    visitor: Visitor, quiz: Quiz, service: PoolproofService
) -> None:
    page = visitor.page()
    start(page, quiz, "Donald")
    page.route("**/answers/*", lambda route: route.abort())
    choose(page, "A connection")
    expect(answer_status(page)).to_contain_text("1 answer is not saved yet")
    elsewhere = page.context.request.post(page.url.replace("/attempts/", "/api/v1/attempts/") + "/finish")
    assert elsewhere.ok
    page.reload()
    expect(page.get_by_text("had not been saved when the attempt was finished")).to_be_visible()
    assert stored_keys(page) == []


def test_leaving_warns_only_while_an_answer_is_not_saved(visitor: Visitor, quiz: Quiz) -> None:
    page = visitor.page()
    warnings: list[str] = []

    def stay(dialog: Dialog) -> None:
        warnings.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    start(page, quiz, "Dorothy")
    page.route("**/answers/*", lambda route: route.abort())
    choose(page, "A connection")
    expect(answer_status(page)).to_contain_text("1 answer is not saved yet")
    page.get_by_role("link", name="Poolproof").click()
    expect(page.get_by_label("A connection")).to_be_checked()
    assert warnings == ["beforeunload"]
    page.unroute("**/answers/*")
    expect(answer_status(page)).to_have_text("All answers are saved", timeout=RECOVERY_TIMEOUT)
    page.get_by_role("link", name="Poolproof").click()
    expect(page.get_by_role("heading", name="Open quizzes")).to_be_visible()
    assert warnings == ["beforeunload"]


def test_two_tabs_with_one_attempt_take_turns_and_the_newest_choice_wins(
    visitor: Visitor, quiz: Quiz, server: DatabaseServer
) -> None:
    first = visitor.page()
    start(first, quiz, "Ada")
    second = first.context.new_page()
    second.goto(first.url)
    held: list[Route] = []
    first.context.route("**/answers/*", lambda route: route.continue_() if held else held.append(route))
    # Either tab may send it.
    with first.context.expect_event("request", is_answer):
        choose(first, "A towel")
    sent: list[Request] = []
    first.context.on("request", lambda request: sent.append(request))  # noqa: PLW0108 - Playwright takes no built-in
    choose(second, "A connection")
    second.wait_for_timeout(300)
    assert sent == [], "two requests for one item at once"
    held[0].continue_()
    wait_until_nothing_is_stored(second)
    assert stored(server, quiz, "Ada") == {"A connection"}


def test_a_tab_sends_what_another_tab_cannot(visitor: Visitor, quiz: Quiz, server: DatabaseServer) -> None:
    first = visitor.page()
    start(first, quiz, "Jean")
    second = first.context.new_page()
    second.goto(first.url)
    second.route("**/answers/*", lambda route: route.abort())
    choose(second, "A towel")
    wait_until_nothing_is_stored(second)
    assert stored(server, quiz, "Jean") == {"A towel"}


def test_without_javascript_the_page_of_a_busy_server_keeps_the_answers_and_sends_them_again(
    visitor: Visitor, quiz: Quiz, server: DatabaseServer, kill_server: Callable[[], None]
) -> None:
    page = visitor.page(javascript=False)
    start(page, quiz, "Alan", javascript=False)
    choose(page, "A connection", "Order", "Otters", "Elephants")
    kill_server()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your answers may not be saved yet. They are kept on this page")).to_be_visible()
    # Still unavailable: the page is shown again and still has all answers.
    with page.expect_navigation():
        page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("They are kept on this page")).to_be_visible()
    server.start()
    _send_until_accepted(page)
    expect(page.get_by_role("status").first).to_contain_text("Saved: 3 of 3 answered")
    assert stored(server, quiz, "Alan") == {"A connection", "Order", "Otters", "Elephants"}


def test_without_javascript_a_finish_that_met_a_busy_server_is_sent_again_too(
    visitor: Visitor, quiz: Quiz, server: DatabaseServer, kill_server: Callable[[], None]
) -> None:
    page = visitor.page(javascript=False)
    start(page, quiz, "John", javascript=False)
    choose(page, "A connection")
    kill_server()
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("button", name="Send again")).to_be_visible()
    server.start()
    _send_until_accepted(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("John, you have 1 of 3 right")


def test_a_form_that_met_a_busy_server_goes_on_by_itself_where_there_is_javascript(
    visitor: Visitor, quiz: Quiz, server: DatabaseServer, kill_server: Callable[[], None]
) -> None:
    page = visitor.page(clock=True)
    open_quiz(page, quiz, "Frances")
    kill_server()
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("We are very busy for a moment.")
    server.start()
    let_time_pass(page, page.get_by_role("group", name="Who is lent by the second?").is_visible)


def _send_until_accepted(page: Page) -> None:
    """Press the button, as a player would, until the service has found its database again."""
    button, deadline = page.get_by_role("button", name="Send again"), time.monotonic() + RECOVERY_TIMEOUT / 1000
    while button.count():
        assert time.monotonic() < deadline, "the service has not found its database again"
        with page.expect_navigation():
            button.click()
