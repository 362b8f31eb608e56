"""Japanese as sentences. Small recognisers write hardly any 。 and ？: they are placed by rule, where a speaker pauses
and where a sentence is complete by its ending. No other character is changed, and times stay as they are.

A sentence ends
- behind a polite ending (です, ます, ました, ください … with よ, ね, か) unless something follows that continues it
  (ので, けど, から, と …): such endings close a sentence even without a pause;
- behind a plain ending (た, だ, る, ない …), an answer (はい) or a trailing けど, where the speaker pauses.
It is a question when it ends in か after a polite form, or in の, か or an interrogative's predicate at a pause with an
interrogative before it. 「そうですか」 acknowledges and is none. A pause inside a sentence is a comma.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from pipelines.text.attribution import SpokenWord
from pipelines.text.streams import by_voice

COMMA_PAUSE_S = 0.4  # breath inside a sentence; shorter ones are articulation (っ) or an uncertain alignment
SENTENCE_PAUSE_S = 0.6  # behind a plain ending: those also stand before nouns, without a pause
LONG_PAUSE_S = 1.2  # a trailing けど or て that nothing follows is an end
LEAST_BEFORE_COMMA = 3  # characters

_MARKS = {"?": "？", "!": "！", "，": "、", "｡": "。", "､": "、"}  # as Japanese writes them
_ENDED = re.compile(r"[。？！…]$")
_MARKED = re.compile(r"[。？！…、]$")
_CJK = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
_PARTICLES = r"(?:よね|かね|かな|よ|ね|か|な|わ)?"
_POLITE = re.compile(rf"(?:です|ます|でした|ました|ません|でしょう|ましょう|ください|下さい|ございます){_PARTICLES}$")
_PLAIN = re.compile(
    rf"(?:[いしちりきぎびみえけせてねめれっん]た|んだ|った|だ|[うくすつぬむるぐぶ]|ない|たい|しい|いい|でしょ|だろう|の|もん){_PARTICLES}$"
)
_ANSWER = re.compile(
    r"^(?:はい|ええ|うん|いいえ|いえ|いや|そう|なるほど|もちろん|確かに|たしかに|ありがとう|すみません|こんにちは|おはよう|"
    r"お願いします|へえ|ほう|わかりました|分かりました)+(?:ですね|ね)?$"
)
_TRAILING = re.compile(r"(?:けど|けれど|けども|から|ので|が|て|で|し|たり|とか|って)$")
_GOES_ON = re.compile(
    r"^(?:が|けど|けれど|けども|ので|のに|のは|のが|のも|から|し(?![かばたまっん])|と(?![てきこりにも])|って|もの|もん|"
    r"よう|よね|よ(?![いくりう])|ね|な(?![のにるんぜいか])|か|わ(?![たか])|ん|た[らり]|まで|[、。？！?!,])"
)
_ASIDE = re.compile(r"[はがもにでと]ですね$")  # それはですね: a filler inside a sentence
_POLITE_QUESTION = re.compile(r"(?:です|ます|でした|ました|ません|でしょう|ましょう|ございます)か(?:ね|な)?$")
_ACKNOWLEDGED = re.compile(
    r"^(?:あ+|ああ|はい|へえ|ええ|うん|なるほど|、)*(?:そう|本当|ほんと)(?:なん|だったん)?(?:です|でした)か$"
)
_INTERROGATIVE = re.compile(
    r"何|なに|なん[でのか]|どう|どこ|だれ|誰|いつ(?!も)|なぜ|どんな|どの|どれ|どちら|いくつ|いくら"
)
_PLAIN_QUESTION = re.compile(r"(?:の|か|んだ|かな)$")


def punctuated(words: Sequence[SpokenWord]) -> tuple[SpokenWord, ...]:
    """The same words, some of them with a mark behind."""
    marked = list(words)
    for places in by_voice(words):
        for place, text in zip(places, _stream([words[at] for at in places]), strict=True):
            marked[place] = replace(words[place], word=replace(words[place].word, text=text))
    return tuple(marked)


def _stream(stream: Sequence[SpokenWord]) -> list[str]:
    texts = [_as_written(spoken.word.text) for spoken in stream]
    sentence = ""
    for at, text in enumerate(texts):
        sentence += text.strip()
        if not _MARKED.search(sentence) and _CJK.search(sentence[-1:]):
            texts[at] = text + _mark(sentence, _pause_s(stream, texts, at), "".join(texts[at + 1 : at + 7]).strip())
            sentence += texts[at][len(text) :]
        if _ENDED.search(sentence):
            sentence = ""
    return texts


def _as_written(text: str) -> str:
    """Half-width marks behind Japanese become its own."""
    if len(text.strip()) > 1 and text[-1] in ",." and _CJK.match(text[-2]):
        return text[:-1] + ("、" if text[-1] == "," else "。")
    return text[:-1] + _MARKS[text[-1]] if text[-1:] in _MARKS else text


def _pause_s(stream: Sequence[SpokenWord], texts: Sequence[str], at: int) -> float:
    """To the speaker's next word; a recogniser's own space between Japanese words counts as one of its marks."""
    if at + 1 == len(stream):
        return LONG_PAUSE_S
    pause_s = stream[at + 1].word.start_s - stream[at].word.end_s
    return max(pause_s, SENTENCE_PAUSE_S) if texts[at + 1].startswith(" ") else pause_s


def _mark(sentence: str, pause_s: float, following: str) -> str:
    own = re.split(r"[、。？！]", sentence)[-1]
    if _ASIDE.search(own):
        return "、"
    if _POLITE.search(own) and (pause_s >= SENTENCE_PAUSE_S or not _GOES_ON.match(following)):
        return _end(sentence)
    complete = _PLAIN.search(own) or _ANSWER.search(own) or (pause_s >= LONG_PAUSE_S and _TRAILING.search(own))
    if pause_s >= SENTENCE_PAUSE_S and complete and not _GOES_ON.match(following):
        return _end(sentence)
    return "、" if pause_s >= COMMA_PAUSE_S and len(own) >= LEAST_BEFORE_COMMA and following else ""


def _end(sentence: str) -> str:
    if _ACKNOWLEDGED.search(sentence):
        return "。"
    asked = _POLITE_QUESTION.search(sentence) or (
        _PLAIN_QUESTION.search(sentence) and _INTERROGATIVE.search(sentence) and not _POLITE.search(sentence)
    )
    return "？" if asked else "。"
