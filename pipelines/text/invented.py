"""Text that nobody said: what recognisers write over noise, music and the silence at a recording's end.

They learned from subtitles, so that is what they invent: thanks for watching, credits of subtitlers, calls to
subscribe. Whole utterances of this kind are dropped, whatever engine wrote them. Thanks and goodbyes that people do say
are dropped only where the engine itself did not believe in them. A phrase said over and over is kept once. What is
dropped is counted.
"""

import re
from collections.abc import Iterator, Sequence

from pipelines.text.script import base_language, ends_sentence
from shared.domain.transcript import Word

GUARDS_VERSION = 1  # raise it with every change of what is dropped

UTTERANCE_PAUSE_S = 0.8  # invented text stands alone: before and behind it nobody speaks
DOUBTED = 0.4  # mean probability; of real thanks 0.6 and more
SHORT_PHRASE = 2  # words; people do say "no, no, no, no"
MOST_SHORT, MOST_LONG = 7, 3  # times in a row
LONGEST_PHRASE = 12  # words; loops of longer ones are cut by the engines' own limits

_NOT_LETTERS = re.compile(r"[\W_]+")
_NEVER_SAID = {
    "en": r"thank(?:s| you)(?: (?:so|very) much)? for (?:watching|viewing)(?: (?:this|my|the|our) videos?)?"
    r"|(?:subtitles?|captions?|transcri(?:bed|ption)|translat(?:ed|ion)) (?:provided |made |created )?by .{2,60}"
    r"|(?:please |dont forget to )?(?:like|share|subscribe)"
    r"(?: and| to| my| the| our| this| channel| video| like| share| subscribe)+"
    r"|(?:i will )?see you (?:in the|next) (?:next )?video",
    "ja": r"(?:最後まで)?ご(?:視聴|清聴)(?:いただき|頂き|下さり|くださり)?(?:まして)?(?:誠に|本当に)?ありがとうございま(?:した|す)"  # noqa: E501
    r"|(?:チャンネル登録|高評価).{0,30}(?:お願い(?:いた)?します|よろしく.{0,8}|ください)"
    r"|字幕(?:視聴|作成|提供).{0,30}|次の動画でお会いしましょう",
    "zh": r"(?:謝謝|谢谢|感謝|感谢)(?:大家|您|你们|你們)?的?(?:收看|觀看|观看|收聽|收听)"
    r"|(?:請不吝點贊|请不吝点赞|明镜与|明鏡與|明镜需要|明鏡需要).{0,30}"
    r"|(?:中文)?字幕(?:由|志愿者|志願者|製作|制作|提供|by).{0,30}"
    r"|(?:訂閱|订阅).{0,12}(?:頻道|频道|栏目|欄目)",
}
_RARELY_SAID = {
    "en": r"thank you(?: very much)?|bye(?: bye)?|you|so|okay",
    "ja": r"ありがとうございま(?:した|す)|おやすみなさい|はい|うん|ん+|スタッフの方が良いです",
    "zh": r"(?:謝謝|谢谢)(?:大家)?|再見|再见|嗯+|是",
}
_never = {language: re.compile(rf"(?:{said})") for language, said in _NEVER_SAID.items()}
_rarely = {language: re.compile(rf"(?:{said})") for language, said in _RARELY_SAID.items()}


def without_invented(words: Sequence[Word], language: str | None) -> tuple[tuple[Word, ...], int]:
    """The words to keep, and how many were dropped."""
    kept: list[Word] = []
    for utterance in _utterances(words):
        if not _invented(utterance, base_language(language)):
            kept += utterance
    once = _said_once(kept)
    return tuple(once), len(words) - len(once)


def _utterances(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Up to a pause; sentences are looked at one by one only where pauses end them, too."""
    current: list[Word] = []
    for word in words:
        if current and word.start_s - current[-1].end_s >= UTTERANCE_PAUSE_S:
            yield current
            current = []
        current.append(word)
    if current:
        yield current


def _invented(utterance: Sequence[Word], language: str | None) -> bool:
    never = _never.get(language or "")
    if never is None:
        return False
    text = _plain(utterance)
    if never.fullmatch(text) or all(never.fullmatch(sentence) for sentence in _sentences(utterance)):
        return True
    probability = sum(word.probability for word in utterance) / len(utterance)
    known = probability > 0  # a provider that gives none leaves nothing to doubt
    return known and probability < DOUBTED and bool(_rarely[language or ""].fullmatch(text))


def _sentences(utterance: Sequence[Word]) -> Iterator[str]:
    current: list[Word] = []
    for word in utterance:
        current.append(word)
        if ends_sentence(word.text):
            yield _plain(current)
            current = []
    if current:
        yield _plain(current)


def _plain(words: Sequence[Word]) -> str:
    text = "".join(word.text for word in words).lower().replace("'", "").replace("’", "")
    return _NOT_LETTERS.sub(" ", text).strip()


def _said_once(words: Sequence[Word]) -> list[Word]:
    """A phrase said more often in a row than anybody says it is kept once."""
    texts = [_NOT_LETTERS.sub("", word.text).lower() for word in words]
    kept: list[Word] = []
    at = 0
    while at < len(words):
        length, times = _loop(texts, at)
        kept += words[at : at + length]
        at += length * times
    return kept


def _loop(texts: Sequence[str], at: int) -> tuple[int, int]:
    """(words, times) of the phrase that is repeated here, else one word once."""
    for length in range(1, min(LONGEST_PHRASE, (len(texts) - at) // 2) + 1):
        phrase, times = texts[at : at + length], 1
        while texts[at + times * length : at + (times + 1) * length] == phrase:
            times += 1
        letters = len("".join(phrase))
        most = MOST_SHORT if length <= SHORT_PHRASE or letters <= 4 else MOST_LONG
        if times > most and letters:
            return length, times
    return 1, 1
