// A JSON value: what a manifest or a recipe says of itself, and the canonical form that their digests cover.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace clipspect {

struct JsonError : std::runtime_error {  // not JSON, or not of the kind that is read here
    using std::runtime_error::runtime_error;
};

struct Json {
    enum class Kind { null, boolean, number, string, array, object };

    Kind kind = Kind::null;
    bool truth = false;
    std::string text;               // a string's value in UTF-8, or a number as it was written
    std::vector<std::string> keys;  // of an object: sorted, keys[i] is the name of items[i]
    std::vector<Json> items;

    // The value of that name; null where there is none, as JSON's null.
    const Json& operator[](std::string_view name) const {
        static const Json nothing;
        const auto at = std::lower_bound(keys.begin(), keys.end(), name);
        return at == keys.end() || *at != name ? nothing : items[static_cast<std::size_t>(at - keys.begin())];
    }

    const Json& object(const std::string& where) const { return require(Kind::object, where, "an object"); }
    const std::vector<Json>& array(const std::string& where) const {
        return require(Kind::array, where, "a list").items;
    }
    const std::string& string(const std::string& where) const { return require(Kind::string, where, "text").text; }

    double number(const std::string& where) const {
        const double value = require(Kind::number, where, "a number").value();
        if (!std::isfinite(value)) throw JsonError(where + ": expected a finite number");
        return value;
    }

    double value() const {  // of a number; infinity where it is beyond a double
        std::istringstream stream(text);
        stream.imbue(std::locale::classic());  // a program's own locale may have a decimal comma
        double number = 0;
        return stream >> number ? number : std::numeric_limits<double>::infinity();
    }

    // A whole number from 0 to 2^53, written without a fraction.
    std::int64_t integer(const std::string& where) const {
        const double value = number(where);
        if (text.find_first_of(".eE") != std::string::npos || value < 0 || value > 9007199254740992.0)
            throw JsonError(where + ": expected a whole number from 0, found " + text.substr(0, 80));
        return static_cast<std::int64_t>(value);
    }

    bool is_null() const { return kind == Kind::null; }

  private:
    const Json& require(Kind wanted, const std::string& where, const char* words) const {
        if (kind != wanted) throw JsonError(where + (is_null() ? ": is missing, expected " : ": expected ") + words);
        return *this;
    }
};

namespace detail {

// The first character of a text, surrogates included; its length in bytes, 0 where there is none in UTF-8's shortest
// form up to U+10FFFF.
inline std::size_t first_character(std::string_view text, std::uint32_t& code) {
    const auto first = text.empty() ? 0U : static_cast<unsigned char>(text.front());
    if (first < 0x80) {
        code = first;
        return text.empty() ? 0 : 1;
    }
    const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || length > text.size()) return 0;
    code = first & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        const auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xC0U) != 0x80U) return 0;
        code = (code << 6) | (next & 0x3FU);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    return overlong || code > 0x10FFFF ? 0 : length;
}

inline void append_unit(std::string& out, std::uint32_t unit) {
    static const char* digits = "0123456789abcdef";
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out.push_back(digits[(unit >> shift) & 0xFU]);
}

// A byte that is no UTF-8 is written as Python writes it: \udc80 to \udcff.
inline void append_quoted(std::string& out, std::string_view text) {
    constexpr std::string_view plain = "\"\\\b\f\n\r\t", letters = "\"\\bfnrt";
    out.push_back('"');
    while (!text.empty()) {
        std::uint32_t code = 0;
        std::size_t length = first_character(text, code);
        if (length == 0) {
            code = 0xDC00U + static_cast<unsigned char>(text.front());
            length = 1;
        }
        if (const std::size_t special = plain.find(text.front()); special != std::string_view::npos) {
            out.push_back('\\');
            out.push_back(letters[special]);
        } else if (code >= 0x20 && code < 0x7F) {
            out.push_back(text.front());
        } else if (code < 0x10000) {
            append_unit(out, code);
        } else {
            append_unit(out, 0xD800 + ((code - 0x10000) >> 10));
            append_unit(out, 0xDC00 + ((code - 0x10000) & 0x3FF));
        }
        text.remove_prefix(length);
    }
    out.push_back('"');
}

}  // namespace detail

// As Python's json.dumps(value, sort_keys=True, separators=(",", ":")) writes it: sorted keys, no space, ASCII, and
// numbers as they stand in the file. The keys of `without` are left out at the top.
inline void append_canonical(std::string& out, const Json& value, std::string_view without = {}) {
    switch (value.kind) {
        case Json::Kind::null: out += "null"; return;
        case Json::Kind::boolean: out += value.truth ? "true" : "false"; return;
        case Json::Kind::number: out += value.text; return;
        case Json::Kind::string: detail::append_quoted(out, value.text); return;
        case Json::Kind::array:
        case Json::Kind::object: break;
    }
    const bool object = value.kind == Json::Kind::object;
    out.push_back(object ? '{' : '[');
    bool first = true;
    for (std::size_t i = 0; i < value.items.size(); ++i) {
        if (object && !without.empty() && value.keys[i] == without) continue;
        if (!first) out.push_back(',');
        first = false;
        if (object) {
            detail::append_quoted(out, value.keys[i]);
            out.push_back(':');
        }
        append_canonical(out, value.items[i]);
    }
    out.push_back(object ? '}' : ']');
}

// Whether two documents mean the same; a key that is missing is as one that is null.
inline bool same(const Json& a, const Json& b) {
    if (a.kind != b.kind) return false;
    if (a.kind == Json::Kind::number) return a.text == b.text || (a.value() == b.value() && std::isfinite(a.value()));
    if (a.kind != Json::Kind::object) {
        return a.truth == b.truth && a.text == b.text &&
               std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), same);
    }
    const auto covered = [](const Json& one, const Json& other) {
        for (std::size_t i = 0; i < one.keys.size(); ++i)
            if (!same(one.items[i], other[one.keys[i]])) return false;
        return true;
    };
    return covered(a, b) && covered(b, a);
}

}  // namespace clipspect
