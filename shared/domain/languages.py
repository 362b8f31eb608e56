"""The languages that a caller may name: what Whisper knows, as ISO 639 codes, and what reports are written in."""

SPOKEN = frozenset(
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id "
    "is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd "
    "si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue zh".split()
)
REPORTED = ("ja", "en", "zh-TW")


TRADITIONAL, SIMPLIFIED = "zh-TW", "zh-CN"
_CHINESE = dict.fromkeys(("tw", "hk", "hant"), TRADITIONAL) | dict.fromkeys(("cn", "sg", "hans"), SIMPLIFIED)


def spoken_language(tag: str) -> str | None:
    """`ja` or `en-GB` to the code of the language alone; None for a language nobody here can recognise.

    Of Chinese what says the script is kept: `zh_Hant` is zh-TW, `zh-SG` zh-CN, `zh` alone zh.
    """
    code, *rest = tag.replace("_", "-").lower().split("-")
    if code == "zh":
        return next((_CHINESE[part] for part in rest if part in _CHINESE), code)
    return code if code in SPOKEN else None
