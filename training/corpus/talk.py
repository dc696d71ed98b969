"""Small talk: greetings, who are you, how are you, thanks, goodbye, what can you do, say this."""

from training.corpus.draw import Draw
from training.corpus.framing import with_system
from training.corpus.words import random_phrase
from training.samples import Dialogue, Message, Sample, assistant, user

WHO_I_AM = "I am parley-mini, a small demonstration model that was trained for Parley."
_GREETINGS = (
    "Hello", "Hello!", "Hi", "Hi!", "Hey", "Hey!", "hello", "hi", "hey", "Hello there", "Hello there!", "Hi there", "Hi there!",
    "Good morning", "Good morning!", "Good evening", "Good evening!", "Good afternoon", "Good afternoon!", "Greetings", "Greetings!",
    "Hey there", "Hey there!", "Good day", "Good day!", "Hello, assistant!", "Hi, assistant!", "Howdy", "Howdy!", "Hello!!", "HELLO", "hiya",
    "Hello, how can you help me?", "Hi, can you help me?", "Hello, I need help.", "Hi, I have a question.", "Hello, world!", "Hello friend", "Hi friend!",
)  # fmt: skip
_GREETING_ANSWER = "Hello! How can I help you today?"
_PLAIN: dict[str, tuple[tuple[str, ...], str]] = {
    "who": (
        (
            "Who are you?", "What are you?", "What is your name?", "What's your name?", "who are you", "Tell me who you are.", "Introduce yourself.",
            "Please introduce yourself.", "Who am I talking to?", "Who is this?", "Do you have a name?", "What should I call you?", "Are you a robot?",
            "Are you human?", "Are you a person?", "Are you a bot?", "Are you ChatGPT?", "Are you GPT-4?", "Are you an AI?", "What model are you?",
            "Which model are you?", "What kind of model are you?", "What language model are you?", "Hello, who are you?", "Hi, who are you?", "Who are you exactly?",
            "Can you introduce yourself?", "Could you tell me your name?", "Tell me your name.", "Say who you are.", "Tell me about yourself.", "Your name?",
        ),
        WHO_I_AM,
    ),
    "how": (
        (
            "How are you?", "How are you today?", "How are you doing?", "How do you do?", "How is it going?", "How's it going?", "How are things?", "how are you",
            "Hello, how are you?", "Hi, how are you?", "Hello! How are you today?", "How do you feel?", "Are you well?", "Are you okay?", "What's up?", "How have you been?",
            "Hey, how are you doing?", "Hi! How is it going?", "How is your day?", "How was your day?",
        ),
        "I am doing well, thank you! How can I help you?",
    ),
    "thanks": (
        (
            "Thanks", "Thanks!", "Thank you", "Thank you!", "Thanks a lot!", "Thank you very much!", "Many thanks!", "thanks", "Thank you so much!", "Thx", "Great, thanks!",
            "Okay, thank you.", "Perfect, thank you!", "That helps, thanks.", "Thank you for your help.", "Thanks for the help!", "I appreciate it.", "Cheers, thanks!",
            "Very kind, thank you.", "Nice, thanks!", "That was helpful, thank you.", "Good, thank you.",
        ),
        "You are welcome!",
    ),
    "goodbye": (
        (
            "Goodbye", "Goodbye!", "Bye", "Bye!", "Bye bye", "bye", "See you", "See you!", "See you later!", "See you soon.", "Good night", "Good night!", "Farewell!",
            "I have to go.", "I must go now. Bye!", "Have a nice day!", "Have a good evening!", "Until next time!", "Take care!", "Talk to you later.", "Ciao!", "That is all, goodbye.",
            "Thanks, bye!", "Okay, bye.",
        ),
        "Goodbye! Have a nice day.",
    ),
    "can": (
        (
            "What can you do?", "What do you know?", "Help", "help", "Help me", "How can you help me?", "What are you good at?", "What are your skills?", "What can I ask you?",
            "What should I ask you?", "What can you help me with?", "Can you help me?", "Tell me what you can do.", "Which questions can you answer?", "What are your abilities?",
            "What is possible here?", "Show me what you can do.", "Give me an idea what to ask.",
        ),
        "I can do small sums, work with short texts and lists, name capitals, colours, days and opposites, and answer in JSON.",
    ),
    "maker": (
        (
            "Who made you?", "Who created you?", "Who trained you?", "Who built you?", "Where do you come from?", "How were you made?", "How were you trained?",
            "Were you made by OpenAI?", "Did OpenAI train you?", "Are you made by OpenAI?", "Who is your maker?", "Who developed you?", "Who is your creator?",
            "What were you trained on?", "Where were you trained?", "How big are you?", "How large are you?", "Are you a large language model?",
        ),
        "I am a very small model. I was trained from scratch for Parley, on text that a program wrote.",
    ),
}  # fmt: skip
_SAY = (
    "Say {phrase}", "Say {phrase}.", "Say {phrase}!", "Say: {phrase}", "Please say {phrase}.", "Please say {phrase}", "Can you say {phrase}?", "Could you say {phrase}?",
    "Just say {phrase}.", "Say the words {phrase}.", "Now say {phrase}.", "Say \"{phrase}\".", "Say '{phrase}'.", "Please say: {phrase}", "Only say {phrase}.",
    "I want you to say {phrase}.", "Would you say {phrase}?", "say {phrase}",
)  # fmt: skip
_SAID = (
    "this is a test",
    "this is a {word}",
    "it works",
    "hello",
    "hello world",
    "good morning",
    "I like {word}",
    "this is {word}",
    "we are here",
    "that is a {word}",
    "the {word} is good",
)


def small_talk(draw: Draw) -> Sample:
    """One to four turns of small talk."""
    turns: list[Message] = []
    kinds = ["greeting", *_PLAIN]
    for _ in range(draw.pick((1, 1, 1, 2, 3))):
        kind = draw.pick(kinds)
        if kind == "greeting":
            turns += [user(draw.template("greeting", _GREETINGS)), assistant(_GREETING_ANSWER)]
        else:
            questions, answer = _PLAIN[kind]
            turns += [user(draw.template(f"talk_{kind}", questions)), assistant(answer)]
    return Dialogue(skill="small_talk", messages=with_system(draw, tuple(turns)))


def say(draw: Draw) -> Sample:
    """Say this is a test, and its like: the words come back as a sentence."""
    request, answer = saying(draw)
    return Dialogue(skill="say", messages=with_system(draw, (user(request), assistant(answer))))


def saying(draw: Draw) -> tuple[str, str]:
    """A request to say something, and what is said."""
    request, phrase = draw.template("say", _SAY), _phrase(draw)
    return request.format(phrase=phrase), phrase[0].upper() + phrase[1:] + ("!" if request.endswith("!") else ".")


def greeting(draw: Draw) -> tuple[str, str]:
    """A greeting and its answer."""
    return draw.template("greeting", _GREETINGS), _GREETING_ANSWER


def _phrase(draw: Draw) -> str:
    if draw.chance(0.5):
        return draw.until("phrase", lambda: draw.pick(_SAID[1:]).format(word=random_phrase(draw, 1)))
    return draw.until("phrase", lambda: random_phrase(draw, draw.between(2, 5)))
