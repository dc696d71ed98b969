"""The llama.cpp worker: xllamacpp's server on a Unix socket, and scores of prompts over the channel.

    python -m parley.workers.confine '<limits>' parley.workers.llama '<options as JSON>'

It says `failed`, or `ready` with its socket and with the vocabulary's pieces (raw). Then it answers questions; ids are arrays
of 32-bit integers. `score` (raw: the prompt's ids) is answered by raw arrays of 32 bits: own log-probabilities, ids of the
best, theirs. `recover` (the bytes and the number of tokens that the server did not name; raw: all ids before them) is
answered by their ids, and by scores as above.
"""

import contextlib
import importlib
import json
import sys
from pathlib import Path

import numpy as np

from parley.core.channel import Header
from parley.core.pieces import pack_pieces
from parley.workers.libllama import LibLlama, Unsupported
from parley.workers.scorer import Scorer, Scores, Withdrawn
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
    # In place of the file's own, which the server would run once, whatever it does: no prompt is ever made by either.
    params.chat_template = "chatml"
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


def _answer(scorer: Scorer, voice: Voice, question: Header, raw: bytes) -> tuple[Header, bytes]:
    def on_step() -> None:
        if voice.is_withdrawn(question):
            raise Withdrawn
        voice.say({"event": "progress", "id": question["id"]})

    num_top = int(str(question["num_top"]))
    if question["op"] == "score":
        prompt = _ids(raw)
        return {}, _packed(scorer.score(prompt, num_top, on_step))
    lost = bytes.fromhex(str(question["lost"]))
    prefix = _ids(raw)
    found = scorer.recover(prefix, lost, int(str(question["count"])), on_step)
    if found is None:
        return {"found": []}, b""
    scores = scorer.score([*prefix, *found], num_top, on_step, first=len(prefix))
    return {"found": found}, _packed(scores)


def _packed(scores: Scores) -> bytes:
    return b"".join(part.tobytes() for part in (scores.own, scores.top_ids, scores.top))


def main() -> None:
    voice = Voice()
    options = json.loads(sys.argv[1])
    try:
        # First: a build that we do not know is refused before any weights are loaded.
        library = LibLlama()
        vocabulary = library.api.llama_model_get_vocab(library.load_model(str(options["model"]), vocabulary_only=True))
        pieces = library.pieces(vocabulary)
        scorer = Scorer(
            library,
            str(options["model"]),
            num_threads=options["num_threads"],
            batch_tokens=options["batch_tokens"],
        )
        # Kept to the end: the server stops when nobody holds it.
        server = _start_server(options)
    except (Unsupported, RuntimeError, ValueError) as error:
        voice.say({"event": "failed", "reason": str(error)})
        return
    facts = {"socket": options["socket"], "num_tokens": len(pieces), "silent": library.silent_ids(vocabulary, pieces)}
    voice.say({"event": "ready", **facts, "runtime": type(server).__module__}, pack_pieces(pieces))
    voice.listen()
    while True:
        asked = voice.next_question(timeout_seconds=_REST_SECONDS)
        if asked is None:
            scorer.rest()
            continue
        question, raw = asked
        with contextlib.suppress(Withdrawn):
            try:
                header, answer = _answer(scorer, voice, question, raw)
                voice.say({**header, "id": question["id"]}, answer)
            except (RuntimeError, ValueError) as error:
                voice.say({"id": question["id"], "refused": str(error)})


if __name__ == "__main__":
    main()
