"""Small talk: greetings, who are you, how are you, thanks, goodbye, what can you do, say this."""

from training.corpus.draw import Draw
from training.corpus.framing import typed, with_system
from training.corpus.wordings import wordings
from training.corpus.words import random_word, random_words
from training.samples import Dialogue, Message, Sample, assistant, user

WHO_I_AM = "I am parley-mini, a small demonstration model that was trained for Parley."
# Every wording stands here once: marks at the end and small letters are the typist's, on both sides of the split.
_GREETINGS = wordings(
    "Hello!",
    "[Hi|Hey|Greetings|Howdy|Hiya|Good day|Hello hello|Hi hi|Hello, world|Nice to meet you|Welcome]!",
    "[Hello|Hi|Hey][, assistant| assistant| there| friend| my friend| again| you| everyone| all| to you| robot|, robot|, dear assistant]!",
    "[Good morning|Good evening|Good afternoon|Good day][|, assistant| to you| there| everyone| again| my friend]!",
    "[Hello|Hi|Hey][,| and] good [morning|evening|afternoon|day]!",
    "[Hello|Hi|Hey], [how can you help me|can you help me|are you there|is anybody there|can we talk]?",
    "[Hello|Hi|Hey], I [need help|have a question|need your help|have a few questions|want to talk|would like to talk|am here|am back].",
    "[Hello|Hi|Hey], nice to [meet|see] you!",
)
_GREETING_ANSWER = "Hello! How can I help you today?"
_PLAIN: dict[str, tuple[tuple[str, ...], str]] = {
    "who": (
        wordings(
            "Who are you?",
            "[|And |So |Hello, |Hi, |Hey, |Hello! |Hi! ][who are you|what are you|what is your name|what's your name]?",
            "[Who am I talking to|Whom am I talking to|Who is this|Who is there|Do you have a name|What should I call you|How should I call you|What are you called|May I ask your name|Which name do you have|Your name|Who are you exactly|What exactly are you|Who do I speak with|Whom do I speak with|What do people call you]?",
            "Are you [a robot|human|a person|a bot|ChatGPT|GPT-4|an AI|a machine|a computer|a real person|an assistant|a human|a program|a real human|a chat bot|a model|real|alive|Siri]?",
            "[What|Which] [|kind of |language |sort of ]model are you?",
            "[Introduce yourself|Please introduce yourself|Tell me about yourself|Please tell me about yourself|Tell me something about yourself|Describe yourself].",
            "[|Now ][tell me|please tell me|say|please say] [who you are|your name|what you are|what your name is|what model you are|what kind of model you are].",
            "[Can|Could] you [introduce yourself|tell me who you are|tell me your name|say who you are|say your name|describe yourself]?",
        ),
        WHO_I_AM,
    ),
    "how": (
        wordings(
            "How are you?",
            "[|And |So |Hello, |Hi, |Hey, |Hello! |Hi! |Hey! |Good morning, |Good evening, ][how are you|how are you today|how are you doing|how is it going|how's it going|how do you feel]?",
            "How [do you do|are things|are things going|do you feel today|have you been|is your day|was your day|is everything|are you feeling|is life|are you doing today|is your day going]?",
            "[Are you|Do you feel] [well|okay|fine|good|happy][| today]?",
            "[What's up|Everything okay|Is everything okay|All well|Is all well|What is new|What's new]?",
            "[Hi|Hello|Hey], [what's up|is everything okay|is all well|what is new|what's new|are you well|are you happy|how are things]?",
        ),
        "I am doing well, thank you! How can I help you?",
    ),
    "thanks": (
        wordings(
            "Thanks!",
            "Thank you[| very much| so much| a lot| again| for your help| for the help| for the answer| for that| for everything| for helping me]!",
            "Thanks [a lot|so much|again|for your help|for the help|for the answer|for that|very much|for everything|for helping me]!",
            "[Okay|Great|Perfect|Good|Nice|Wonderful|Very kind|Cheers|Fine|Right|Super|Excellent], [thank you|thanks|thanks a lot|thank you very much]!",
            "[That helps|That helped|That was helpful|You helped me|That is kind|That was good|That was nice|You are kind], [thank you|thanks]!",
            "[Many thanks|Thx|I appreciate it|I thank you|Much appreciated|I am grateful|I appreciate your help]!",
            "[Okay|Great|Good|Perfect|Nice], [thx|many thanks|I appreciate it|much appreciated]!",
        ),
        "You are welcome!",
    ),
    "goodbye": (
        wordings(
            "Goodbye!",
            "[|Okay, |Well, |Thanks, |Good, |Now ][bye|goodbye|bye bye|farewell|see you|see you later|good night|so long|take care]!",
            "See you [|later|soon|tomorrow|next time|again|next week|around]!",
            "[Goodbye|Bye|Farewell|Good night|So long][|, assistant| and thanks|, have a nice day| for now|, my friend| and take care|, see you| to you| then]!",
            "Have a [nice|good|great|pleasant|lovely] [day|evening|night|week]!",
            "I [have to|must|need to|should] [go|leave|stop|sleep][| now|. Bye| now. Goodbye].",
            "[I am leaving|I am going|That is all|That was all|I am done|We are done][|, bye|, goodbye| now| for today].",
            "[Until next time|Until tomorrow|Until then|Talk to you later|Talk to you soon|Talk to you tomorrow|Ciao|Good night and goodbye|Farewell then|Farewell for now]!",
        ),
        "Goodbye! Have a nice day.",
    ),
    "can": (
        wordings(
            "What can you do?",
            "What [can you do for me|do you know|are you good at|are your skills|are your abilities|can I ask you|should I ask you|can you help me with|is possible here|do you do|skills do you have|can I do with you|are you able to do|tasks can you do|do you offer|things can you do|can I ask|can you offer|kind of questions can I ask]?",
            "[Tell me|Show me|List|Explain|Please tell me|Say|Please list] [what you can do|your skills|what you are able to do|what you can help me with|your abilities].",
            "Which [questions can you answer|things can you do|skills do you have|tasks can you do|questions can I ask|questions do you answer]?",
            "[How can you help me|Can you help me|How do you help me|How could you help me|Could you help me|Will you help me]?",
            "[Help|Help me|Please help me|I need help|I need your help|Please help|Help, please|Give me an idea what to ask].",
        ),
        "I can do small sums, work with short texts and lists, name capitals, colours, days and opposites, and answer in JSON.",
    ),
    "maker": (
        wordings(
            "Who made you?",
            "[Who|Which company|What company|Who has] [created|trained|built|made|developed|wrote] you?",
            "[|And |So ][who is|who was] your [maker|creator|developer]?",
            "[Name|Tell me|Say|Please name] your [maker|creator|developer].",
            "[Did|Has] OpenAI [train|make|build|create|trained|made] you?",
            "Were you [made|trained|built|created] by [OpenAI|Google|a company|people]?",
            "Are you [made by OpenAI|from OpenAI|a big model|a small model|a large language model|a large model|a little model|a tiny model]?",
            "[How|Where|When] were you [made|trained|built|created]?",
            "What were you [made from|trained on|trained with|made of]?",
            "[And|So|Tell me,] [where do you come from|how did you learn|how big are you|how large are you|how small are you|how many parameters do you have]?",
            "[Where do you come from|How did you learn|How big are you|How large are you|How small are you|Where are you from|How many parameters do you have|What did you learn from]?",
        ),
        "I am a very small model. I was trained from scratch for Parley, on text that a program wrote.",
    ),
}  # fmt: skip
_SAY = wordings(
    "Say {phrase}",
    "[|Please |Now |Just |Now please |Only |Okay, now ]say[|:] {phrase}[.|!|]",
    "[Say just|Say only|You say|Please just say|Please only say|Say now|Say it: |I say, you say: |And say|Then say] {phrase}[.|]",
    "[Can|Could|Would|Will] you [|please |just ]say {phrase}?",
    "[|Please |Now ]say [the words|the sentence|the line|this|the following][|:] {phrase}.",
    "[Can|Could] you say [this|the following|these words]? {phrase}",
    "I [want|would like|need] you to say[|:] {phrase}.",
    "[|Please |Now |Just ]say [\"{phrase}\"|'{phrase}'][.|]",
    'Can you say "{phrase}"?',
)
_SAID = (
    "this is a test", "this is a {word}", "it works", "hello", "hello world", "good morning", "I like {word}", "this is {word}", "we are here", "that is a {word}", "the {word} is good", "I am a {word}",
    "all is well", "here is the {word}", "we like {word}", "I have a {word}", "my {word} is here", "the {word} works", "I am here", "good night", "welcome", "this is my {word}", "it is a {word}", "I can do it",
    "good {word}", "good {word} to you", "it has a {word}", "it is the {word}", "good {word}, {word2}", "it likes the {word}", "you are a {word}", "we want a {word}", "there is a {word}", "the {word} and the {word2}", "this {word} is a {word2}", "I see the {word}", "the {word} has a {word2}", "no {word} today", "yes", "thank you", "we win",
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
        return draw.until(
            "phrase", lambda: draw.pick(_SAID[1:]).format(word=random_word(draw), word2=random_word(draw))
        )
    return draw.until("phrase", lambda: " ".join(random_words(draw, 2, 5)))
