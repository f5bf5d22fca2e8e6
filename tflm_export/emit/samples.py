"""How an engine's text reaches the latents that it remembers: arrays in RAM, or samples of its store."""

from __future__ import annotations

from tflm_export.emit.engine import Engine
from tflm_export.store.facts import changes_between_saves
from tflm_export.store.samples import SLOTS, Samples, samples_in_flash
from tflm_export.template import fill

_RAM_REPLAY = (
    "  return place < 0 ? -1.0f : "
    "learn_again(tfodl::stored_latent(latents, kLatentBytes, place), labels[place]);"
)
_FLASH_REPLAY = """  if (place < 0) return -1.0f;
  const int8_t* sample = stored(place);
  return counts.held == 0 ? -1.0f : learn_again(sample, labels[place]);"""
_REMEMBER = "  tfodl::replay_remember({}, {}, last, label);"
_REMEMBER_SAMPLE = "  {}tfodl::remember_sample(samples, {}, last, label){};"


def sample_parts(e: Engine, cut: str) -> dict[str, str]:
    """The fields of the templates that say where latents are. cut: the latent in the arena."""
    samples = samples_in_flash(e.graph, e.plan)
    return _in_ram(cut) if samples is None else _in_flash(e, samples, cut)


def _in_ram(cut: str) -> dict[str, str]:
    stored = "tfodl::stored_latent({}, kLatentBytes, i)".format
    put = f"memcpy(s8(at::{cut}), {{}}, kLatentBytes);".format
    return {
        "latents_array": "int8_t latents[kMemory * kLatentBytes];\n",
        "latents": "latents",
        "judge_latents_array": "int8_t judge_latents[kJudges * kLatentBytes];\n",
        "judge_latents": "judge_latents",
        "samples_declared": "",
        "samples_header": "",
        "samples_parts": "",
        "forget_samples": "",
        "changes_left": "",
        "put_latent": put("latent"),
        "put_stored": put("stored"),
        "stored_i": stored("latents"),
        "judge_i": stored("judge_latents"),
        "replay_place": _RAM_REPLAY,
        "if_level": "",
        "keep_sample": _REMEMBER.format("memory", "counts"),
        "keep_judge": f"  {_REMEMBER.format('judges', 'judge_counts')}\n    return true;",
    }


def _in_flash(e: Engine, samples: Samples, cut: str) -> dict[str, str]:
    fields = {
        "cut": cut,
        "places": str(samples.places),
        "changes": str(changes_between_saves(e.graph, e.plan)),
        "slots_a_place": str(SLOTS),
        "judge_memory": "",
        "judges_lost": "",
        "judges_whole": "",
        "known": "classes()" if e.plan.spare_classes else "kLogits",
    }
    if e.plan.guard is not None:
        fields |= {
            "judge_memory": "const tfodl::SampleMemory judge_samples = {judges, judge_counts, kMemory};\n",
            "judges_lost": "\n  judge_counts.held = 0;",
            "judges_whole": " && tfodl::is_whole(samples, judge_samples, kLogits)",
        }
    put = f"if ({{0}} != s8(at::{cut})) memcpy(s8(at::{cut}), {{0}}, kLatentBytes);".format
    return {
        "latents_array": "",
        "latents": "nullptr",
        "judge_latents_array": "",
        "judge_latents": "nullptr",
        "samples_declared": fill("samples_declared.cpp", fields),
        "samples_header": fill("samples.h", fields),
        "samples_parts": fill("samples_parts.cpp", fields),
        "forget_samples": "\n  samples.forget();",
        "changes_left": "\n\nint32_t changes_left() { return samples.changes_left(); }",
        "put_latent": put("latent"),
        "put_stored": put("stored"),
        "stored_i": "stored(i)",
        "judge_i": "stored(kMemory + i)",
        "replay_place": _FLASH_REPLAY,
        "if_level": "if (level.n != 0) ",
        "keep_sample": _REMEMBER_SAMPLE.format("if (!", "memory_samples", ") return false"),
        "keep_judge": "  " + _REMEMBER_SAMPLE.format("return ", "judge_samples", ""),
    }
