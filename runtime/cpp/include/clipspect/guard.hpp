// The guard of limits: they speak of what scored them. With another engine or precision they are widened, or refused.
// docs/bundle-format.md specifies the rule.
#pragma once

#include <array>
#include <cstdio>
#include <optional>
#include <string>

#include "bundle.hpp"
#include "error.hpp"
#include "limits.hpp"
#include "recipe.hpp"

namespace clipspect {

struct Scoring {  // an engine as records name it
    std::string backend, device, precision;

    bool operator==(const Scoring& other) const {
        return backend == other.backend && device == other.device && precision == other.precision;
    }
    std::string words() const { return backend + " on " + device + " in " + precision; }
};

namespace detail {

// What the bundle says of a precision in an engine; null where it says nothing. What was measured on a box, in
// precisions/, is not looked at.
inline const PrecisionRecord* record_of(const Manifest& manifest, const Scoring& engine) {
    for (const PrecisionRecord& record : manifest.precisions)
        if (record.engine == engine.backend && record.name == engine.precision) return &record;
    return nullptr;
}

// Another precision than the bundle's needs its record: it passed, or was forced at export. Raises BackendError.
inline void require_record(const Manifest& manifest, const Scoring& engine) {
    if (engine.precision == manifest.precision || engine.precision == "fp32") return;
    const PrecisionRecord* record = record_of(manifest, engine);
    if (record != nullptr && (record->passed.value_or(false) || record->forced)) return;
    throw BackendError(
        "precision " + engine.precision + " in " + engine.backend +
        (record != nullptr && record->passed ? " did not pass (" : " was not measured for this bundle (") +
        (record != nullptr ? record->detail : "the bundle has no record of it") + "): take " + manifest.precision);
}

// How far a score or a map's pixel of an engine may lie from the reference's; none where nothing is known of it.
inline std::optional<double> allowed_difference(const Manifest& manifest, const Graph& graph, const Scoring& engine) {
    constexpr double allowance = 10;  // times the export's tolerance, which is for one engine
    if (engine.precision == manifest.precision) return (manifest.precision == "fp32" ? allowance : 1) * graph.tolerance;
    const PrecisionRecord* record = record_of(manifest, engine);
    if (record == nullptr || !record->passed.value_or(false) || !record->tolerance) return std::nullopt;
    return *record->tolerance * graph.scale;
}

}  // namespace detail

// The limits that judge what this engine scores with the recipe; none where the recipe has none. Limits that were given
// by hand, and those that this engine calibrated, are as they are. Others are widened by what both engines may differ
// from the reference. Raises RecipeError where they were calibrated with another bundle or other tensors, or where
// nothing is known of one of the two engines.
inline std::optional<Limits> limits_in_use(const Recipe& recipe, const Bundle& bundle, const Scoring& here) {
    if (!recipe.limits || !recipe.calibration) return recipe.limits;
    const Scorer& scorer = recipe.calibration->scorer;
    const std::string limits_of = "recipe '" + recipe.name + "': its limits were calibrated with ";
    if (scorer.bundle != bundle.manifest.digest || scorer.tensors != recipe.tensors_digest())
        throw RecipeError(limits_of + "another " +
                          (scorer.bundle != bundle.manifest.digest ? "bundle" : "references or words") +
                          " than this: calibrate it again: clipspect calibrate " + bundle.path.string() + " '" +
                          recipe.name + "' --good FOLDER");
    const std::optional<RegionOfInterest>& region = recipe.region_of_interest;
    if (scorer.region != (region ? std::optional(region->digest) : std::nullopt))
        throw RecipeError(limits_of +
                          "another region of interest than it has: calibrate it again: clipspect calibrate " +
                          bundle.path.string() + " '" + recipe.name + "' --good FOLDER");
    const Scoring there{scorer.backend, scorer.device, scorer.precision};
    if (recipe.calibration->by_hand || there == here) return recipe.limits;
    double band = 0;
    for (const Scoring& engine : {there, here}) {
        const std::optional<double> allowed =
            detail::allowed_difference(bundle.manifest, bundle.serving(recipe), engine);
        if (!allowed)
            throw RecipeError(limits_of + there.words() + " and say nothing of " + here.words() +
                              ", for there is no record of what " + engine.words() +
                              " costs: calibrate again with what inspects");
        band += *allowed;
    }
    Limits limits = *recipe.limits;
    limits.review -= band;
    limits.reject += band;
    if (limits.map) *limits.map += band;
    limits.review_promise = std::nullopt;
    return limits;
}

// What is to be said of limits in use that are not the recipe's own; empty where they are.
inline std::string guard_words(const Recipe& recipe, const std::optional<Limits>& limits) {
    if (!limits || !recipe.calibration || limits->reject == recipe.limits->reject) return {};
    const Scorer& scorer = recipe.calibration->scorer;
    std::array<char, 40> band{};
    std::snprintf(band.data(), band.size(), "%.2g", limits->reject - recipe.limits->reject);
    return "limits of " + Scoring{scorer.backend, scorer.device, scorer.precision}.words() + ", widened by " +
           band.data() + ": calibrate again for exact ones";
}

}  // namespace clipspect
