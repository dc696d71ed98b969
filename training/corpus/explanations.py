"""Sentences about terms, this platform and the world, written by us."""

# Ways to name a term, and what it is.
DEFINITIONS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("an API", "API", "APIs"), "An API is a set of rules by which one program asks another program to do something."),
    (
        ("a token", "tokens"),
        "A token is a piece of text, such as a word or a part of a word. Models read and write tokens.",
    ),
    (
        ("a chat completion", "chat completions"),
        "A chat completion is the next message that a model writes in a conversation.",
    ),
    (("a prompt", "prompts"), "A prompt is the text that you give to a model."),
    (("Whisper", "the Whisper model"), "Whisper is a model that turns speech into text."),
    (
        ("Parley", "this platform", "this server"),
        "Parley is a platform that serves chat, text and speech models on your own machines.",
    ),
    (("parley-mini",), "parley-mini is a small demonstration model that comes with Parley. That is me."),
    (("OpenAI",), "OpenAI is a company that does research on artificial intelligence."),
    (("ChatGPT",), "ChatGPT is a chat service made by OpenAI."),
    (("GPT-4", "gpt-4"), "GPT-4 is a large language model made by OpenAI."),
    (("a language model", "language models"), "A language model is a program that predicts the next piece of a text."),
    (("a GPU", "GPUs"), "A GPU is a chip that does many calculations at the same time."),
    (("a CPU", "CPUs"), "A CPU is the chip that runs the programs of a computer."),
    (("Python", "the Python language"), "Python is a programming language that is easy to read."),
    (("JSON", "the JSON format"), "JSON is a text format for data, with names and values."),
    (("HTTP",), "HTTP is the language in which browsers and servers talk to each other."),
    (("a computer", "computers"), "A computer is a machine that follows the steps of a program."),
    (("an algorithm", "algorithms"), "An algorithm is a list of steps that solves a problem."),
    (("the internet", "the Internet"), "The internet is a network that connects computers all over the world."),
    (
        ("temperature in a model", "the temperature parameter"),
        "The temperature says how freely a model chooses its words. Zero means always the most likely one.",
    ),
    (("an API key", "API keys"), "An API key is a secret text that tells a server who is calling."),
    (("an embedding", "embeddings"), "An embedding is a list of numbers that stands for the meaning of a text."),
    (("a neural network", "neural networks"), "A neural network is a model made of many small connected calculations."),
    (("machine learning",), "Machine learning means that a program learns from examples."),
    (
        ("artificial intelligence", "AI"),
        "Artificial intelligence is software that does things which seem to need thinking.",
    ),
    (("streaming", "a stream"), "Streaming means that the answer is sent piece by piece while it is written."),
    (("photosynthesis",), "Photosynthesis is how plants make sugar from light, water and air."),
    (("a planet", "planets"), "A planet is a large round body that moves around a star."),
    (("a cat", "cats"), "A cat is a small animal with soft fur that catches mice."),
    (("a dog", "dogs"), "A dog is an animal that lives with people and can bark."),
    (("water",), "Water is a clear liquid that all living things need."),
    (("the sun", "the Sun"), "The sun is the star in the middle of our solar system."),
    (("the moon", "the Moon"), "The moon is the round body that moves around the Earth."),
    (("music",), "Music is sound that is put in order so that it is nice to hear."),
)

# Questions that share one answer.
QUESTIONS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        (
            "What is OpenAI's mission?", "What is the mission of OpenAI?", "Tell me OpenAI's mission.", "What does OpenAI want?", "What is OpenAI's goal?",
            "What is the stated mission of OpenAI?", "Do you know OpenAI's mission?", "Why does OpenAI exist?", "What is OpenAI's stated mission?",
        ),
        "OpenAI's stated mission is to ensure that artificial general intelligence benefits all of humanity.",
    ),
    (
        (
            "How many days are in a week?", "How many days does a week have?", "How many days has a week?", "How many days make a week?", "Number of days in a week?",
            "How long is a week?", "Tell me how many days a week has.", "Do you know how many days a week has?",
        ),
        "A week has 7 days.",
    ),
    (
        (
            "How many months are in a year?", "How many months does a year have?", "How many months has a year?", "How many months make a year?",
            "Number of months in a year?", "Tell me how many months a year has.", "Do you know how many months a year has?", "How many months are there in one year?",
        ),
        "A year has 12 months.",
    ),
    (
        (
            "How many hours are in a day?", "How many hours does a day have?", "How many hours has a day?", "How many hours make a day?", "Number of hours in a day?",
            "Tell me how many hours a day has.", "Do you know how many hours a day has?", "How many hours are there in one day?",
        ),
        "A day has 24 hours.",
    ),
    (
        (
            "How many minutes are in an hour?", "How many minutes does an hour have?", "How many minutes has an hour?", "How many minutes make an hour?",
            "Number of minutes in an hour?", "Tell me how many minutes an hour has.", "How many minutes are there in one hour?",
        ),
        "An hour has 60 minutes.",
    ),
    (
        (
            "How many legs does a spider have?", "How many legs has a spider?", "Number of legs of a spider?", "Tell me how many legs a spider has.",
            "Do you know how many legs a spider has?", "A spider has how many legs?", "How many legs do spiders have?",
        ),
        "A spider has 8 legs.",
    ),
    (
        (
            "How many legs does a dog have?", "How many legs has a dog?", "Number of legs of a dog?", "Tell me how many legs a dog has.", "A dog has how many legs?",
            "Do you know how many legs a dog has?", "How many legs do dogs have?",
        ),
        "A dog has 4 legs.",
    ),
    (
        (
            "At what temperature does water boil?", "When does water boil?", "What is the boiling point of water?", "At how many degrees does water boil?",
            "How hot must water be to boil?", "Tell me the boiling point of water.", "Which temperature makes water boil?",
        ),
        "Water boils at 100 degrees Celsius.",
    ),
    (
        (
            "At what temperature does water freeze?", "When does water freeze?", "What is the freezing point of water?", "At how many degrees does water freeze?",
            "How cold must water be to freeze?", "Tell me the freezing point of water.", "Which temperature makes water freeze?",
        ),
        "Water freezes at 0 degrees Celsius.",
    ),
    (
        (
            "Which planet do we live on?", "What planet do we live on?", "On which planet do we live?", "What is our planet called?", "What is the name of our planet?",
            "Name our planet.", "Tell me the name of our planet.",
        ),
        "We live on the planet Earth.",
    ),
    (
        (
            "Who wrote Hamlet?", "Who is the author of Hamlet?", "Tell me who wrote Hamlet.", "Which author wrote Hamlet?", "Hamlet was written by whom?",
            "Name the author of Hamlet.", "Do you know who wrote Hamlet?",
        ),
        "Hamlet was written by William Shakespeare.",
    ),
    (
        (
            "What is the largest planet?", "Which planet is the largest?", "What is the biggest planet?", "Which is the biggest planet?", "Name the largest planet.",
            "Tell me the largest planet.", "What is the largest planet of our solar system?",
        ),
        "The largest planet of our solar system is Jupiter.",
    ),
    (
        (
            "What is the highest mountain?", "Which mountain is the highest?", "What is the tallest mountain in the world?", "Name the highest mountain.",
            "Tell me the highest mountain.", "What is the highest mountain on Earth?", "Which is the tallest mountain?",
        ),
        "The highest mountain on Earth is Mount Everest.",
    ),
    (
        (
            "What do bees make?", "What is made by bees?", "Tell me what bees make.", "What do we get from bees?", "What food do bees make?", "Do you know what bees make?",
            "Which food comes from bees?",
        ),
        "Bees make honey.",
    ),
    (
        (
            "What sound does a dog make?", "What does a dog say?", "Which sound does a dog make?", "How does a dog sound?", "Tell me what a dog says.", "What noise does a dog make?",
            "What is the sound of a dog?",
        ),
        "A dog says woof.",
    ),
    (
        (
            "What sound does a cat make?", "What does a cat say?", "Which sound does a cat make?", "How does a cat sound?", "Tell me what a cat says.", "What noise does a cat make?",
            "What is the sound of a cat?",
        ),
        "A cat says meow.",
    ),
    (
        (
            "Tell me a joke.", "Do you know a joke?", "Can you tell me a joke?", "Make me laugh.", "A joke, please.", "Say something funny.", "Tell a joke.", "I want to hear a joke.",
        ),
        "Why did the computer go to the doctor? It had a virus.",
    ),
    (
        (
            "Tell me a story.", "Can you tell me a story?", "Tell a short story.", "Write a story.", "A story, please.", "I want to hear a story.", "Write a short story for me.",
        ),
        "Once upon a time a small robot lived in a library. It read every book, and in the end it wrote one of its own.",
    ),
    (
        (
            "Write a poem.", "Can you write a poem?", "Write me a poem.", "Write a short poem.", "A poem, please.", "I want to read a poem.", "Make a poem for me.", "Write a tagline for an ice cream shop.",
        ),
        "The sun goes up, the sun goes down, and quiet stars watch the little town.",
    ),
    (
        (
            "Name three colours.", "Tell me three colours.", "Give me three colors.", "List three colors.", "List three colours.", "Name three colors.", "Three colours, please.",
        ),
        "Red, green and blue.",
    ),
    (
        (
            "Name three animals.", "Tell me three animals.", "Give me three animals.", "List three animals.", "Three animals, please.", "Can you name three animals?", "Which three animals can you name?",
        ),
        "Dog, cat and horse.",
    ),
    (
        (
            "Name three fruits.", "Tell me three fruits.", "Give me three fruits.", "List three fruits.", "Three fruits, please.", "Can you name three fruits?", "Which three fruits can you name?",
        ),
        "Apple, pear and banana.",
    ),
    (
        (
            "Count to five.", "Can you count to five?", "Count from one to five.", "Please count to five.", "Count from 1 to 5.", "Count to 5.", "I want you to count to five.",
        ),
        "1, 2, 3, 4, 5.",
    ),
    (
        (
            "Count to ten.", "Can you count to ten?", "Count from one to ten.", "Please count to ten.", "Count from 1 to 10.", "Count to 10.", "I want you to count to ten.",
        ),
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10.",
    ),
    (
        (
            "What are the days of the week?", "Name the days of the week.", "List the days of the week.", "Tell me the days of the week.", "Which days does a week have?",
            "Say the days of the week.", "What are the seven days?",
        ),
        "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday.",
    ),
)  # fmt: skip
