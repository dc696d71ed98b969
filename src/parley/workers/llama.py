"""The llama.cpp worker: xllamacpp's server on a Unix socket, and scores of prompts over the channel.

    python -m parley.workers.confine '<limits>' parley.workers.llama '<options as JSON>'

It says `ready` (with its socket) or `failed`. A question `score` has the prompt as
an array of 32-bit ids in its raw part; the answer's raw part is: own log-probabilities, ids of the best, theirs, and the
pieces of all ids that occur, behind the ids and lengths. A question `render` has ids too; the answer is the text that they write, control tokens nothing.
"""

import contextlib
import importlib
import json
import sys
from pathlib import Path

import numpy as np

from parley.core.channel import Header
from parley.workers.libllama import LibLlama, Unsupported
from parley.workers.scorer import Scorer, Withdrawn
from parley.workers.voice import Voice

# A scorer that was not asked for so long gives its context's memory back.
_REST_SECONDS = 20.0


def _start_server(options: dict[str, int | str]) -> object:
    """The running server; the caller keeps it. Raises RuntimeError, with the reason on stderr only."""
    runtime = importlib.import_module("xllamacpp")
    num_slots, num_threads, batch_tokens = (int(options[name]) for name in ("num_slots", "num_threads", "batch_tokens"))
    params = runtime.CommonParams()
    params.model.path = str(options["model"])
    params.n_parallel = num_slots
    params.n_ctx = num_slots * int(options["context_length"])
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = num_threads
    # An abort is seen between two steps, so a step is kept short.
    params.n_batch = params.n_ubatch = batch_tokens
    # Server threads that parse requests and write streams; each open stream holds one.
    params.n_threads_http = 2 * num_slots + 4
    # Do not shrink what was asked for to what happens to be free.
    params.fit_params = False
    # No second copy of prompts in main memory; each slot keeps the last prompt it served.
    params.cache_ram_mib = 0
    params.ctx_shift = False
    params.ui = False
    params.endpoint_slots = True
    params.use_jinja = False
    # Errors alone: prompts never appear in a log.
    params.verbosity = 1
    # A pause without output is watched on our side, and a comment in the stream says nothing.
    params.sse_ping_interval = -1
    path = Path(str(options["socket"]))
    # A file left by a killed worker would make the start fail.
    path.unlink(missing_ok=True)
    params.hostnames = [str(path)]
    return runtime.Server(params)


def _ids(raw: bytes) -> list[int]:
    return [int(token_id) for token_id in np.frombuffer(raw, dtype=np.int32)]


def _score(scorer: Scorer, voice: Voice, question: Header, raw: bytes) -> bytes:
    prompt = _ids(raw)
    num_top = int(str(question["num_top"]))

    def on_step() -> None:
        if voice.is_withdrawn(question):
            raise Withdrawn
        voice.say({"event": "progress", "id": question["id"]})

    own, top_ids, top = scorer.score(prompt, num_top, on_step)
    occurring = np.unique(np.concatenate([np.asarray(prompt, dtype=np.int32), top_ids.ravel()]))
    pieces = scorer.pieces(occurring.tolist())
    lengths = np.asarray([len(piece) for piece in pieces], dtype=np.int32)
    described = np.asarray([len(occurring)], dtype=np.int32)
    arrays = (own, top_ids, top, described, occurring, lengths)
    return b"".join([*(part.tobytes() for part in arrays), *pieces])


def main() -> None:
    voice = Voice()
    options = json.loads(sys.argv[1])
    try:
        # The scorer first: a build that it does not know is refused before any weights are loaded.
        scorer = Scorer(
            LibLlama(),
            str(options["model"]),
            num_threads=options["num_threads"],
            batch_tokens=options["batch_tokens"],
        )
        # Kept to the end: the server stops when nobody holds it.
        server = _start_server(options)
    except (Unsupported, RuntimeError, ValueError) as error:
        voice.say({"event": "failed", "reason": str(error)})
        return
    voice.say({"event": "ready", "socket": options["socket"], "runtime": type(server).__module__})
    voice.listen()
    while True:
        asked = voice.next_question(timeout_seconds=_REST_SECONDS)
        if asked is None:
            scorer.rest()
            continue
        question, raw = asked
        with contextlib.suppress(Withdrawn):
            try:
                answer = (
                    scorer.render(_ids(raw)) if question["op"] == "render" else _score(scorer, voice, question, raw)
                )
                voice.say({"id": question["id"]}, answer)
            except (RuntimeError, ValueError) as error:
                voice.say({"id": question["id"], "refused": str(error)})


if __name__ == "__main__":
    main()
