"""How sums are asked for: alone, and going on from the last result."""

from training.corpus.numbers import Operation
from training.corpus.wordings import wordings

SYMBOLS = {
    Operation.ADD: ("+",),
    Operation.SUBTRACT: ("-", "−"),
    Operation.MULTIPLY: ("*", "×", "x"),
    Operation.DIVIDE: ("/", "÷"),
}
WORDS = {
    Operation.ADD: ("plus", "added to"),
    Operation.SUBTRACT: ("minus", "take away"),
    Operation.MULTIPLY: ("times", "multiplied by"),
    Operation.DIVIDE: ("divided by", "over"),
}
QUESTIONS = wordings(
    "What is {sum}?",
    "[What's|How much is|And what is|And how much is|So what is|Now what is|How many is|What number is] {sum}?",
    "{sum}[| =|=| = ?|?| is?| makes?| equals?| gives?]",
    "[Calculate|Compute|Work out|Solve|Evaluate|Find|Do|Try|Please calculate|Please compute|Please work out|Please solve|Now calculate|Now compute|Let us compute|Let us calculate] {sum}.",
    "[Can|Could] you [calculate|compute|work out|solve|find|do|tell me] {sum}?",
    "[Can|Could] you [tell me|say] what {sum} is?",
    "[Tell me|Say|I want to know|I need to know|Please tell me] what {sum} is.",
    "Do you know [what {sum} is|how much {sum} is|the answer to {sum}]?",
    "[Give me|I need|I want|I need to know|I want to know|Tell me|Please give me] [|the result of |the answer to |the value of ]{sum}.",
    "What is the [result|value|answer] [of|for] {sum}?",
    "[What|How much] does {sum} [make|give|equal|come to]?",
    "What would {sum} [be|make|give]?",
    "What is {sum} equal to?",
    "What [do you get for|comes out of|do we get for] {sum}?",
    "[Result|Value|Answer] [of|for] {sum}?",
)
SENTENCES = {
    Operation.ADD: wordings(
        "Add {a} and {b}.",
        "[Add {b} to {a}|Sum up {a} and {b}|Put {a} and {b} together|Please add {a} and {b}|Please add {b} to {a}|Now add {a} and {b}].",
        "[What is|Find|Give me|Tell me|What's|Calculate|Compute|I need] the [sum|total] of {a} and {b}.",
        "What is the [sum|total] of {a} and {b}?",
        "[What do|How much do|What will] {a} and {b} [make|give|come to]?",
        "[What is|How much is|How much are] {a} and {b}[| together]?",
        "What do [you|we|I] get if [you|we|I] add {b} to {a}?",
        "[What is|How much is|Which number is] {b} more than {a}?",
    ),
    Operation.SUBTRACT: wordings(
        "Subtract {b} from {a}.",
        "[Take {b} away from {a}|Take {b} from {a}|Reduce {a} by {b}|Remove {b} from {a}|Please subtract {b} from {a}|Please take {b} from {a}|Now subtract {b} from {a}|Take away {b} from {a}].",
        "[What is|How much is|Which number is] {b} less than {a}?",
        "[What is|How much is] {a} [without|less] {b}?",
        "[What is left of|How much is left of|What remains of] {a} [without {b}|if you take away {b}|after taking away {b}|if we remove {b}|after {b}]?",
        "[What is|Find|Give me|Tell me|Calculate|Compute] the difference of {a} and {b}.",
        "What is the difference of {a} and {b}?",
        "What do [you|we|I] get if [you|we|I] [subtract|take] {b} from {a}?",
    ),
    Operation.MULTIPLY: wordings(
        "Multiply {a} by {b}.",
        "[Multiply {a} and {b}|Multiply {a} with {b}|Take {a} times {b}|Please multiply {a} by {b}|Please multiply {a} and {b}|Now multiply {a} by {b}].",
        "[What is|Find|Give me|Tell me|Calculate|Compute|I need] the product of {a} and {b}.",
        "[What is|How much is|What's] [the product of {a} and {b}|{a} multiplied with {b}|{a} multiplied by {b}]?",
        "What do [you|we|I] get if [you|we|I] multiply {a} [by|and|with] {b}?",
        "[How much|What] do you get for {a} times {b}?",
        "The product of {a} and {b} is?",
        "What does multiplying {a} [by|and|with] {b} give?",
    ),
    Operation.DIVIDE: wordings(
        "Divide {a} by {b}.",
        "[Split|Please divide|Please split|Now divide] {a} by {b}.",
        "[Share {a} among {b}|Divide {a} into {b} parts|Split {a} into {b} parts|Share {a} among {b} people].",
        "How [many times|often] does {b} [go|fit] into {a}?",
        "[Find|What is|Calculate|Compute] {a} [divided|split] by {b}.",
        "What do [you|we|I] get if [you|we|I] [divide|split] {a} by {b}?",
        "[Give me|What is|Find|Tell me|Calculate] the quotient of {a} and {b}.",
        "[What is|How much is] {a} [divided|split] by {b}?",
    ),
}
NEXT_VERBS = {
    Operation.ADD: wordings(
        "we add {b}",
        "[we|you|I] add {b}[| to it| to that| more| to the result]",
        "[we|you|I] [put {b} on top|count {b} more]",
    ),
    Operation.SUBTRACT: wordings(
        "we subtract {b}",
        "[we|you|I] [subtract|take] {b} from [it|that|the result]",
        "[we|you|I] [subtract {b}|take away {b}|take {b} away|remove {b}]",
    ),
    Operation.MULTIPLY: wordings(
        "we multiply it by {b}",
        "[we|you|I] multiply [|it |that |the result ]by {b}",
        "[we|you|I] take [it|that|the result] times {b}",
    ),
    Operation.DIVIDE: wordings(
        "we divide it by {b}",
        "[we|you|I] [divide|split] [it|that|the result] by {b}",
        "[we|you|I] divide by {b}",
    ),
}
NEXT_QUESTIONS = wordings(
    "And if {next}?",
    "[What|And what|Now what|So what|Okay. What|Great. What|Good. What|Thanks! What] if {next}?",
    "[And when|And now|If|Then if|And then if|Okay, and if|Right, and if|Good. And if|Great. And if|Thanks! And if|Thanks! If] {next}?",
    "[What|And what|Now what] happens if {next}?",
    "[What|How much] [is it|would it be|will it be|do we get|do you get|comes out] if {next}?",
    "And what [is it|do we get|do you get|comes out] if {next}?",
    "[Suppose|And suppose|Let's say|Say|And let's say|Now suppose] {next}.",
    "[Then|Now|And then|Next] {next}. What [is it|do we get|comes out]?",
    "What then, if {next}?",
)
NEXT_COMMANDS = {
    Operation.ADD: wordings(
        "Add {b}.",
        "[Now add|And add|Then add|Please add|Okay, add|Next, add] {b}[.| more.| to that.| to it.]",
        "[And plus|Plus|Now plus|Then plus] {b}[.|?]",
    ),
    Operation.SUBTRACT: wordings(
        "Subtract {b}.",
        "[Now subtract|And subtract|Then subtract|Please subtract|Take away|Now take away|Then take away|And take away|Okay, subtract] {b}.",
        "[And minus|Minus|Now minus|Then minus] {b}[.|?]",
        "[Subtract|Take|Now subtract|Now take] {b} from [that|it].",
    ),
    Operation.MULTIPLY: wordings(
        "Multiply that by {b}.",
        "[Multiply|Now multiply|Then multiply|And multiply|Please multiply] [|it |that ]by {b}.",
        "[And times|Times|Now times|Then times] {b}[.|?]",
    ),
    Operation.DIVIDE: wordings(
        "Divide that by {b}.",
        "[Divide|Now divide|Then divide|And divide|Please divide] [|it |that ]by {b}.",
        "[And divided|Divided|Now divided|Then divided] by {b}[.|?]",
    ),
}
