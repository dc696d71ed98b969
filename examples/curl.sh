#!/bin/sh
# The API with nothing but curl: what there is, a chat, and a streamed completion.
set -eu

key="Authorization: Bearer $OPENAI_API_KEY"
json="Content-Type: application/json"

curl -sS "$OPENAI_BASE_URL/models" -H "$key"
echo

curl -sS "$OPENAI_BASE_URL/chat/completions" -H "$key" -H "$json" \
    -d '{"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 20}'
echo

curl -sSN "$OPENAI_BASE_URL/completions" -H "$key" -H "$json" \
    -d '{"model": "text-davinci-003", "prompt": "Once upon a time", "max_tokens": 20, "stream": true}'
