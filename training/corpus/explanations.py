"""Sentences about terms, this platform and the world, written by us."""

from training.corpus.wordings import wordings

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
        wordings(
            "What is OpenAI's mission?",
            "[What is|What's|Do you know|Tell me|Say|Please tell me] [OpenAI's|the OpenAI|OpenAI's stated] [mission|goal|aim][?|.]",
            "[What is|Tell me|Explain|Do you know] the [|stated ][mission|goal|aim] of OpenAI[?|.]",
            "[What does OpenAI want|Why does OpenAI exist|What does OpenAI work for|Why was OpenAI founded]?",
        ),
        "OpenAI's stated mission is to ensure that artificial general intelligence benefits all of humanity.",
    ),
    (
        wordings(
            "How many days are in a week?",
            "How many days [are there in|make|has|are in] [a|one] week?",
            "How many days does [a|one] week have?",
            "[Tell me|Do you know|Say|Please tell me] how many days [a|one] week has.",
            "[Number of days in a week|A week has how many days|What is the number of days in a week]?",
        ),
        "A week has 7 days.",
    ),
    (
        wordings(
            "How many months are in a year?",
            "How many months [are there in|make|has|are in] [a|one] year?",
            "How many months does [a|one] year have?",
            "[Tell me|Do you know|Say|Please tell me] how many months [a|one] year has.",
            "[Number of months in a year|A year has how many months|What is the number of months in a year]?",
        ),
        "A year has 12 months.",
    ),
    (
        wordings(
            "How many hours are in a day?",
            "How many hours [are there in|make|has|are in] [a|one] day?",
            "How many hours does [a|one] day have?",
            "[Tell me|Do you know|Say|Please tell me] how many hours [a|one] day has.",
            "[Number of hours in a day|A day has how many hours|What is the number of hours in a day]?",
        ),
        "A day has 24 hours.",
    ),
    (
        wordings(
            "How many minutes are in an hour?",
            "How many minutes [are there in|make|has|are in] [an|one] hour?",
            "How many minutes does [an|one] hour have?",
            "[Tell me|Do you know|Say|Please tell me] how many minutes [an|one] hour has.",
            "[Number of minutes in an hour|An hour has how many minutes|What is the number of minutes in an hour]?",
        ),
        "An hour has 60 minutes.",
    ),
    (
        wordings(
            "How many legs does a spider have?",
            "How many legs [has a spider|do spiders have|have spiders]?",
            "[Tell me|Do you know|Say|Please tell me] how many legs [a spider has|spiders have].",
            "[Number of legs of a spider|A spider has how many legs|What is the number of legs of a spider]?",
        ),
        "A spider has 8 legs.",
    ),
    (
        wordings(
            "How many legs does a dog have?",
            "How many legs [has a dog|do dogs have|have dogs]?",
            "[Tell me|Do you know|Say|Please tell me] how many legs [a dog has|dogs have].",
            "[Number of legs of a dog|A dog has how many legs|What is the number of legs of a dog]?",
        ),
        "A dog has 4 legs.",
    ),
    (
        wordings(
            "At what temperature does water boil?",
            "[When|At how many degrees|At which temperature] does water boil?",
            "[What is|Tell me|Give me|Do you know] the boiling point of water[?|.]",
            "[How hot must water be to boil|Which temperature makes water boil|What temperature makes water boil|How hot is water when it boils|Water boils at how many degrees|Water boils when]?",
        ),
        "Water boils at 100 degrees Celsius.",
    ),
    (
        wordings(
            "At what temperature does water freeze?",
            "[When|At how many degrees|At which temperature] does water freeze?",
            "[What is|Tell me|Give me|Do you know] the freezing point of water[?|.]",
            "[How cold must water be to freeze|Which temperature makes water freeze|What temperature makes water freeze|How cold is water when it freezes|Water freezes at how many degrees|Water freezes when]?",
        ),
        "Water freezes at 0 degrees Celsius.",
    ),
    (
        wordings(
            "Which planet do we live on?",
            "[What|Which] planet [do we live on|is our planet|do people live on|are we on]?",
            "[On which planet|On what planet] [do we live|are we|do people live]?",
            "[What is|Tell me|Say|Do you know] the name of our planet[?|.]",
            "[What is our planet called|How is our planet called|What do we call our planet]?",
            "[Name our planet|Name the planet that we live on].",
        ),
        "We live on the planet Earth.",
    ),
    (
        wordings(
            "Who wrote Hamlet?",
            "[Who is|Name|Tell me|Do you know|Who was] the [author|writer] of Hamlet[?|.]",
            "[Tell me|Do you know|Say] who wrote Hamlet.",
            "[Which author|Which writer|What author] wrote Hamlet?",
            "[Hamlet was written by whom|By whom was Hamlet written|Hamlet was written by]?",
        ),
        "Hamlet was written by William Shakespeare.",
    ),
    (
        wordings(
            "What is the largest planet?",
            "[What is|Which is|Name|Tell me|Do you know] the [largest|biggest] planet[?|.| of our solar system.| of our solar system?]",
            "Which planet is the [largest|biggest][| of our solar system]?",
        ),
        "The largest planet of our solar system is Jupiter.",
    ),
    (
        wordings(
            "What is the highest mountain?",
            "[What is|Which is|Name|Tell me|Do you know] the [highest|tallest] mountain[?|.| in the world.| on Earth?| in the world?]",
            "Which mountain is the [highest|tallest][| on Earth| in the world]?",
        ),
        "The highest mountain on Earth is Mount Everest.",
    ),
    (
        wordings(
            "What do bees make?",
            "[What is made by bees|What do we get from bees|What food do bees make|Which food comes from bees|What comes from bees|What food comes from bees|Which food do bees make|What food do we get from bees]?",
            "[Tell me|Do you know|Say] what bees make.",
            "[Tell me|Do you know|Say] [what we get|which food we get] from bees.",
        ),
        "Bees make honey.",
    ),
    (
        wordings(
            "What sound does a dog make?",
            "[What|Which] [sound|noise] [does a dog make|do dogs make]?",
            "[What does a dog say|How does a dog sound|What do dogs say|What is the sound of a dog]?",
            "[Tell me|Do you know|Say] [what a dog says|what sound a dog makes|the sound of a dog].",
        ),
        "A dog says woof.",
    ),
    (
        wordings(
            "What sound does a cat make?",
            "[What|Which] [sound|noise] [does a cat make|do cats make]?",
            "[What does a cat say|How does a cat sound|What do cats say|What is the sound of a cat]?",
            "[Tell me|Do you know|Say] [what a cat says|what sound a cat makes|the sound of a cat].",
        ),
        "A cat says meow.",
    ),
    (
        wordings(
            "Tell me a joke.",
            "[|Please ]tell [|me ][a joke|a funny joke|something funny].",
            "[Do you know|Can you tell me|Could you tell me|Can you tell|Do you have] [a joke|a funny joke]?",
            "[Make me laugh|A joke, please|Say something funny|Please make me laugh|A funny joke, please|I want to laugh].",
            "I [want|would like|need] [a joke|to hear a joke|to hear something funny].",
        ),
        "Why did the computer go to the doctor? It had a virus.",
    ),
    (
        wordings(
            "Tell me a story.",
            "[|Please ][tell|write] [|me ][a story|a short story][.| please.]",
            "[Can|Could] you [tell|write] [|me ][a story|a short story]?",
            "[A story, please|A short story, please|Write a short story for me|Write a story for me].",
            "I [want|would like] [a story|to hear a story|to read a story].",
        ),
        "Once upon a time a small robot lived in a library. It read every book, and in the end it wrote one of its own.",
    ),
    (
        wordings(
            "Write a poem.",
            "[|Please ][write|make] [|me ][a poem|a short poem|a small poem].",
            "[Can|Could] you [write|make] [|me ][a poem|a short poem]?",
            "[A poem, please|A short poem, please|Write a poem for me|Make a poem for me].",
            "I [want|would like] [a poem|to hear a poem|to read a poem].",
        ),
        "The sun goes up, the sun goes down, and quiet stars watch the little town.",
    ),
    (
        wordings(
            "Name three colours.",
            "[Tell me|Give me|List|Name|Please name|Please list] three [colours|colors].",
            "[Three [colours|colors], please|I need three [colours|colors]|Three [colours|colors]].",
            "[Can|Could] you [name|list|tell me|give me] three [colours|colors]?",
            "Which three [colours|colors] [can you name|do you know]?",
        ),
        "Red, green and blue.",
    ),
    (
        wordings(
            "Name three animals.",
            "[Tell me|Give me|List|Name|Please name|Please list] three animals.",
            "[Three animals, please|I need three animals|Three animals].",
            "[Can|Could] you [name|list|tell me|give me] three animals?",
            "Which three animals [can you name|do you know]?",
        ),
        "Dog, cat and horse.",
    ),
    (
        wordings(
            "Name three fruits.",
            "[Tell me|Give me|List|Name|Please name|Please list] three fruits.",
            "[Three fruits, please|I need three fruits|Three fruits].",
            "[Can|Could] you [name|list|tell me|give me] three fruits?",
            "Which three fruits [can you name|do you know]?",
        ),
        "Apple, pear and banana.",
    ),
    (
        wordings(
            "Count to five.",
            "[|Please |Now ]count [to|from 1 to|from one to|up to] [five|5].",
            "[Can|Could] you count [to|from 1 to|from one to|up to] [five|5]?",
            "I want you to count to [five|5].",
        ),
        "1, 2, 3, 4, 5.",
    ),
    (
        wordings(
            "Count to ten.",
            "[|Please |Now ]count [to|from 1 to|from one to|up to] [ten|10].",
            "[Can|Could] you count [to|from 1 to|from one to|up to] [ten|10]?",
            "I want you to count to [ten|10].",
        ),
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10.",
    ),
    (
        wordings(
            "What are the days of the week?",
            "[|Please ][name|list|say|tell me|give me] [the days of the week|the days of a week|all days of the week|the seven days].",
            "[What are|Can you name|Can you list|Do you know] the [seven days|days of the week|days of a week]?",
            "[Which|What] days [does a week have|are in a week|has a week]?",
        ),
        "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday.",
    ),
)  # fmt: skip
