"""The languages that speech may be in: codes of ISO-639-1 (and the three of Whisper's that it lacks), with English names."""

from collections.abc import Mapping
from types import MappingProxyType

LANGUAGES: Mapping[str, str] = MappingProxyType(
    {
        "af": "afrikaans", "am": "amharic", "ar": "arabic", "as": "assamese", "az": "azerbaijani", "ba": "bashkir",
        "be": "belarusian", "bg": "bulgarian", "bn": "bengali", "bo": "tibetan", "br": "breton", "bs": "bosnian",
        "ca": "catalan", "cs": "czech", "cy": "welsh", "da": "danish", "de": "german", "el": "greek",
        "en": "english", "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish",
        "fo": "faroese", "fr": "french", "gl": "galician", "gu": "gujarati", "ha": "hausa", "haw": "hawaiian",
        "he": "hebrew", "hi": "hindi", "hr": "croatian", "ht": "haitian creole", "hu": "hungarian", "hy": "armenian",
        "id": "indonesian", "is": "icelandic", "it": "italian", "ja": "japanese", "jw": "javanese", "ka": "georgian",
        "kk": "kazakh", "km": "khmer", "kn": "kannada", "ko": "korean", "la": "latin", "lb": "luxembourgish",
        "ln": "lingala", "lo": "lao", "lt": "lithuanian", "lv": "latvian", "mg": "malagasy", "mi": "maori",
        "mk": "macedonian", "ml": "malayalam", "mn": "mongolian", "mr": "marathi", "ms": "malay", "mt": "maltese",
        "my": "myanmar", "ne": "nepali", "nl": "dutch", "nn": "nynorsk", "no": "norwegian", "oc": "occitan",
        "pa": "punjabi", "pl": "polish", "ps": "pashto", "pt": "portuguese", "ro": "romanian", "ru": "russian",
        "sa": "sanskrit", "sd": "sindhi", "si": "sinhala", "sk": "slovak", "sl": "slovenian", "sn": "shona",
        "so": "somali", "sq": "albanian", "sr": "serbian", "su": "sundanese", "sv": "swedish", "sw": "swahili",
        "ta": "tamil", "te": "telugu", "tg": "tajik", "th": "thai", "tk": "turkmen", "tl": "tagalog",
        "tr": "turkish", "tt": "tatar", "uk": "ukrainian", "ur": "urdu", "uz": "uzbek", "vi": "vietnamese",
        "yi": "yiddish", "yo": "yoruba", "yue": "cantonese", "zh": "chinese",
    }
)  # fmt: skip
# Codes of ISO-639-1 under which Whisper's own stand for the same language.
OTHER_CODES: Mapping[str, str] = MappingProxyType({"jv": "jw", "nb": "no"})
# The rest of ISO-639-1: languages that no Whisper hears.
UNHEARD_CODES = frozenset(
    {
        "aa", "ab", "ae", "ak", "an", "av", "ay", "bi", "bm", "ce", "ch", "co", "cr", "cu", "cv", "dv", "dz", "ee",
        "eo", "ff", "fj", "fy", "ga", "gd", "gn", "gv", "ho", "hz", "ia", "ie", "ig", "ii", "ik", "io", "iu", "kg",
        "ki", "kj", "kl", "kr", "ks", "ku", "kv", "kw", "ky", "lg", "li", "lu", "mh", "na", "nd", "ng", "nr", "nv",
        "ny", "oj", "om", "or", "os", "pi", "qu", "rm", "rn", "rw", "sc", "se", "sg", "sm", "ss", "st", "ti", "tn",
        "to", "ts", "tw", "ty", "ug", "ve", "vo", "wa", "wo", "xh", "za", "zu",
    }
)  # fmt: skip
