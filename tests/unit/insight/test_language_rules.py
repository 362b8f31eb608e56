"""The published rules, shown by sentences that they must read right."""

import pytest

from pipelines.insight.language import rules_for
from pipelines.insight.language.rules import LanguageRules, QuestionKind

pytestmark = pytest.mark.unit


def _rules(language: str) -> LanguageRules:
    rules = rules_for(language)
    assert rules is not None
    return rules


OPEN = {
    "en": [
        "What would you like to talk about?",
        "So, um, how did that feel?",
        "Why is that important to you?",
        "Tell me more about that.",
        "Can you describe the situation?",
        "When that happens, what do you do?",
        "what do you want to do next",
        "I'm curious what you think.",
    ],
    "ja": [
        "今日は何を話したいですか？",
        "どう感じましたか。",
        "なぜそう思うのですか？",
        "もう少し詳しく教えてください。",
        "どんな気持ちでしたか",
        "原因はなんですか？",
    ],
    "zh": ["你今天想談什麼？", "你觉得怎么样？", "為什麼這很重要？", "能不能多說一點？", "说说你的想法。"],
}
CLOSED = {
    "en": [
        "Did you call her?",
        "Are you sure?",
        "How many people are there?",
        "Where do you work?",
        "So what you're saying is you want to stay, right?",
        "How are you today?",
        "What was your last name?",
        "have you thought about it",
        "On a scale from one to ten, how ready are you?",
    ],
    "ja": [
        "上司には話しましたか？",
        "何時に始まりますか？",
        "何かありますか？",
        "いつ決めますか？",
        "どこで働いていますか。",
    ],
    "zh": ["你說過了嗎？", "是不是很累？", "有什么问题吗？", "什么时候开始？", "要不要休息一下？"],
}
NONE = {
    "en": [
        "I know what you mean.",
        "Right?",
        "You know what I mean?",
        "That is how it went.",
        "When I was young I lived there.",
        "Do it again.",
        "Have a nice day.",
    ],
    "ja": [
        "そうですか。",
        "そうなんですか？",
        "何も言えませんでした。",
        "どうぞよろしくお願いします。",
        "来週までにやります。",
    ],
    "zh": ["是嗎？", "我不知道怎麼辦。", "我想跟你說說我的工作。", "什麼都沒有。"],
}


@pytest.mark.parametrize(
    ("language", "sentence", "kind"),
    [
        *[(language, sentence, QuestionKind.OPEN) for language, said in OPEN.items() for sentence in said],
        *[(language, sentence, QuestionKind.CLOSED) for language, said in CLOSED.items() for sentence in said],
        *[(language, sentence, None) for language, said in NONE.items() for sentence in said],
    ],
)
def test_questions(language: str, sentence: str, kind: QuestionKind | None) -> None:
    """Open, closed, or none at all; with and without a question mark."""
    assert _rules(language).question_kind(sentence) is kind


@pytest.mark.parametrize(
    ("language", "sentence", "count"),
    [
        ("en", "Um, I, uh, I mean, you know, it was late.", 4),
        ("en", "Do you know what the umbrella means?", 0),
        ("ja", "えーと、あの、それは、うーん、難しいです。", 3),
        ("ja", "あの人はまあまあ元気です。", 0),
        ("zh", "嗯，那個，我呃不知道。", 3),
        ("zh", "那个人很好。", 0),
    ],
)
def test_fillers(language: str, sentence: str, count: int) -> None:
    """Counted by the lexicon; words that only look like one are left alone."""
    assert _rules(language).count_fillers(sentence) == count


@pytest.mark.parametrize(
    ("language", "sentence", "expected"),
    [
        ("en", "It sounds like you felt alone.", True),
        ("en", "So you’re worried about the team.", True),
        ("en", "I went home.", False),
        ("ja", "それはつらかったんですね。", True),
        ("ja", "そうなんですね。", False),
        ("zh", "聽起來你很孤單。", True),
        ("zh", "我回家了。", False),
    ],
)
def test_reflections(language: str, sentence: str, expected: bool) -> None:
    """Said back to the other; a nod is none."""
    assert _rules(language).is_reflection(sentence) is expected


@pytest.mark.parametrize(
    ("language", "sentence", "expected"),
    [
        ("en", "I will talk to my boss by Friday.", True),
        ("en", "I'll see you next week.", False),
        ("en", "I will think about it.", False),
        ("en", "Will I do it tomorrow?", False),
        ("ja", "来週までに上司に話してみます。", True),
        ("ja", "来週もよろしくお願いします。", False),
        ("zh", "我下週會跟主管談。", True),
        ("zh", "我會想念你。", False),
    ],
)
def test_commitments(language: str, sentence: str, expected: bool) -> None:
    """What somebody will do, and by when; a farewell is none."""
    assert _rules(language).is_commitment(sentence) is expected


@pytest.mark.parametrize(
    ("language", "sentence", "expected"),
    [
        ("en", "You've made a big step.", True),
        ("en", "That's great.", True),
        ("en", "Is that good?", False),
        ("ja", "よく頑張りましたね。", True),
        ("ja", "それでいいですか？", False),
        ("zh", "你做得很好。", True),
        ("zh", "我很好。", False),
    ],
)
def test_affirmations(language: str, sentence: str, expected: bool) -> None:
    """Efforts and successes that are named."""
    assert _rules(language).is_affirmation(sentence) is expected


def test_language_without_rules() -> None:
    """French has none; a region changes nothing."""
    assert rules_for("fr") is None
    assert rules_for(None) is None
    assert rules_for("zh-TW") is rules_for("zh")
