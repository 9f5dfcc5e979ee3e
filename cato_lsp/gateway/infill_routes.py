"""The endpoint ``/infill`` of llama.cpp's server, for llama.vim and llama.vscode."""

from __future__ import annotations

import time
from functools import partial

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cato_lsp.gateway.answers import respond
from cato_lsp.gateway.infill_answers import InfillAnswer
from cato_lsp.gateway.infill_end import InfillEnd
from cato_lsp.gateway.infill_requests import InfillRequest
from cato_lsp.gateway.keys import User
from cato_lsp.gateway.openai_prompts import ANSWER_TOKENS, TextPrompts
from cato_lsp.gateway.service import Service
from cato_lsp.gateway.stop_text import StopText
from cato_lsp.gateway.text_calls import check_supported, guarded, make_call, read_body, room_for_prompt
from cato_lsp.scheduling.slo import TaskKind


def infill_routes(service: Service, prompts: TextPrompts) -> list[Route]:
    """Make the route."""

    async def infill(http: Request, user: User) -> Response:
        request = msgspec.json.decode(await read_body(http), type=InfillRequest)
        model = service.side.model
        # llama.cpp's server ignores the name of the model, and its plugins send any.
        request.model = ""
        check_supported(request, model)
        context = model.context_length
        wanted = request.n_predict
        answer = min(ANSWER_TOKENS, context // 2) if wanted is None else context // 2 if wanted < 0 else max(1, wanted)
        room = room_for_prompt(answer, context)
        before = request.input_prefix + request.prompt
        build = partial(prompts.infill, before, request.input_suffix, room, request.context)
        prompt = await anyio.to_thread.run_sync(build)
        call = make_call(request, prompt, answer, TaskKind.COMPLETION, user, model)
        running = service.submit(user, call)
        stops = StopText(request.stops, prompt.typed_blanks)
        end = InfillEnd(stops, request.n_indent, request.t_max_predict_ms / 1000, time.monotonic)
        return await respond(http, running, end, InfillAnswer(running, model.name, request, end), stream=request.stream)

    return [Route("/infill", guarded(service, infill), methods=["POST"])]
