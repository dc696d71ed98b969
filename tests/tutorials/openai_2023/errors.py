"""What goes wrong, and the class that says so."""

import openai

messages = [{"role": "user", "content": "Hello"}]


def attempt(name, **arguments):
    try:
        openai.ChatCompletion.create(**arguments)
    except openai.error.OpenAIError as e:
        print(f"{name}: {type(e).__name__} {e.http_status} {e.error.code} {getattr(e, 'param', None)} {e.user_message}")
        print(f"{name} id: {e.headers['x-request-id']}")
    else:
        print(f"{name}: no error")


attempt("wrong key", model="gpt-3.5-turbo", messages=messages, api_key="sk-0000000000000000000000000000")
attempt("unknown model", model="gpt-nonesuch", messages=messages)
attempt("no messages", model="gpt-3.5-turbo", messages=[])
attempt("wrong type", model="gpt-3.5-turbo", messages=messages, max_tokens="ten")
attempt("too hot", model="gpt-3.5-turbo", messages=messages, temperature=3)
attempt("unknown field", model="gpt-3.5-turbo", messages=messages, top_k=5)
attempt("too long", model="gpt-3.5-turbo", messages=[{"role": "user", "content": "word and word " * 9000}])
