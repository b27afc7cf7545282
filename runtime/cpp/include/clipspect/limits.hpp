// Limits: what a frame's score and anomaly map are judged by, and what is promised of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "json.hpp"

namespace clipspect {

// What one limit is worth: at most `rate` of good parts reach it, with `confidence`, measured on `parts` of them. The
// limit lies just above the `rank`-th largest of their scores; `asked` is the rate that was asked for.
struct Promise {
    double rate, confidence;
    std::int64_t parts, rank;
    double asked;
};

// On the score: below `review` pass, from `reject` fail, uncertain in between. On the map: regions lie over `map`, by
// default the middle of the map's range. A promise stands beside each limit that calibration found.
struct Limits {
    double review, reject;
    std::optional<double> map;
    std::optional<Promise> review_promise, reject_promise, map_promise;
};

namespace detail {

inline std::optional<Promise> read_promise(const Json& limits, const char* name) {
    const Json& document = member(limits, name);
    if (document.is_null()) return std::nullopt;
    const std::string where = std::string("limits: ") + name;
    as_object(document, where);
    return Promise{as_number(member(document, "rate"), where + ": rate"),
                   as_number(member(document, "confidence"), where + ": confidence"),
                   as_integer(member(document, "parts"), where + ": parts"),
                   as_integer(member(document, "rank"), where + ": rank"),
                   as_number(member(document, "asked"), where + ": asked")};
}

inline std::optional<Limits> read_limits(const Json& document) {
    if (document.is_null()) return std::nullopt;
    as_object(document, "limits");
    const Limits limits{as_number(member(document, "review"), "limits: review"),
                        as_number(member(document, "reject"), "limits: reject"),
                        number_or_none(document, "map", "limits: map"),
                        read_promise(document, "review_promise"),
                        read_promise(document, "reject_promise"),
                        read_promise(document, "map_promise")};
    if (limits.review > limits.reject) throw JsonError("limits: review is above reject");
    return limits;
}

}  // namespace detail

}  // namespace clipspect
