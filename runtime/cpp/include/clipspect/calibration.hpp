// Calibration: what a recipe's limits were made of, as far as they are judged by. All of it is checked.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "json.hpp"
#include "quality.hpp"

namespace clipspect {

struct Scorer {                   // what computed the scores: limits speak of the scores of this one alone
    std::string bundle, tensors;  // digests: of bundle.json, and of the recipe's tensors
    std::string backend, device, precision;
    std::optional<std::string> region;  // digest of the recipe's region of interest; none: all of a frame was judged
};

struct Range {  // what good frames show of one quantity; none: it is not limited on that side
    std::optional<double> low, high;
    double smallest, largest;  // of the calibration's frames
};

struct FrameSize {  // in pixels
    std::int64_t width, height;
};

struct Calibration {
    Scorer scorer;
    std::map<std::string, Range> checks;  // of what frames must be like; else they are invalid
    std::vector<double> layout;           // mean of the frames' layouts
    std::vector<double> embedding;        // unit mean of the whole images' embeddings
    std::vector<FrameSize> frame_sizes;   // of the calibration's frames, each once
    bool by_hand;                         // the limits are others, given by hand since
};

namespace detail {

inline Scorer read_scorer(const Json& document) {
    const std::string where = "calibration: scorer";
    as_object(document, where);
    const auto text = [&](const char* name) { return as_string(member(document, name), where + ": " + name); };
    text("version");
    const Json& region = member(document, "region");
    return {text("bundle"), text("tensors"),   text("backend"),
            text("device"), text("precision"), region.is_null() ? std::nullopt : std::optional(text("region"))};
}

inline void check_parts(const Json& parts, const std::string& where) {
    for (const Json& part : as_array(parts, where)) {
        as_string(member(as_object(part, where), "name"), where + ": name");
        as_number(member(part, "score"), where + ": score");
        as_number(member(part, "map_maximum"), where + ": map_maximum");
        if (const Json& frames = member(part, "frames"); !frames.is_null()) as_integer(frames, where + ": frames");
        if (const Json& struck = member(part, "struck"); !struck.is_null()) as_boolean(struck, where + ": struck");
        if (const Json& worst = member(part, "worst_frame"); !worst.is_null())
            as_string(worst, where + ": worst_frame");
    }
}

inline std::map<std::string, Range> read_checks(const Json& document, const std::string& checks) {
    std::map<std::string, Range> ranges;
    if (document.is_null()) return ranges;
    for (const auto& [name, entry] : as_object(document, checks).items()) {
        const std::string where = checks + ": " + name;
        as_object(entry, where);
        const Range range{number_or_null(entry, "low", where + ": low"),
                          number_or_null(entry, "high", where + ": high"),
                          as_number(member(entry, "smallest"), where + ": smallest"),
                          as_number(member(entry, "largest"), where + ": largest")};
        as_number(member(entry, "rate"), where + ": rate");
        if (range.low && range.high && *range.low > *range.high) throw JsonError(where + ": low is above high");
        ranges.emplace(name, range);
    }
    return ranges;
}

// `layout` is the mean of the frames' layouts, which has one length, or is empty where there is no check of it.
inline void check_layout(const std::map<std::string, Range>& checks, const std::vector<double>& layout) {
    const std::size_t expected = Quality{}.layout.size();
    if (layout.size() != expected && (!layout.empty() || checks.count("layout") != 0))
        throw JsonError("calibration: layout: has " + std::to_string(layout.size()) + " numbers, expected " +
                        std::to_string(expected));
}

inline std::vector<double> read_row(const Json& document, const std::string& where) {
    std::vector<double> row;
    if (document.is_null()) return row;
    for (const Json& value : as_array(document, where)) row.push_back(as_number(value, where));
    return row;
}

inline std::vector<FrameSize> read_sizes(const Json& document, const std::string& where) {
    std::vector<FrameSize> sizes;
    if (document.is_null()) return sizes;
    for (const Json& size : as_array(document, where)) {
        if (as_array(size, where).size() != 2) throw JsonError(where + ": expected two numbers");
        sizes.push_back({as_integer(size[0], where), as_integer(size[1], where)});
        if (sizes.back().width < 1 || sizes.back().height < 1) throw JsonError(where + ": expected numbers from 1");
    }
    return sizes;
}

inline std::optional<Calibration> read_calibration(const Json& document) {
    if (document.is_null()) return std::nullopt;
    const std::string where = "calibration";
    as_string(member(as_object(document, where), "time"), where + ": time");
    check_parts(member(document, "parts"), where + ": parts");
    if (const Json& defects = member(document, "defects"); !defects.is_null())
        check_parts(defects, where + ": defects");
    if (const Json& group = member(document, "group"); !group.is_null()) as_string(group, where + ": group");
    if (const Json& estimate = member(document, "estimate"); !estimate.is_null())
        as_boolean(estimate, where + ": estimate");
    const Json& by_hand = member(document, "by_hand");
    Calibration calibration{read_scorer(member(document, "scorer")),
                            read_checks(member(document, "checks"), where + ": checks"),
                            read_row(member(document, "layout"), where + ": layout"),
                            read_row(member(document, "embedding"), where + ": embedding"),
                            read_sizes(member(document, "frame_sizes"), where + ": frame_sizes"),
                            !by_hand.is_null() && as_boolean(by_hand, where + ": by_hand")};
    check_layout(calibration.checks, calibration.layout);
    return calibration;
}

// Changes of the limits.
inline void check_history(const Json& document) {
    if (document.is_null()) return;
    for (const Json& change : as_array(document, "history")) {
        as_object(change, "history");
        for (const char* name : {"time", "who", "why"})
            as_string(member(change, name), std::string("history: ") + name);
        for (const char* name : {"old", "new"}) {
            const auto values = change.find(name);
            const std::string where = std::string("history: ") + name;
            if (values == change.end()) mismatch(where, "an object or null", Json());
            if (values->is_null()) continue;
            for (const auto& [limit, value] : as_object(*values, where).items())
                number_or_none(*values, limit, where + ": " + limit);
        }
    }
}

}  // namespace detail

}  // namespace clipspect
