// JSON as docs/bundle-format.md allows it, read with nlohmann's parser, and the values in it by type.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "error.hpp"

namespace clipspect {

using Json = nlohmann::json;

struct JsonError : std::runtime_error {  // not JSON, or not what is expected there
    using std::runtime_error::runtime_error;
};

namespace detail {

// Builds a document of what the parser finds. Of a repeated key the last value counts. Refused are numbers beyond a
// double, integers beyond 64 bits, and what is nested too deeply.
class JsonBuilder final : public nlohmann::json_sax<Json> {
  public:
    Json document;

    bool null() override { return put(nullptr); }
    bool boolean(bool value) override { return put(value); }
    bool number_integer(std::int64_t value) override { return put(value); }
    bool number_unsigned(std::uint64_t value) override {
        if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) too_long();
        return put(static_cast<std::int64_t>(value));
    }
    bool number_float(double value, const std::string& written) override {
        if (written.find_first_of(".eE") == std::string::npos) too_long();
        return put(value);
    }
    bool string(std::string& value) override { return put(std::move(value)); }
    bool binary(Json::binary_t& /*value*/) override { return false; }  // no part of JSON
    bool start_object(std::size_t /*size*/) override { return open(Json::object()); }
    bool start_array(std::size_t /*size*/) override { return open(Json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool key(std::string& name) override {
        member_ = &(*open_.back())[name];
        return true;
    }
    bool parse_error(std::size_t at, const std::string& /*token*/, const nlohmann::detail::exception& error) override {
        const std::string words = one_line(error.what());
        throw JsonError("not readable as JSON, at byte " + std::to_string(at) + ": " +
                        words.substr(words.find("] ") + 2));
    }

  private:
    static constexpr std::size_t deepest_ = 64;  // objects and arrays inside each other

    std::vector<Json*> open_;  // objects and arrays that are not at their end
    Json* member_ = &document;

    [[noreturn]] static void too_long() { throw JsonError("expected whole numbers of at most 64 bits"); }

    Json& place(Json value) {
        if (open_.empty() || open_.back()->is_object()) return *member_ = std::move(value);
        open_.back()->push_back(std::move(value));
        return open_.back()->back();
    }

    bool put(Json value) {
        place(std::move(value));
        return true;
    }

    bool open(Json empty) {
        if (open_.size() == deepest_) throw JsonError("not readable as JSON: nested too deeply");
        open_.push_back(&place(std::move(empty)));
        return true;
    }

    bool close() {
        open_.pop_back();
        return true;
    }
};

// The value of that name; null where there is none.
inline const Json& member(const Json& object, const std::string& name) {
    static const Json nothing;
    const auto found = object.find(name);
    return found == object.end() ? nothing : *found;
}

[[noreturn]] inline void mismatch(const std::string& where, const char* expected, const Json& found) {
    throw JsonError(where + (found.is_null() ? ": is missing, expected " : ": expected ") + expected +
                    (found.is_null() ? "" : std::string(", found ") + found.type_name()));
}

inline const Json& as_object(const Json& value, const std::string& where) {
    if (!value.is_object()) mismatch(where, "an object", value);
    return value;
}

inline const Json& as_array(const Json& value, const std::string& where) {
    if (!value.is_array()) mismatch(where, "an array", value);
    return value;
}

inline const std::string& as_string(const Json& value, const std::string& where) {
    if (!value.is_string()) mismatch(where, "a string", value);
    return value.get_ref<const std::string&>();
}

inline double as_number(const Json& value, const std::string& where) {
    if (!value.is_number()) mismatch(where, "a number", value);
    return value.get<double>();
}

inline bool as_boolean(const Json& value, const std::string& where) {
    if (!value.is_boolean()) mismatch(where, "true or false", value);
    return value.get<bool>();
}

// The number of that name; none where it is missing or null.
inline std::optional<double> number_or_none(const Json& object, const std::string& name, const std::string& where) {
    const Json& value = member(object, name);
    return value.is_null() ? std::nullopt : std::optional(as_number(value, where));
}

// The number of that name, which is there and can be null.
inline std::optional<double> number_or_null(const Json& object, const std::string& name, const std::string& where) {
    if (!object.contains(name)) mismatch(where, "a number or null", Json());
    return number_or_none(object, name, where);
}

// From 0.
inline std::int64_t as_integer(const Json& value, const std::string& where) {
    if (!value.is_number_integer()) mismatch(where, "a whole number", value);
    const auto number = value.get<std::int64_t>();
    if (number < 0) throw JsonError(where + ": expected a whole number from 0, found " + std::to_string(number));
    return number;
}

}  // namespace detail

// Raises JsonError.
inline Json parse_json(std::string_view text) {
    // nlohmann's parser would skip a byte order mark, and take a NUL for the end
    if (text.substr(0, 3) == "\xEF\xBB\xBF") throw JsonError("not readable as JSON: begins with a byte order mark");
    if (text.find('\0') != std::string_view::npos) throw JsonError("not readable as JSON: holds a zero byte");
    detail::JsonBuilder builder;
    Json::sax_parse(text.begin(), text.end(), &builder);
    return std::move(builder.document);
}

}  // namespace clipspect
