"""The report of a recipe: one HTML page that says what its verdict is worth, and on what that rests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from clipspect.base.errors import ClipspectError
from clipspect.inspection.result import decide
from clipspect.recipes.calibration import Calibration, PartScore
from clipspect.recipes.checks import rate_words
from clipspect.recipes.defects import defects_of
from clipspect.recipes.promise import CONFIDENCE, percent
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.references import size_words
from clipspect.sinks.overlay_colours import HeatScale, heat_scale
from clipspect.sinks.report_charts import histogram, score_bar
from clipspect.sinks.report_page import Html, chip, code, escape, facts, lead, panel, section, table, write_page
from clipspect.sinks.report_pictures import ReportPicture, card, gallery, pair
from clipspect.sinks.report_words import good_parts, lead_words, limit_rows, measured_words, more_parts
from clipspect.sinks.score_axis import score_axis

_QUANTITIES = {  # of Calibration.checks, in words; other names stand for themselves
    "clipped": "share of black and white pixels",
    "layout": "difference from the mean good frame",
    "embedding": "distance of the whole image's embedding (1 - cosine)",
}


def write_report(
    path: Path,
    recipe: Recipe,
    worst: Iterable[ReportPicture] = (),
    *,
    defects: Iterable[ReportPicture] = (),
    bundle: str = "",
    map_range: tuple[float, float] = (0.0, 1.0),
) -> None:
    """Write the page of a recipe, whole or not at all. It loads nothing from elsewhere and has no script.

    `recipe` is the one with its limits, calibration and history, as it is written. `worst` are pictures of the good
    parts with the highest scores, and `defects` of the defective ones with the lowest, as `WorstPictures` keeps them;
    a picture of a struck part is shown as such. `bundle` is the bundle's name, and `map_range` the inspector's.
    Raises ClipspectError: a score is not finite, or the page cannot be written.
    """
    calibration, shown = recipe.calibration, list(worst)
    _require_finite(calibration)
    verdict, sentences = lead_words(recipe)
    middle = sum(map_range) / 2
    scale = heat_scale(map_range, recipe.limits.map if recipe.limits and recipe.limits.map is not None else middle)
    struck = {part.name for part in calibration.parts if part.struck} if calibration is not None else set()
    parts = [
        lead(verdict, *sentences),
        _limits(recipe),
        _scores(recipe),
        _defects(recipe),
        _more(recipe),
        _worst(recipe, [picture for picture in shown if picture.name not in struck], scale),
        _nearest(recipe, list(defects), scale),
        _checks(calibration),
        _scorer(recipe, bundle),
        _struck(recipe, [picture for picture in shown if picture.name in struck], scale),
        _history(recipe),
    ]
    write_page(path, f"Recipe {recipe.name}: what its verdict is worth", parts)


def _limits(recipe: Recipe) -> Html:
    if recipe.limits is None:
        return section("Limits", "There are none: clipspect calibrate finds them from good parts.")
    header = ["limit", "value", "good parts, promised", "on average", "k-th largest"]
    return section("Limits", table(header, limit_rows(recipe.limits)))


def _scores(recipe: Recipe) -> Html:
    good = [part.score for part in good_parts(recipe.calibration)]
    bad = [part.score for part in recipe.calibration.defects] if recipe.calibration is not None else []
    if not good:
        return section("Scores of the good parts", "No good part was measured, so there is nothing to draw.")
    words = f"{measured_words(len(good), recipe.calibration)}, from {min(good):.4g} to {max(good):.4g}."
    return section("Scores of the good parts", words.capitalize(), panel(histogram(good, bad, recipe.limits)))


def _defects(recipe: Recipe) -> Html:
    """What is known of escapes; never nothing."""
    heading = "Defective parts"
    found = defects_of(recipe)
    if found is None:
        return section(heading, "escape rate: unknown: the recipe has no limits, so it fails nothing.")
    return section(heading, facts(found.rows()))


def _worst(recipe: Recipe, pictures: Sequence[ReportPicture], scale: HeatScale) -> Html:
    heading = "The good parts with the highest scores"
    if not pictures:
        return section(heading, "No pictures were kept.")
    words = (
        "Each part, and its heat: where the model finds it unlike a good one. Is one of them not good? Strike it, and "
        "calibrate again: a defect among the good parts moves the limits up."
    )
    return section(heading, words, _cards(recipe, pictures, scale))


def _nearest(recipe: Recipe, pictures: Sequence[ReportPicture], scale: HeatScale) -> Html:
    if not pictures:
        return Html("")
    return section("The defective parts with the lowest scores", _cards(recipe, pictures, scale))


def _cards(recipe: Recipe, pictures: Sequence[ReportPicture], scale: HeatScale) -> Html:
    axis, parts = score_axis(recipe, recipe.limits), _parts_by_name(recipe.calibration)
    cards = []
    for shown in pictures:
        part = parts.get(shown.name)
        score = shown.score if part is None else part.score
        line = f'<div class="line"><span class="score">{score:.4g}</span>'
        if recipe.limits is not None:
            invalid = part is not None and part.invalid
            line += chip("invalid" if invalid else decide(score, recipe.limits) or "pass")
        line += f'<span class="name">{escape(shown.name)}</span></div>'
        cards.append(card(pair(shown, scale), [Html(line), *([score_bar(axis, score)] if axis is not None else [])]))
    return gallery(cards)


def _more(recipe: Recipe) -> Html:
    promise = recipe.limits.reject_promise if recipe.limits is not None else None
    parts = len(good_parts(recipe.calibration))
    header, rows, words = more_parts(parts, promise.confidence if promise is not None else CONFIDENCE)
    return section("What more good parts would buy", words, table(header, rows))


def _checks(calibration: Calibration | None) -> Html:
    heading = "What a frame must be like, or it is invalid"
    if calibration is None or not calibration.checks:
        return section(heading, "Only black, white and constant frames are refused: nothing else was measured.")
    rows = [
        (_QUANTITIES.get(name, name), _limit(check.low), _limit(check.high), percent(check.rate))
        for name, check in calibration.checks.items()
    ]
    sizes = ", ".join(map(size_words, calibration.frame_sizes))
    note = [f"Size of the measured frames: {sizes} pixels."] if sizes else []
    worth = f"All together: {rate_words(calibration)}."
    return section(heading, table(["quantity", "from", "to", "good parts outside"], rows), worth, *note)


def _scorer(recipe: Recipe, bundle: str) -> Html:
    calibration = recipe.calibration
    rows: list[tuple[str, object]] = [
        ("recipe", recipe.name), ("object", recipe.object), ("method", recipe.method),
        ("judged by", recipe.judge), ("recipe's digest", code(recipe.digest)),
    ]  # fmt: skip
    if recipe.references is not None and isinstance(files := recipe.references.get("files"), list):
        rows.append(("references", f"{len(files)} photographs"))
    if bundle:
        rows.insert(0, ("bundle", bundle))
    if calibration is None:
        return section("What scores", facts(rows), "The limits were not measured, so they belong to no engine.")
    scorer = calibration.scorer
    rows += [
        ("bundle's digest", code(scorer.bundle)), ("digest of the recipe's tensors", code(scorer.tensors)),
        ("engine", f"{scorer.backend} on {scorer.device}"), ("precision", scorer.precision),
        ("clipspect", scorer.version), ("measured on", _time(calibration.time)),
        ("frames of one part", code(calibration.group) if calibration.group else "every photograph is a part"),
    ]  # fmt: skip
    words = (
        "The limits speak of the scores of this engine in this precision. With another they are widened by what is "
        "known of the difference, or refused."
    )
    if calibration.by_hand:
        words = "The limits were given by hand, and belong to no engine."
    return section("What scored", facts(rows), words)


def _struck(recipe: Recipe, pictures: Sequence[ReportPicture], scale: HeatScale) -> Html:
    calibration = recipe.calibration
    found = [part for part in calibration.parts if part.struck] if calibration is not None else []
    if not found:
        return section("Parts that were struck", "None: every good part that was given counts.")
    rows = [(part.name, f"{part.score:.6g}", str(part.frames)) for part in found]
    words = "A person found that these are not good; they do not count."
    shown = [_cards(recipe, pictures, scale)] if pictures else []
    return section("Parts that were struck", words, table(["part", "score", "photographs"], rows), *shown)


def _history(recipe: Recipe) -> Html:
    if not recipe.history:
        return section("History of the limits", "No change is recorded.")
    rows = [
        (_time(change.time), change.who, _values(change.old), _values(change.new), change.why)
        for change in recipe.history
    ]
    return section("History of the limits", table(["when (UTC)", "who", "from", "to", "why"], rows))


def _require_finite(calibration: Calibration | None) -> None:
    for part in (*calibration.parts, *calibration.defects) if calibration is not None else ():
        if not math.isfinite(part.score):
            raise ClipspectError(f"the score of part {part.name!r} is {part.score}: calibrate again")


def _parts_by_name(calibration: Calibration | None) -> dict[str, PartScore]:
    parts: Iterable[PartScore] = (*calibration.parts, *calibration.defects) if calibration is not None else ()
    return {part.name: part for part in parts}


def _limit(value: float | None) -> str:
    return "any" if value is None else f"{value:.4g}"


def _values(limits: dict[str, float | None] | None) -> str:
    if limits is None:
        return "none"
    return ", ".join(f"{name} {value:.4g}" for name, value in limits.items() if value is not None)


def _time(written: str) -> str:
    return written[:16].replace("T", " ")
