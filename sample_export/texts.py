r"""Pools of words: names, complaints, sentences, in several scripts and with everything that text formats stumble over.

Quotes, tabs, newlines, CRLF, backslashes, right-to-left, combining marks, four-byte characters, separators that only Unicode
knows as line ends, and the six characters `\u0000`, which are harmless text.
"""

from __future__ import annotations

from random import Random

CHIEF_COMPLAINTS = (
    "Persistent dry cough for three weeks",
    "Headache, worse in the morning",
    "Chest tightness on exertion",
    "Follow-up of type 2 diabetes",
    "Lower back pain after lifting",
    "Fièvre et maux de gorge depuis deux jours",
    "Douleurs abdominales après les repas",
    "Dolor de cabeza y mareos",
    "Schmerzen im linken Knie beim Treppensteigen",
    "持续性头痛，伴有恶心",
    "三日前からの発熱と咳",
    "ألم في الصدر عند صعود الدرج",
    "כאבי גב תחתון מזה שבועיים",
    "पिछले तीन दिनों से बुखार",
    "Боль в горле и температура",
    "ራስ ምታት እና ትኩሳት",
    "Maumivu ya tumbo na kichefuchefu",
    "Πονοκέφαλος και ζάλη",
    "Sore throat 🤒 and fever 🌡️",
    'Patient says: "I can\'t sleep"',
)

SENTENCES = (
    "The patient reports that symptoms began gradually and have not improved with rest.",
    "Denies fever, chills, night sweats or weight loss.",
    "Symptoms are worse at night and relieved by sitting upright.",
    "No known sick contacts; travelled to Douala two months ago.",
    "Takes paracetamol 500 mg as needed, with partial relief.",
    'She describes the pain as "burning", 6/10, radiating to the left shoulder.',
    "Appetite is reduced; sleep is interrupted two or three times a night.",
    "La patiente signale une fatigue persistante et des vertiges au lever.",
    "Pas d'antécédents familiaux de maladie coronarienne.",
    "El paciente niega alergias a medicamentos.",
    "Der Patient ist seit fünf Jahren Nichtraucher; früher 20 Päckchenjahre.",
    "患者否认药物过敏史，血压控制良好。",
    "症状は食後に悪化し、横になると軽減する。",
    "المريض يتناول الميتفورمين مرتين يومياً (500 ملغ).",
    "המטופלת מציינת שיפור קל מאז הביקור האחרון.",
    "रोगी को पहले से उच्च रक्तचाप है।",
    "Пациент принимает лозартан 50 мг один раз в день.",
    "Mgonjwa anasema dawa zimesaidia kidogo.",
    "Line one of the note\nLine two of the note\nLine three.",
    "Copied from the old system:\r\nBP 128/82\r\nHR 74\r\n",
    "Column\tvalue\tunit\nHb\t13.4\tg/dL",
    "Path in the archive: C:\\records\\2024\\scan.dcm",
    "Consent given via video 👩🏽‍⚕️📹, interpreter present 🗣️.",
    "Zoë O’Brien-Łukasz accompanied the patient; e\u0301 is written with a combining accent.",
    "Ranges: temperature ≥ 38 °C, SpO₂ ≤ 94 %, 5 µg/mL ± 10 %.",
    "The device sent the text \\u0000 instead of a value.",
    "Bold moves: 𝒃𝒐𝒍𝒅 𝕞𝕠𝕧𝕖𝕤, and a rare character 𠮷.",
    "Paragraph\u2028separator\u2029and next\u0085line are not ends of this line.",
    '{"looks": ["like", "JSON"]} but is text; so is \'; DROP TABLE notes; --',
    "Bidirectional: \u202eabc\u202c and a zero-width\u200bspace, byte order \ufeff mark inside.",
    "Control characters from a scanner: \x01\x1f\x7f end.",
)

# Legal texts that have broken loaders: each becomes a row unchanged.
TROUBLESOME = (
    "\\u0000",
    "\\\\u0000 and \\u0000 and \\\\\\u0000",
    "\\N",
    "\\.",
    "NULL",
    "\t\r\n",
    " leading and trailing ",
    "\u2028",
    "'\"`\\",
    "👩‍👩‍👧‍👦",
    "\U0010ffff",
    "\ufffd\ufffe",
    "\x01\x08\x0b\x1f\x7f",
    "%s %(x)s {0} $1 :name ?",
    "a" * 5000,
)

NAMES = (
    "Amina Diallo",
    "Jean-Pierre Ngũgĩ",
    "María José Núñez",
    "Zoë O’Brien",
    "王小明",
    "佐藤 花子",
    "محمد العربي",
    "נועה כהן",
    "अनिता शर्मा",
    "Анна Кузнецова",
    "Θεόδωρος Παππάς",
    'Robert "Bob" Miller',
    "Nguyễn Văn An",
    "Łukasz Żółć",
)

SYMPTOMS = ("cough", "fever", "fatigue", "nausea", "headache", "dyspnoea", "vertige", "dolor", "疲労", "صداع", "кашель")

LANGUAGES = ("en-US", "en-GB", "fr-FR", "fr-CM", "es-US", "de-DE", "pt-BR", "ar-SA", "he-IL", "hi-IN", "sw-KE", "zh-Hans-CN", "ja-JP")

REGIONS = ("us-east-1", "eu-central-1", "eu-west-2", "af-south-1", "ap-southeast-1", "ap-south-1", "ca-central-1")


def paragraph(random: Random, sentences: int) -> str:
    """So many sentences of any scripts in one text."""
    count = len(SENTENCES)
    return " ".join([SENTENCES[int(random.random() * count)] for _ in range(sentences)])


def long_text(random: Random, characters: int) -> str:
    """A transcript of at least so many characters, below DynamoDB's 400 KB for an item when asked for 110,000."""
    parts = []
    length = 0
    while length < characters:
        part = f"{random.choice(NAMES)}: {paragraph(random, 3)}\r\n"
        parts.append(part)
        length += len(part)
    return "".join(parts)
