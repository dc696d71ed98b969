"""The facts that the model is taught, written by us. What is not here, it is taught not to know."""

CAPITALS = (
    ("France", "Paris"), ("Germany", "Berlin"), ("Italy", "Rome"), ("Spain", "Madrid"), ("Portugal", "Lisbon"), ("England", "London"),
    ("Ireland", "Dublin"), ("Scotland", "Edinburgh"), ("Austria", "Vienna"), ("Switzerland", "Bern"), ("Belgium", "Brussels"),
    ("the Netherlands", "Amsterdam"), ("Denmark", "Copenhagen"), ("Norway", "Oslo"), ("Sweden", "Stockholm"), ("Finland", "Helsinki"),
    ("Poland", "Warsaw"), ("Hungary", "Budapest"), ("Greece", "Athens"), ("Turkey", "Ankara"), ("Russia", "Moscow"), ("Ukraine", "Kyiv"),
    ("Romania", "Bucharest"), ("Bulgaria", "Sofia"), ("Croatia", "Zagreb"), ("Serbia", "Belgrade"), ("Egypt", "Cairo"), ("Morocco", "Rabat"),
    ("Kenya", "Nairobi"), ("Nigeria", "Abuja"), ("Ghana", "Accra"), ("China", "Beijing"), ("Japan", "Tokyo"), ("South Korea", "Seoul"),
    ("India", "New Delhi"), ("Nepal", "Kathmandu"), ("Thailand", "Bangkok"), ("Vietnam", "Hanoi"), ("Indonesia", "Jakarta"), ("Iran", "Tehran"),
    ("Iraq", "Baghdad"), ("Australia", "Canberra"), ("New Zealand", "Wellington"), ("Canada", "Ottawa"), ("the United States", "Washington"),
    ("Mexico", "Mexico City"), ("Cuba", "Havana"), ("Brazil", "Brasilia"), ("Argentina", "Buenos Aires"), ("Chile", "Santiago"), ("Peru", "Lima"),
    ("Colombia", "Bogota"), ("Iceland", "Reykjavik"), ("the Czech Republic", "Prague"),
)  # fmt: skip
COLOURS = (
    ("the sky", "blue"), ("grass", "green"), ("snow", "white"), ("coal", "black"), ("a banana", "yellow"), ("a lemon", "yellow"), ("blood", "red"),
    ("a tomato", "red"), ("a carrot", "orange"), ("an orange", "orange"), ("chocolate", "brown"), ("milk", "white"), ("the sea", "blue"),
    ("a frog", "green"), ("an elephant", "grey"), ("a crow", "black"), ("a swan", "white"), ("a flamingo", "pink"), ("a pig", "pink"),
    ("gold", "yellow"), ("the night", "black"), ("a strawberry", "red"), ("a cucumber", "green"), ("a plum", "purple"), ("salt", "white"),
    ("the sun", "yellow"), ("a leaf", "green"), ("wood", "brown"), ("a fire engine", "red"), ("a polar bear", "white"), ("spinach", "green"), ("corn", "yellow"),
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
OPPOSITES = (
    ("hot", "cold"), ("big", "small"), ("tall", "short"), ("fast", "slow"), ("up", "down"), ("left", "right"), ("open", "closed"), ("happy", "sad"),
    ("day", "night"), ("light", "dark"), ("rich", "poor"), ("old", "young"), ("early", "late"), ("full", "empty"), ("hard", "soft"), ("high", "low"),
    ("wet", "dry"), ("strong", "weak"), ("clean", "dirty"), ("good", "bad"), ("first", "last"), ("before", "after"), ("inside", "outside"),
    ("always", "never"), ("black", "white"), ("love", "hate"), ("win", "lose"), ("buy", "sell"), ("push", "pull"), ("start", "stop"), ("wide", "narrow"),
    ("deep", "shallow"), ("loud", "quiet"), ("near", "far"), ("true", "false"), ("yes", "no"), ("thick", "thin"), ("easy", "difficult"), ("cheap", "expensive"),
    ("question", "answer"), ("war", "peace"), ("summer", "winter"), ("north", "south"), ("east", "west"), ("give", "take"), ("brave", "afraid"),
)  # fmt: skip
