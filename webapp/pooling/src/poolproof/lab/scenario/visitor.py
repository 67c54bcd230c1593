"""One visit: its requests one after the other, each timed from the moment at which it was meant to begin."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from poolproof.lab.loadgen.http_client import HttpClient, HttpResponse, InvalidResponseError
from poolproof.lab.scenario.address import Address
from poolproof.lab.scenario.description import Request, Scenario, Visit
from poolproof.lab.scenario.exchange import Message, NotInResponseError, compose, take_values
from poolproof.lab.values import draw_all

NO_VALUE = "no value in the response"
CUT_OFF = "still waiting at the end"


@dataclass(frozen=True)
class RequestSample:
    """One request; `intended_start` is a moment on the monotonic clock."""

    request: str
    intended_start: float
    seconds: float
    result: str
    """The status, or what went wrong instead."""
    is_right: bool

    @property
    def end(self) -> float:
        """When it was over."""
        return self.intended_start + self.seconds


class Visitor:
    """A user: one connection that is kept, and the cookies that the application has set."""

    def __init__(self, scenario: Scenario, address: Address, *, verify: bool = True) -> None:
        """Connect at the first request."""
        self._scenario, self._address = scenario, address
        self._tls = address.tls(verify=verify)
        self._client = self._new_client()
        self._cookies: dict[str, str] = {}

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    async def visit(self, visit: Visit, rng: random.Random, start: float, samples: list[RequestSample]) -> None:
        """Make the requests of a visit; add each to the samples, also one that is cancelled."""
        values = draw_all(self._scenario.values, rng)
        for number, request in enumerate(visit.request):
            start += self._think_time(request, rng, is_first=number == 0)
            await asyncio.sleep(max(0.0, start - time.monotonic()))
            result = CUT_OFF
            is_right = False
            try:
                response = await self._send(compose(request, self._scenario.headers, values))
                result, is_right = str(response.status), request.is_right(response.status)
                if is_right:
                    values |= take_values(request, response)
            except NotInResponseError:
                result, is_right = NO_VALUE, False
            except (OSError, InvalidResponseError) as error:
                result = "no connection" if isinstance(error, ConnectionRefusedError) else type(error).__name__
            finally:
                samples.append(RequestSample(request.title, start, time.monotonic() - start, result, is_right))
            if not is_right:
                # The connection may still get the rest of a response.
                self._client.close()
                return
            start = time.monotonic()

    def _new_client(self) -> HttpClient:
        return HttpClient(self._address.host, self._address.port, tls=self._tls)

    def _think_time(self, request: Request, rng: random.Random, *, is_first: bool) -> float:
        think = request.think or (None if is_first else self._scenario.think)
        return rng.uniform(*think) if think else 0.0

    async def _send(self, message: Message) -> HttpResponse:
        headers = dict(message.headers)
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        path = self._address.prefix + message.path
        if not self._client.is_open:
            # A new one: the end of the old connection may still be reported to the old one.
            self._client = self._new_client()
        async with asyncio.timeout(self._scenario.timeout):
            response = await self._client.send(message.method, path, lines, message.content)
        for line in response.cookies:
            self._keep_cookie(line)
        return response

    def _keep_cookie(self, line: str) -> None:
        try:
            cookies = SimpleCookie(line)
        except CookieError:
            return
        for name, morsel in cookies.items():
            if morsel["max-age"] == "0" or not morsel.value:
                self._cookies.pop(name, None)
            else:
                self._cookies[name] = morsel.coded_value
