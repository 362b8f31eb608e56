"""English rules."""

from pipelines.insight.language.rules import LanguageRules, pattern

# Words that open a sentence without being part of it: "So, um, what …"
_LEAD = (
    r"^(?:(?:so|and|but|well|okay|ok|um+|uh+|er+|erm|right|now|yeah|yes|oh|alright|all right|then|great|good|sure|hmm+|"
    r"i see|mm-?hmm?|just)[,.\s]+)*"
)
_NEGATABLE = r"(?:does|did|is|are|was|were|has|had|can|could|will|would|should)(?:n't)?|won't|can't|shall|may|might|am"
_SUBJECT = r"(?:i|you|he|she|it|we|they|there|that|this|anyone|anybody|anything|someone|something|your|any)"
# "do it again" and "have a go" are requests: `do` and `have` need a person after them.
_INVERTED = rf"(?:(?:{_NEGATABLE})\s+{_SUBJECT}|(?:do|don't|have|haven't)\s+(?:i|you|we|they))\b"
_WH_CLAUSE = r"(?:what|how|why|where|when|who|which)(?:'s|'re|'d)?(?:\s+\w+){0,4}?\s+"
_INVERTED_PLAIN = r"(?:do|did|would|could|will|can|are|is|were|was|have)\b"
_SHORT_ANSWER = r"many|much|old|long|often|far|soon|big|late|early|frequently"
_FACT = r"time|day|date|year|month|age|number|size"
_WEEKDAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_GOOD = r"great|good|wonderful|excellent|fantastic|amazing|impressive|brilliant|lovely"

ENGLISH = LanguageRules(
    language="en",
    unmarked_question=pattern(
        rf"{_LEAD}{_INVERTED}",
        rf"{_LEAD}{_WH_CLAUSE}{_INVERTED}",
        rf"{_LEAD}(?:what|how|why|where|who)(?:'s|\s+is|\s+are|\s+was|\s+were)\s+(?:your|the|it|that|you|there)\b",
        rf"{_LEAD}(?:what|how)\s+(?:else|about)\b",
        rf"{_LEAD}(?:and\s+)?what\s+(?:was|is|were)\s+(?:going|happening|behind|different|important)\b",
        rf"{_LEAD}what\s+(?:makes|made|brings|brought|gives|gets|got|keeps|kept|stops|stopped|helps|helped|matters)\b"
        r"(?!.*\b(?:is|was)\b[^?]*$)",
        rf"{_LEAD}(?:what|why|how|where|when|who|which)\b[^?]*\b(?:do|did|would|could|will|can|are|were|have|should)\s+you\b",
        rf"{_LEAD}how\s+(?:come\b|(?:{_SHORT_ANSWER}|important|sure|confident)\b.*\b(?:do|did|is|are|was|were|have)\b)",
        rf"{_LEAD}if\b.*,\s*(?:what|how|where|who|when)\s+(?:{_INVERTED_PLAIN})",
    ),
    no_question=pattern(
        r"^(?:(?:oh|wow|ah|ok|okay|yeah|yes|no)[,.!\s]+)*(?:right|okay|ok|yeah|yes|really|huh|hm+|mm+|sorry|pardon|no|oh)[.,!?]*$",
        r"^(?:you know(?: what i mean)?|know what i mean)\?$",
        r"^(?:are|were)\s+you\s+(?:kidding|serious|joking)\b",
        # "What happened was that he quit": a clause that is the subject of what follows.
        r"^what\s+(?:\w+\s+){1,4}(?:was|is)\s+(?:that|a|my|the|to)\b[^?]*$",
    ),
    invitation=pattern(
        rf"{_LEAD}(?:please\s+)?(?:tell\s+me|describe|walk\s+me\s+through|talk\s+me\s+through|"
        r"help\s+me\s+(?:to\s+)?understand|give\s+me\s+an?\s+example|talk\s+to\s+me\s+about|i'd\s+love\s+to\s+hear|say\s+(?:a\s+\w+\s+)?more)\b",
        r"\b(?:can|could|would|will)\s+you\s+(?:please\s+|maybe\s+|just\s+)?"
        r"(?:tell|describe|explain|share|talk|walk|say|elaborate|give\s+me\s+an\s+example)\b",
        r"\bi(?:'m|\s+am)\s+(?:curious|wondering)\s+(?:about|what|how|why)\b",
    ),
    open=pattern(
        rf"\bhow\b(?!\s+(?:{_SHORT_ANSWER})\b)",
        rf"\bwhat\b(?!\s+(?:{_FACT})\b)",
        r"\bwhy\b",
        r"\bwhere\s+(?:do|would|did)\s+you\s+(?:want|see|stand|feel)\b",
    ),
    closed=pattern(
        rf"{_LEAD}{_INVERTED}",
        r"\b(?:right|okay|correct|isn't\s+it|aren't\s+you|don't\s+you|doesn't\s+it|didn't\s+you)\?$",
        r"\bon\s+a\s+scale\b",
        r"^what(?:'s|\s+is|\s+was)\s+(?:\w+\s+){1,4}called\b",
        r"\bhow\s+are\s+you(?:\s+doing)?(?:\s+today)?\?$",
        r"\bwhat(?:'s|\s+is|\s+was)\s+(?:your|his|her|their|the)\s+(?:\w+\s+)?"
        r"(?:name|age|number|job|address|email|date|time|price)\b",
    ),
    # Whisper leaves many out: an undercount. "like" and "kind of" are too often meant.
    filler=pattern(
        r"\bu+m+\b",
        r"\bu+h+\b",
        r"\ber+m?\b",
        r"(?<!do )(?<!did )\byou know\b(?!\s+(?:what|how|why|if|that|who|where|when|the|it|him|her|about))",
        r"\bi mean\b",
    ),
    reflection=pattern(
        r"\b(?:it\s+)?(?:sounds|seems|looks)\s+(?:like|as\s+if|as\s+though)\b",
        r"\b(?:it\s+)?seems\s+that\b",
        r"\bi(?:'m|\s+am)\s+hearing\b",
        r"\bwhat\s+i(?:'m|\s+am)?\s+hear(?:ing)?\b",
        r"\bi\s+hear\s+(?:that\s+)?you\b",
        r"\bif\s+i\s+understand\b",
        r"\bin\s+other\s+words\b",
        r"\bpart\s+of\s+you\b",
        rf"{_LEAD}you(?:'re|\s+are)\s+(?:feeling|saying|telling|worried|afraid|proud|frustrated|torn|looking|trying)\b",
        rf"{_LEAD}you\s+(?:feel|felt|want|wanted|would\s+like)\b",
        r"^so\s+(?:what\s+)?you(?:'re|\s+are|'ve|\s+have|\s+want|\s+feel|\s+felt|\s+need|\s+said|\s+mentioned)\b",
    ),
    feeling=pattern(
        r"\bfe(?:el|els|eling|elings|lt)\b",
        r"\b(?:worried|anxious|afraid|scared|nervous|frustrat\w+|upset|sad|angry|annoyed|disappoint\w+|overwhelm\w+)\b",
        r"\b(?:stress\w*|exhaust\w+|tired|lonely|ashamed|guilty|hurt|proud|happy|glad|excited|relieved|confident|hopeful)\b",
    ),
    affirmation=pattern(
        r"\bwell\s+done\b",
        r"\b(?:good|great|nice|excellent)\s+(?:job|work|idea|point|insight|for\s+you)\b",
        rf"\bthat(?:'s|\s+is|\s+was|\s+sounds)\s+(?:a\s+|an\s+)?(?:really\s+|very\s+|so\s+)?(?:{_GOOD})\b",
        r"\bi(?:'m|\s+am)\s+(?:really\s+|very\s+|so\s+)?(?:impressed|proud)\b",
        r"\bcongratulations\b",
        r"\byou\s+did\s+(?:really\s+|very\s+)?(?:well|great|a\s+(?:great|good))\b",
        r"\byou(?:'ve|\s+have)\s+(?:already\s+|really\s+)?(?:done|made|worked|shown|managed|come)\b",
        r"\byou\s+managed\s+to\b",
        r"\bi\s+(?:really\s+)?(?:appreciate|admire)\b",
        r"\bthank\s+you\s+for\s+(?:sharing|telling|being)\b",
    ),
    commitment=pattern(r"\bi(?:'ll|\s+will|'m\s+going\s+to|\s+am\s+going\s+to|'m\s+gonna|\s+plan\s+to|\s+promise)\b"),
    when=pattern(
        r"\b(?:today|tonight|tomorrow)\b",
        rf"\b(?:this|next|by|on|every|each|until|before)\s+(?:the\s+|our\s+|next\s+|this\s+|end\s+of\s+|the\s+end\s+of\s+)*"
        rf"(?:{_WEEKDAY}|day|week|weekend|month|morning|afternoon|evening|night|session|meeting|time)\b",
        r"\b(?:once|twice|three\s+times)\s+a\s+(?:day|week|month)\b",
        r"\bfrom\s+now\s+on\b",
    ),
    farewell=pattern(r"\b(?:see|talk\s+to|speak\s+to|speak\s+with|call)\s+you\b"),
)
