r"""Values in pairs, an attribute value as DynamoDB exports it and the JSON that must come of it, and the texts that they are made of.

Content is built from both sides at once, so the truth is what was planted and no conversion stands between the two.
Numbers that are given as text keep it: `orjson.Fragment` writes the digits as they are.

    >>> pair({"name": "Amina", "days": 3})
    ({'M': {'name': {'S': 'Amina'}, 'days': {'N': '3'}}}, {'name': 'Amina', 'days': 3})
    >>> number("1.50")[0]
    {'N': '1.50'}
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any

import orjson

AttributeValue = dict[str, Any]
Pair = tuple[Any, Any]

NULL: AttributeValue = {"NULL": True}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A session has four instants, and `datetime.isoformat` would take a third of all the time.
_MINUTES = [f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440)]


def pair(value: Any) -> Pair:
    """A text, integer, boolean, None, dict or list as S, N, BOOL, NULL, M or L; a pair, here or inside, stays as it is."""
    kind = type(value)
    if kind is str:
        return {"S": value}, value
    if kind is dict:
        typed, plain = {}, {}
        for name, member in value.items():
            typed[name], plain[name] = member if type(member) is tuple else pair(member)
        return {"M": typed}, plain
    if kind is int:
        return {"N": str(value)}, value
    if kind is tuple:
        made: Pair = value
        return made
    if kind is list:
        elements = [pair(element) for element in value]
        return {"L": [element[0] for element in elements]}, [element[1] for element in elements]
    return (NULL if value is None else {"BOOL": value}), value


def shared(value: Any) -> Pair:
    """The pair of what stands in many items, as ready JSON: quick to write, and nothing can change it."""
    typed, plain = pair(value)
    return orjson.Fragment(orjson.dumps(typed)), orjson.Fragment(orjson.dumps(plain))


def number(digits: str) -> Pair:
    """An N, spelled as `digits`."""
    return {"N": digits}, orjson.Fragment(digits)


def number_set(*digits: str) -> Pair:
    return {"NS": list(digits)}, [orjson.Fragment(member) for member in digits]


def tagged(tag: str, content: str | list[str]) -> Pair:
    """A B, SS or BS, whose JSON is the content as it was exported."""
    return {tag: content}, content


def jsonb(plain: Any) -> dict[str, str]:
    """The truth's form of a jsonb value: its text, so that no reader of the truth can lose a digit."""
    return {"jsonb": orjson.dumps(plain).decode()}


def iso(microseconds: int) -> str:
    """The truth's form of an instant: ISO 8601, UTC, six decimals. Texts of one length, so the later one is the greater one."""
    day, rest = divmod(microseconds, 86_400_000_000)
    minute, rest = divmod(rest, 60_000_000)
    digits = f"{rest:08d}"
    return f"{_date(day)}{_MINUTES[minute]}{digits[:2]}.{digits[2:]}Z"


@lru_cache(maxsize=40_000)
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()


def to_uuid(digits: str) -> str:
    """32 hexadecimal digits as a UUID of version 4."""
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"


def random_uuid(random: Random) -> str:
    return to_uuid(f"{random.getrandbits(128):032x}")


def random_time(random: Random) -> int:
    """Milliseconds since 1970: in the two and a half years from 2024-02-03 on."""
    return 1_707_000_000_000 + random.randrange(80_000_000_000)


# -- texts: several scripts, and everything that text formats stumble over -----------------------------------------------------------------


def words(text: str) -> list[str]:
    return text.split()


def _texts(text: str) -> list[str]:
    return text.split(" | ")


CHIEF_COMPLAINTS = _texts("""\
Persistent dry cough for three weeks | Headache, worse in the morning | Chest tightness on exertion | Follow-up of type 2 diabetes | \
Lower back pain after lifting | Fièvre et maux de gorge depuis deux jours | Douleurs abdominales après les repas | \
Dolor de cabeza y mareos | Schmerzen im linken Knie beim Treppensteigen | 持续性头痛，伴有恶心 | 三日前からの発熱と咳 | \
ألم في الصدر عند صعود الدرج | כאבי גב תחתון מזה שבועיים | पिछले तीन दिनों से बुखार | Боль в горле и температура | ራስ ምታት እና ትኩሳት | \
Maumivu ya tumbo na kichefuchefu | Πονοκέφαλος και ζάλη | Sore throat 🤒 and fever 🌡️ | Patient says: "I can't sleep\"""")

# Quotes, tabs, CRLF, right-to-left, combining marks, four-byte characters, separators that only Unicode knows as line ends, and the
# six characters `\u0000`, which are harmless text.
SENTENCES = _texts("""\
The patient reports that symptoms began gradually and have not improved with rest. | \
Takes paracetamol 500 mg as needed, with partial relief. | \
Denies fever, chills, night sweats or weight loss. | Symptoms are worse at night and relieved by sitting upright. | \
No known sick contacts; travelled to Douala two months ago. | El paciente niega alergias a medicamentos. | \
She describes the pain as "burning", 6/10, radiating to the left shoulder. | 患者否认药物过敏史，血压控制良好。 | \
Appetite is reduced; sleep is interrupted two or three times a night. | 症状は食後に悪化し、横になると軽減する。 | \
La patiente signale une fatigue persistante et des vertiges au lever. | रोगी को पहले से उच्च रक्तचाप है। | \
Pas d'antécédents familiaux de maladie coronarienne. | Пациент принимает лозартан 50 мг один раз в день. | \
Der Patient ist seit fünf Jahren Nichtraucher; früher 20 Päckchenjahre. | المريض يتناول الميتفورمين مرتين يومياً (500 ملغ). | \
המטופלת מציינת שיפור קל מאז הביקור האחרון. | Mgonjwa anasema dawa zimesaidia kidogo. | \
Line one of the note\nLine two of the note\nLine three. | Copied from the old system:\r\nBP 128/82\r\nHR 74\r\n | \
Column\tvalue\tunit\nHb\t13.4\tg/dL | Path in the archive: C:\\records\\2024\\scan.dcm | \
Consent given via video 👩🏽‍⚕️📹, interpreter present 🗣️. | The device sent the text \\u0000 instead of a value. | \
Zoë O’Brien-Łukasz accompanied the patient; e\u0301 is written with a combining accent. | \
Ranges: temperature ≥ 38 °C, SpO₂ ≤ 94 %, 5 µg/mL ± 10 %. | Bold moves: 𝒃𝒐𝒍𝒅 𝕞𝕠𝕧𝕖𝕤, and a rare character 𠮷. | \
Paragraph\u2028separator\u2029and next\u0085line are not ends of this line. | Control characters from a scanner: \x01\x1f\x7f end. | \
{"looks": ["like", "JSON"]} but is text; so is '; DROP TABLE notes; -- | \
Bidirectional: \u202eabc\u202c and a zero-width\u200bspace, byte order \ufeff mark inside.""")

# Legal texts that have broken loaders: each becomes a row unchanged.
TROUBLESOME = ["a" * 5000]
TROUBLESOME += _texts("""\
\\u0000 | \\\\u0000 and \\u0000 and \\\\\\u0000 | \\N | \\. | NULL | \t\r\n |  leading and trailing  | \u2028 | '"`\\ | 👩‍👩‍👧‍👦 | \
\U0010ffff | \ufffd\ufffe | \x01\x08\x0b\x1f\x7f | %s %(x)s {0} $1 :name ?""")

NAMES = _texts("""\
Amina Diallo | Jean-Pierre Ngũgĩ | María José Núñez | Zoë O’Brien | 王小明 | 佐藤 花子 | محمد العربي | נועה כהן | अनिता शर्मा | \
Анна Кузнецова | Θεόδωρος Παππάς | Robert "Bob" Miller | Nguyễn Văn An | Łukasz Żółć""")

LANGUAGES = words("en-US en-GB fr-FR fr-CM es-US de-DE pt-BR ar-SA he-IL hi-IN sw-KE zh-Hans-CN ja-JP")
REGIONS = words("us-east-1 eu-central-1 eu-west-2 af-south-1 ap-southeast-1 ap-south-1 ca-central-1")


def paragraph(random: Random, sentences: int) -> str:
    """So many sentences of any scripts in one text."""
    count = len(SENTENCES)
    return " ".join([SENTENCES[int(random.random() * count)] for _ in range(sentences)])


def long_text(random: Random, characters: int) -> str:
    """A transcript of at least so many characters, below DynamoDB's 400 KB for an item when asked for 110,000."""
    parts = []
    length = 0
    while length < characters:
        parts.append(f"{random.choice(NAMES)}: {paragraph(random, 3)}\r\n")
        length += len(parts[-1])
    return "".join(parts)
