"""Small talk: greetings, who are you, how are you, thanks, goodbye, what can you do, say this."""

from training.corpus.draw import Draw
from training.corpus.framing import typed, with_system
from training.corpus.words import random_word, random_words
from training.samples import Dialogue, Message, Sample, assistant, user

WHO_I_AM = "I am parley-mini, a small demonstration model that was trained for Parley."
# Every wording stands here once: marks at the end and small letters are the typist's, on both sides of the split.
_GREETINGS = (
    "Hello!", "Hi!", "Hey!", "Hello there!", "Hi there!", "Hey there!", "Good morning!", "Good evening!", "Good afternoon!", "Greetings!", "Good day!", "Hello, assistant!", "Hi, assistant!",
    "Howdy!", "Hiya!", "Hello, how can you help me?", "Hi, can you help me?", "Hello, I need help.", "Hi, I have a question.", "Hello, world!", "Hello friend!", "Hi friend!", "Hello again!", "Hey you!",
    "Hi again!", "Hello everyone!", "Good morning, assistant!", "Hello, are you there?", "Hi, are you there?", "Hello, I have a question.", "Hey, I need help.", "Nice to meet you!", "Hello and good morning!",
    "Hello hello!", "Hi, good morning!",
)  # fmt: skip
_GREETING_ANSWER = "Hello! How can I help you today?"
_PLAIN: dict[str, tuple[tuple[str, ...], str]] = {
    "who": (
        (
            "Who are you?", "What are you?", "What is your name?", "What's your name?", "Tell me who you are.", "Introduce yourself.", "Please introduce yourself.", "Who am I talking to?", "Who is this?",
            "Do you have a name?", "What should I call you?", "Are you a robot?", "Are you human?", "Are you a person?", "Are you a bot?", "Are you ChatGPT?", "Are you GPT-4?", "Are you an AI?",
            "What model are you?", "Which model are you?", "What kind of model are you?", "What language model are you?", "Hello, who are you?", "Hi, who are you?", "Who are you exactly?",
            "Can you introduce yourself?", "Could you tell me your name?", "Tell me your name.", "Say who you are.", "Tell me about yourself.", "Your name?", "And who are you?", "What are you called?",
            "Please tell me your name.", "Are you a machine?", "Are you a computer?", "Are you a real person?", "Hello, what is your name?", "Can you tell me who you are?", "May I ask your name?",
            "Which name do you have?", "Are you an assistant?",
        ),
        WHO_I_AM,
    ),
    "how": (
        (
            "How are you?", "How are you today?", "How are you doing?", "How do you do?", "How is it going?", "How's it going?", "How are things?", "Hello, how are you?", "Hi, how are you?",
            "Hello! How are you today?", "How do you feel?", "Are you well?", "Are you okay?", "What's up?", "How have you been?", "Hey, how are you doing?", "Hi! How is it going?", "How is your day?",
            "How was your day?", "And how are you?", "Are you fine?", "How are you feeling?", "How do you feel today?", "Hey, how are you?", "How are things going?", "Good morning, how are you?",
            "How is everything?", "Everything okay?", "Hello, how is it going?",
        ),
        "I am doing well, thank you! How can I help you?",
    ),
    "thanks": (
        (
            "Thanks!", "Thank you!", "Thanks a lot!", "Thank you very much!", "Many thanks!", "Thank you so much!", "Thx", "Great, thanks!", "Okay, thank you.", "Perfect, thank you!", "That helps, thanks.",
            "Thank you for your help.", "Thanks for the help!", "I appreciate it.", "Cheers, thanks!", "Very kind, thank you.", "Nice, thanks!", "That was helpful, thank you.", "Good, thank you.",
            "Thanks so much!", "Thanks for your help!", "Thank you for the answer.", "Thanks for the answer!", "Wonderful, thank you!", "Okay, thanks!", "Thank you a lot!", "Good, thanks!", "That helped, thank you!",
            "You helped me, thanks!", "I thank you.", "Thanks again!", "Thank you again!",
        ),
        "You are welcome!",
    ),
    "goodbye": (
        (
            "Goodbye!", "Bye!", "Bye bye!", "See you!", "See you later!", "See you soon.", "Good night!", "Farewell!", "I have to go.", "I must go now. Bye!", "Have a nice day!", "Have a good evening!",
            "Until next time!", "Take care!", "Talk to you later.", "Ciao!", "That is all, goodbye.", "Thanks, bye!", "Okay, bye.", "Bye for now!", "See you tomorrow!", "I am leaving now.", "Have a good day!",
            "Goodbye and thanks!", "So long!", "Until tomorrow!", "I must leave. Goodbye!", "Bye, have a nice day!", "Good night and goodbye!", "See you next time!", "That is all, bye.", "I have to leave now.",
            "Well, goodbye!", "Goodbye, assistant!",
        ),
        "Goodbye! Have a nice day.",
    ),
    "can": (
        (
            "What can you do?", "What do you know?", "Help", "Help me", "How can you help me?", "What are you good at?", "What are your skills?", "What can I ask you?", "What should I ask you?",
            "What can you help me with?", "Can you help me?", "Tell me what you can do.", "Which questions can you answer?", "What are your abilities?", "What is possible here?", "Show me what you can do.",
            "Give me an idea what to ask.", "What can you do for me?", "What do you do?", "Which things can you do?", "What skills do you have?", "Which skills do you have?", "How do you help me?",
            "What can I do with you?", "Tell me your skills.", "List what you can do.", "What kind of questions can I ask?", "What are you able to do?", "What tasks can you do?", "Explain what you can do.",
            "I need help.", "Please help me.", "What do you offer?",
        ),
        "I can do small sums, work with short texts and lists, name capitals, colours, days and opposites, and answer in JSON.",
    ),
    "maker": (
        (
            "Who made you?", "Who created you?", "Who trained you?", "Who built you?", "Where do you come from?", "How were you made?", "How were you trained?", "Were you made by OpenAI?",
            "Did OpenAI train you?", "Are you made by OpenAI?", "Who is your maker?", "Who developed you?", "Who is your creator?", "What were you trained on?", "Where were you trained?", "How big are you?",
            "How large are you?", "Are you a large language model?", "Who wrote you?", "Did OpenAI make you?", "Who has trained you?", "Who has made you?", "How did you learn?", "Were you trained by OpenAI?",
            "Are you from OpenAI?", "Are you a big model?", "Are you a small model?", "What were you made from?", "Which company made you?", "Where were you made?", "How were you built?",
        ),
        "I am a very small model. I was trained from scratch for Parley, on text that a program wrote.",
    ),
}  # fmt: skip
_SAY = (
    "Say {phrase}", "Say {phrase}.", "Say {phrase}!", "Say: {phrase}", "Please say {phrase}.", "Please say {phrase}", "Can you say {phrase}?", "Could you say {phrase}?",
    "Just say {phrase}.", "Say the words {phrase}.", "Now say {phrase}.", "Say \"{phrase}\".", "Say '{phrase}'.", "Please say: {phrase}", "Only say {phrase}.",
    "I want you to say {phrase}.", "Would you say {phrase}?", "Now say: {phrase}", "Say this: {phrase}", "Please say this: {phrase}", "Can you say this? {phrase}", "Say the following: {phrase}",
    "Please say \"{phrase}\".", "Can you say \"{phrase}\"?", "Say just {phrase}.", "Say only {phrase}.", "Now please say {phrase}.", "You say {phrase}.", "Say the sentence {phrase}.", "Could you please say {phrase}?",
    "Please say the words {phrase}.", "Say the words: {phrase}", "I would like you to say {phrase}.",
)  # fmt: skip
_SAID = (
    "this is a test", "this is a {word}", "it works", "hello", "hello world", "good morning", "I like {word}", "this is {word}", "we are here", "that is a {word}", "the {word} is good", "I am a {word}",
    "all is well", "here is the {word}", "we like {word}", "I have a {word}", "my {word} is here", "the {word} works", "I am here", "good night", "welcome", "this is my {word}", "it is a {word}", "I can do it",
)  # fmt: skip


def small_talk(draw: Draw) -> Sample:
    """One to four turns of small talk."""
    turns: list[Message] = []
    kinds = ["greeting", *_PLAIN]
    for _ in range(draw.pick((1, 1, 1, 2, 3))):
        kind = draw.pick(kinds)
        if kind == "greeting":
            turns += [user(typed(draw, draw.template("greeting", _GREETINGS))), assistant(_GREETING_ANSWER)]
        else:
            questions, answer = _PLAIN[kind]
            turns += [user(typed(draw, draw.template(f"talk_{kind}", questions))), assistant(answer)]
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
        return draw.until("phrase", lambda: draw.pick(_SAID[1:]).format(word=random_word(draw)))
    return draw.until("phrase", lambda: " ".join(random_words(draw, 2, 5)))
