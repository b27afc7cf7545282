// JSON in one line of ASCII, as Python's json.dumps writes it: a byte that is no UTF-8 becomes half a surrogate pair,
// U+DC80 to U+DCFF, so that every file name can be written and read. nlohmann's own writer refuses such bytes.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace clipspect::detail {

// The first character of a text; its length in bytes, 0 where it is no UTF-8.
inline std::size_t first_character(std::string_view text, std::uint32_t& code) {
    const auto first = static_cast<unsigned char>(text.front());
    code = first;
    if (first < 0x80) return 1;
    const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || length > text.size()) return 0;
    code &= 0xFFU >> (length + 1);
    for (std::size_t i = 1; i < length; ++i) {
        const auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xC0U) != 0x80U) return 0;
        code = (code << 6) | (next & 0x3FU);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    return overlong || (code >= 0xD800 && code <= 0xDFFF) || code > 0x10FFFF ? 0 : length;
}

inline void append_escaped(std::string& out, std::uint32_t unit) {
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out.push_back("0123456789abcdef"[(unit >> shift) & 0xFU]);
}

inline void append_string(std::string& out, std::string_view text) {
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
        } else if (code >= 0x20 && code < 0x80) {
            out.push_back(text.front());
        } else if (code < 0x10000) {
            append_escaped(out, code);
        } else {
            append_escaped(out, 0xD800 + ((code - 0x10000) >> 10));
            append_escaped(out, 0xDC00 + ((code - 0x10000) & 0x3FF));
        }
        text.remove_prefix(length);
    }
    out.push_back('"');
}

inline void append_line(std::string& out, const nlohmann::ordered_json& value) {
    if (value.is_string()) return append_string(out, value.get_ref<const std::string&>());
    if (!value.is_structured()) {
        out += value.dump();
        return;
    }
    out.push_back(value.is_object() ? '{' : '[');
    bool first = true;
    for (const auto& [key, item] : value.items()) {
        if (!first) out += ", ";
        first = false;
        if (value.is_object()) {
            append_string(out, key);
            out += ": ";
        }
        append_line(out, item);
    }
    out.push_back(value.is_object() ? '}' : ']');
}

}  // namespace clipspect::detail
