// Records, schema 1: what every sink, page and auditor reads of one outcome. docs/record.schema.json is their JSON
// Schema.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <system_error>

#include "error.hpp"
#include "inspector.hpp"
#include "json_line.hpp"
#include "version.hpp"

namespace clipspect {

struct Item {  // what was inspected; names in whatever bytes the file system has
    std::string source;
    std::int64_t number;                     // of the frame in its source, from 0
    std::string name;                        // the path of a file, else source and number
    std::optional<std::string> captured_at;  // see utc_text; none where the source does not know
};

// A moment in UTC, ISO 8601, to the millisecond.
inline std::string utc_text(std::chrono::system_clock::time_point moment) {
    const auto whole = std::chrono::floor<std::chrono::milliseconds>(moment).time_since_epoch().count();
    const auto part = static_cast<int>((whole % 1000 + 1000) % 1000);
    const auto seconds = static_cast<std::time_t>((whole - part) / 1000);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[80];
    std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03d+00:00", parts.tm_year + 1900, parts.tm_mon + 1,
                  parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, part);
    return text;
}

namespace detail {

using Document = nlohmann::ordered_json;

inline std::string random_id() {  // a UUID, version 4
    std::random_device random;
    std::string id;
    for (int i = 0; i < 32; ++i) {
        const unsigned digit = i == 12 ? 4U : i == 16 ? 8U | (random() & 3U) : random() & 15U;
        id.push_back("0123456789abcdef"[digit]);
    }
    return id;
}

template <class Value>
Document or_null(const std::optional<Value>& value) {
    return value ? Document(*value) : Document();
}

inline Document regions_of(const Result& result) {
    Document regions = Document::array();
    for (const Region& region : result.regions)
        regions.push_back({{"x", region.x},
                           {"y", region.y},
                           {"width", region.width},
                           {"height", region.height},
                           {"area", region.area},
                           {"peak", static_cast<double>(region.peak)},
                           {"centroid", {region.centroid_x, region.centroid_y}}});
    return regions;
}

inline Document quality_of(const Result& result, const Recipe& recipe) {
    Document quality = Document::object();
    for (const auto& [name, value] : quantities(result.quality, result.embedding, recipe.calibration))
        quality[name] = value;
    return quality;
}

inline Document promise_of(const std::optional<Promise>& promise) {
    if (!promise) return {};
    return {{"rate", promise->rate},
            {"confidence", promise->confidence},
            {"parts", promise->parts},
            {"rank", promise->rank},
            {"asked", promise->asked}};
}

inline Document limits_of(const std::optional<Limits>& limits) {
    if (!limits) return {};
    return {{"review", limits->review},
            {"reject", limits->reject},
            {"map", or_null(limits->map)},
            {"review_promise", promise_of(limits->review_promise)},
            {"reject_promise", promise_of(limits->reject_promise)},
            {"map_promise", promise_of(limits->map_promise)}};
}

// Of either a result or an error.
template <class Engine>
std::string record_line(const Inspector<Engine>& inspector, const Item& item, const Result* result, double decode_ms,
                        const std::optional<std::string>& error) {
    const Bundle& bundle = inspector.bundle();
    const Recipe& recipe = inspector.recipe();
    const auto of_result = [&](const auto& value) { return result == nullptr ? Document() : Document(value(*result)); };
    Document timings;
    if (result != nullptr)
        timings = {{"decode", decode_ms},
                   {"preprocess", result->timings.preprocess},
                   {"infer", result->timings.infer},
                   {"post", result->timings.post}};
    const Document record{{"schema", 1},
                          {"id", random_id()},
                          {"time", utc_text(std::chrono::system_clock::now())},
                          {"item",
                           {{"source", item.source},
                            {"number", item.number},
                            {"name", item.name},
                            {"captured_at", or_null(item.captured_at)},
                            {"width", of_result([](const Result& it) { return it.width; })},
                            {"height", of_result([](const Result& it) { return it.height; })},
                            {"file", nullptr},
                            {"dropped", 0},
                            {"seconds", nullptr},
                            {"span", nullptr}}},
                          {"bundle",
                           {{"name", std::filesystem::canonical(bundle.path).filename().string()},
                            {"method", bundle.manifest.method},
                            {"digest", bundle.manifest.digest}}},
                          {"recipe", {{"name", recipe.name}, {"digest", recipe.digest}}},
                          {"engine",
                           {{"backend", Engine::name},
                            {"device", inspector.engine().device()},
                            {"precision", inspector.engine().precision()}}},
                          {"version", version},
                          {"score", of_result([](const Result& it) { return static_cast<double>(it.score); })},
                          {"verdict", of_result([](const Result& it) { return or_null(it.verdict); })},
                          {"reasons", result == nullptr ? Document::array() : Document(result->reasons)},
                          {"notes", result == nullptr ? Document::array() : Document(result->notes)},
                          {"quality", result == nullptr ? Document::object() : quality_of(*result, recipe)},
                          {"limits", of_result([](const Result& it) { return limits_of(it.limits); })},
                          {"map_limit", of_result([](const Result& it) { return it.map_limit; })},
                          {"peak", of_result([](const Result& it) { return static_cast<double>(it.peak()); })},
                          {"regions", result == nullptr ? Document::array() : regions_of(*result)},
                          {"explanation", nullptr},
                          {"timings_ms", timings},
                          {"latency_ms", nullptr},  // files: nobody saw their capture
                          {"files", Document::object()},
                          {"error", or_null(error)},
                          {"chain", nullptr}};  // lines on standard output are of no log
    std::string line;
    append_line(line, record);
    return line;
}

}  // namespace detail

// The record of a frame that was inspected, in one line of JSON without its end. `decode_ms` is what it took to read.
template <class Engine>
std::string record_line(const Inspector<Engine>& inspector, const Item& item, const Result& result, double decode_ms) {
    return detail::record_line(inspector, item, &result, decode_ms, std::nullopt);
}

// Of a frame that could not be read.
template <class Engine>
std::string record_line(const Inspector<Engine>& inspector, const Item& item, const ImageError& error) {
    return detail::record_line(inspector, item, nullptr, 0, error.what());
}

}  // namespace clipspect
