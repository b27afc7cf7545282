// JSON, strictly: the reader. Refused besides what RFC 8259 refuses: a key twice in one object, NaN and Infinity,
// nesting beyond 64, text that is not UTF-8. A lone surrogate escape (\udc80, as Python writes a file name that is no
// text) is kept.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json.hpp"

namespace clipspect {

namespace detail {

class JsonReader {
  public:
    explicit JsonReader(std::string_view text) : text_(text) {}

    Json document() {
        Json value = read(0);
        skip_space();
        if (at_ != text_.size()) fail("something follows the document");
        return value;
    }

  private:
    static constexpr int deepest = 64;

    std::string_view text_;
    std::size_t at_ = 0;

    [[noreturn]] void fail(const std::string& what) const {
        throw JsonError("not readable as JSON: " + what + " at byte " + std::to_string(at_));
    }

    int peek() const { return at_ < text_.size() ? static_cast<unsigned char>(text_[at_]) : -1; }

    bool take(char sign) {
        if (peek() != static_cast<unsigned char>(sign)) return false;
        ++at_;
        return true;
    }

    void expect(char sign) {
        if (!take(sign)) fail(std::string("expected '") + sign + "'");
    }

    void skip_space() {
        while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at_;
    }

    Json read(int depth) {
        if (depth > deepest) fail("nested too deeply");
        skip_space();
        Json value;
        switch (peek()) {
            case '{': read_object(value, depth); break;
            case '[': read_array(value, depth); break;
            case '"':
                value.kind = Json::Kind::string;
                value.text = read_string();
                break;
            case 't':
            case 'f':
                value.kind = Json::Kind::boolean;
                value.truth = peek() == 't';
                word(value.truth ? "true" : "false");
                break;
            case 'n': word("null"); break;
            default: value.kind = Json::Kind::number; value.text = read_number();
        }
        return value;
    }

    void word(std::string_view expected) {
        if (text_.substr(at_, expected.size()) != expected) fail("expected a value");
        at_ += expected.size();
    }

    void read_array(Json& value, int depth) {
        value.kind = Json::Kind::array;
        expect('[');
        skip_space();
        if (take(']')) return;
        do {
            value.items.push_back(read(depth + 1));
            skip_space();
        } while (take(','));
        expect(']');
    }

    void read_object(Json& value, int depth) {
        value.kind = Json::Kind::object;
        expect('{');
        skip_space();
        if (take('}')) return;
        std::vector<std::string> keys;
        std::vector<Json> items;
        do {
            skip_space();
            keys.push_back(read_string());
            skip_space();
            expect(':');
            items.push_back(read(depth + 1));
            skip_space();
        } while (take(','));
        expect('}');
        std::vector<std::size_t> order(keys.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return keys[a] < keys[b]; });
        for (const std::size_t i : order) {
            if (!value.keys.empty() && value.keys.back() == keys[i]) fail("a key stands twice in one object");
            value.keys.push_back(std::move(keys[i]));
            value.items.push_back(std::move(items[i]));
        }
    }

    std::string read_number() {
        const std::size_t start = at_;
        take('-');
        if (!take('0')) digits();
        if (take('.')) digits();
        if (take('e') || take('E')) {
            if (!take('+')) take('-');
            digits();
        }
        return std::string(text_.substr(start, at_ - start));
    }

    void digits() {
        if (peek() < '0' || peek() > '9') fail("expected a value");
        while (peek() >= '0' && peek() <= '9') ++at_;
    }

    std::string read_string() {
        expect('"');
        std::string out;
        for (;;) {
            const int byte = peek();
            if (byte < 0x20) fail(byte < 0 ? "text is cut short" : "a control character in text");
            if (take('"')) return out;
            if (take('\\')) {
                append(out, escape());
            } else if (byte < 0x80) {
                out.push_back(text_[at_++]);
            } else {
                out.append(utf8());
            }
        }
    }

    std::uint32_t escape() {
        const int sign = peek();
        ++at_;
        switch (sign) {
            case '"': return '"';
            case '\\': return '\\';
            case '/': return '/';
            case 'b': return '\b';
            case 'f': return '\f';
            case 'n': return '\n';
            case 'r': return '\r';
            case 't': return '\t';
            case 'u': break;
            default: --at_; fail("an unknown escape");
        }
        const std::uint32_t high = hex4();
        if (high < 0xD800 || high > 0xDBFF || text_.substr(at_, 2) != "\\u") return high;
        const std::size_t before = at_;
        at_ += 2;
        const std::uint32_t low = hex4();
        if (low >= 0xDC00 && low <= 0xDFFF) return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        at_ = before;  // not its other half: two characters
        return high;
    }

    std::uint32_t hex4() {
        std::uint32_t value = 0;
        for (int i = 0; i < 4; ++i, ++at_) {
            const int c = peek();
            const int digit = c >= '0' && c <= '9'   ? c - '0'
                              : c >= 'a' && c <= 'f' ? c - 'a' + 10
                              : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                     : -1;
            if (digit < 0) fail("a \\u escape is cut short");
            value = value * 16 + static_cast<std::uint32_t>(digit);
        }
        return value;
    }

    std::string_view utf8() {  // one character of several bytes
        std::uint32_t code = 0;
        const std::size_t length = first_character(text_.substr(at_), code);
        if (length == 0 || (code >= 0xD800 && code <= 0xDFFF)) fail("text is not UTF-8");
        at_ += length;
        return text_.substr(at_ - length, length);
    }

    static void append(std::string& out, std::uint32_t code) {
        const auto add = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
        if (code < 0x80) return add(code);
        if (code < 0x800) {
            add(0xC0 | (code >> 6));
        } else {
            if (code < 0x10000) {
                add(0xE0 | (code >> 12));
            } else {
                add(0xF0 | (code >> 18));
                add(0x80 | ((code >> 12) & 0x3F));
            }
            add(0x80 | ((code >> 6) & 0x3F));
        }
        add(0x80 | (code & 0x3F));
    }
};

}  // namespace detail

// Raises JsonError.
inline Json parse_json(std::string_view text) {
    return detail::JsonReader(text).document();
}

}  // namespace clipspect
