"""What stages are told beside their input: corrections, voices and glossary as they are now; and who is remembered."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipelines.text.merging import merged
from shared.domain.glossary import Term
from shared.domain.insight import Analysis, Role
from shared.domain.job import Job
from shared.domain.speakers import KnownVoice, SpeakerChange, VoiceOrigin, all_said
from shared.domain.transcript import Diarization
from shared.store.rows import from_json, to_json, to_json_list
from shared.store.voices import NewVoice, print_of_speaker
from shared.toolbox import Toolbox
from workers.context import StageContext


def speaker_parameters(job: Job, tools: Toolbox) -> dict[str, object]:
    """What people said of the speakers, and the voices that the owner has enrolled, as they are now."""
    said = all_said(made.change for made in tools.ledger.corrections_of_job(job.id) if made.applies)
    voices = tools.ledger.known_voices(job.owner_id, but_of=job.id)
    # A result that names the voice it was kept as is this job's alone.
    remembered = {"remembered_for": job.id} if job.options.remember_clients else {}
    terms = glossary_of(job, tools)
    return {"said": to_json(said), "voices": to_json_list(voices), "glossary": to_json_list(terms), **remembered}


def glossary_of(job: Job, tools: Toolbox) -> tuple[Term, ...]:
    """The job's own terms, then the owner's."""
    own = tuple(Term(text) for text in job.options.terms)
    return own + tuple(term for term in tools.ledger.glossary(job.owner_id) if term.text not in job.options.terms)


def terms_known(parameters: Mapping[str, Any]) -> tuple[Term, ...]:
    return from_json(tuple[Term, ...], parameters["glossary"])


def said_of_speakers(parameters: Mapping[str, Any]) -> SpeakerChange:
    return from_json(SpeakerChange, parameters["said"])


def voices_known(parameters: Mapping[str, Any]) -> tuple[KnownVoice, ...]:
    return from_json(tuple[KnownVoice, ...], parameters["voices"])


def remembered(context: StageContext, analysis: Analysis, diarization: Diarization | None) -> Analysis:
    """Clients whose voice is not known yet are kept, by their owner's choice. Done twice it is the same voice."""
    if diarization is None or diarization.embedding_model is None or not context.job.options.remember_clients:
        return analysis
    heard = merged(diarization, said_of_speakers(context.parameters).merged)
    new = [s for s in analysis.speakers if s.role is Role.CLIENT and s.voice_id is None and s.id in heard.embeddings]
    ledger, job = context.tools.ledger, context.job
    ledger.forget_remembered(job.id, but=frozenset(speaker.id for speaker in new))
    kept = {}
    for speaker in new:
        spoken_s = sum(turn.duration_s for turn in heard.turns if turn.speaker == speaker.id)
        known = print_of_speaker(heard.embeddings[speaker.id], diarization.embedding_model, spoken_s)
        voice = NewVoice(speaker.name or "", Role.CLIENT, VoiceOrigin.REMEMBERED, job_id=job.id, speaker=speaker.id)
        kept[speaker.id] = ledger.remember_voice(job.owner_id, voice, known)
    named = (replace(s, voice_id=kept[s.id], voice_confidence=1.0) if s.id in kept else s for s in analysis.speakers)
    return replace(analysis, speakers=tuple(named))
