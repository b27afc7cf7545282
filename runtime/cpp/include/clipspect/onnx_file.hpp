// An ONNX file, read strictly before an engine opens it: no two parsers may see two models in it. The rules are those
// of docs/bundle-format.md.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

#include "error.hpp"

namespace clipspect::detail {

class OnnxFile {
  public:
    // The files, as the model names them, that an engine reads weights from. Raises BundleError with what is wrong.
    static std::set<std::string> external_locations(std::string_view model) {
        OnnxFile file;
        if (file.walk(model, Kind::model, 1).count(7) == 0) throw BundleError("model: has no graph");
        return file.locations_;
    }

  private:
    enum class Kind { plain, model, graph, node, attribute, sparse, tensor, external, entry, opset, value, type, shaped,
                      shape, side };

    struct Field {
        Kind message;
        std::uint64_t number;
        unsigned allowed;  // wire types, and whether it can repeat
        Kind inside = Kind::plain;
    };
    using Fields = std::set<std::uint64_t>;

    static constexpr int deepest_ = 64;  // messages inside each other
    std::set<std::string> locations_;

    static const char* name(Kind kind) {
        constexpr std::array names{"",      "model", "graph", "node",   "attribute", "sparse", "tensor", "external data",
                                   "entry", "opset", "value", "type",   "shaped",    "shape",  "side"};
        return names.at(static_cast<std::size_t>(kind));
    }

    // A wire type is the bit of its number. What repeats is written one by one, numbers also packed.
    static constexpr unsigned V = 1U << 0, D = 1U << 1, B = 1U << 2, F = 1U << 5, many_ = 1U << 8;
    static constexpr unsigned Vs = V | B | many_, Ds = D | B | many_, Bs = B | many_, Fs = F | B | many_;

    static const Field* find(Kind message, std::uint64_t number) {
        using K = Kind;
        // clang-format off
        static constexpr Field table[] = {  // of onnx.proto
            {K::model, 1, V}, {K::model, 2, B}, {K::model, 3, B}, {K::model, 4, B}, {K::model, 5, V},
            {K::model, 6, B}, {K::model, 7, B, K::graph}, {K::model, 8, Bs, K::opset}, {K::model, 14, Bs, K::entry},
            {K::graph, 1, Bs, K::node}, {K::graph, 2, B}, {K::graph, 5, Bs, K::tensor}, {K::graph, 10, B},
            {K::graph, 11, Bs, K::value}, {K::graph, 12, Bs, K::value}, {K::graph, 13, Bs}, {K::graph, 14, Bs},
            {K::graph, 15, Bs, K::sparse}, {K::graph, 16, Bs, K::entry},
            {K::node, 1, Bs}, {K::node, 2, Bs}, {K::node, 3, B}, {K::node, 4, B}, {K::node, 5, Bs, K::attribute},
            {K::node, 6, B}, {K::node, 7, B}, {K::node, 8, B}, {K::node, 9, Bs, K::entry},
            {K::attribute, 1, B}, {K::attribute, 2, F}, {K::attribute, 3, V}, {K::attribute, 4, B},
            {K::attribute, 5, B, K::tensor}, {K::attribute, 6, B, K::graph}, {K::attribute, 7, Fs},
            {K::attribute, 8, Vs}, {K::attribute, 9, Bs}, {K::attribute, 10, Bs, K::tensor},
            {K::attribute, 11, Bs, K::graph}, {K::attribute, 13, B}, {K::attribute, 14, B}, {K::attribute, 15, Bs},
            {K::attribute, 20, V}, {K::attribute, 21, B}, {K::attribute, 22, B, K::sparse},
            {K::attribute, 23, Bs, K::sparse},
            {K::sparse, 1, B, K::tensor}, {K::sparse, 2, B, K::tensor}, {K::sparse, 3, Vs},
            {K::tensor, 1, Vs}, {K::tensor, 2, V}, {K::tensor, 4, Fs}, {K::tensor, 5, Vs}, {K::tensor, 6, Bs},
            {K::tensor, 7, Vs}, {K::tensor, 8, B}, {K::tensor, 9, B}, {K::tensor, 10, Ds}, {K::tensor, 11, Vs},
            {K::tensor, 12, B}, {K::tensor, 13, Bs, K::external}, {K::tensor, 14, V}, {K::tensor, 16, Bs, K::entry},
            {K::opset, 1, B}, {K::opset, 2, V},
            {K::value, 1, B}, {K::value, 2, B, K::type}, {K::value, 3, B}, {K::value, 4, Bs, K::entry},
            {K::type, 1, B, K::shaped}, {K::type, 6, B}, {K::shaped, 1, V}, {K::shaped, 2, B, K::shape},
            {K::shape, 1, Bs, K::side}, {K::side, 1, V}, {K::side, 2, B}, {K::side, 3, B},
            {K::external, 1, B}, {K::external, 2, B}, {K::entry, 1, B}, {K::entry, 2, B}};
        // clang-format on
        const Field* found = std::find_if(std::begin(table), std::end(table), [&](const Field& field) {
            return field.message == message && field.number == number;
        });
        return found == std::end(table) ? nullptr : found;
    }

    // Which fields a message has.
    Fields walk(std::string_view message, Kind kind, int depth) {
        if (depth > deepest_) throw BundleError("messages are nested more than " + std::to_string(deepest_) + " deep");
        Fields seen;
        std::set<std::string> external_keys;
        while (!message.empty()) {
            const std::uint64_t key = varint(message), number = key >> 3;
            const auto refuse = [&](const std::string& why) {
                throw BundleError(std::string(name(kind)) + ": field " + std::to_string(number) + why);
            };
            if (key > 0xFFFFFFFFU) refuse(" has no place in 32 bits");
            const auto wire = static_cast<unsigned>(key & 7);
            const std::string_view value = taken(message, wire);
            const Field* field = find(kind, number);
            if (field == nullptr || (field->allowed & 1U << wire) == 0)
                refuse(" with wire type " + std::to_string(wire) + " is not allowed");
            if (!seen.insert(number).second && (field->allowed & many_) == 0) refuse(" comes twice");
            if (kind == Kind::node && number == 7 && !value.empty() && value != "ai.onnx")
                throw BundleError("node: operators of '" + std::string(value.substr(0, 80)) + "' are not allowed");
            if (field->inside == Kind::external) {
                walk(value, Kind::external, depth + 1);
                read_external(value, external_keys);
            } else if (field->inside != Kind::plain) {
                walk(value, field->inside, depth + 1);
            }
        }
        if (!external_keys.empty() && external_keys.count("location") == 0)
            throw BundleError("external data: no entry is the location");
        return seen;
    }

    // An entry of a tensor's external data, which was walked through.
    void read_external(std::string_view entry, std::set<std::string>& keys) {
        std::array<std::string_view, 2> parts{};  // key and value
        unsigned found = 0;
        while (!entry.empty()) {
            const std::uint64_t number = varint(entry) >> 3;
            parts.at(number - 1) = taken(entry, 2);
            found |= 1U << (number - 1);
        }
        const std::string key(parts[0].substr(0, 80));
        if (found != 3U) throw BundleError("external data: an entry has no key or no value");
        if (key != "location" && key != "offset" && key != "length" && key != "checksum")
            throw BundleError("external data: the key '" + key + "' is not allowed");
        if (!keys.insert(key).second) throw BundleError("external data: the key '" + key + "' comes twice");
        if (key != "location") return;
        constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
        if (parts[1].empty() || parts[1].find_first_not_of(letters) != std::string_view::npos ||
            parts[1].front() == '.' || parts[1].front() == '-')
            throw BundleError("external data: '" + std::string(parts[1].substr(0, 200)) + "' is no plain file name");
        locations_.emplace(parts[1]);
    }

    // The value of a field, its length before it undone.
    static std::string_view taken(std::string_view& message, unsigned wire) {
        std::uint64_t size = 0;
        if (wire == 0) {
            std::string_view rest = message;
            varint(rest);
            size = message.size() - rest.size();
        } else if (wire == 1 || wire == 5) {
            size = wire == 1 ? 8 : 4;
        } else if (wire == 2) {
            size = varint(message);
        } else {
            throw BundleError("wire type " + std::to_string(wire) + " is not in use");
        }
        if (size > message.size()) throw BundleError("a field is cut short");
        const std::string_view value = message.substr(0, static_cast<std::size_t>(size));
        message.remove_prefix(value.size());
        return value;
    }

    // In its shortest form, below 2^64.
    static std::uint64_t varint(std::string_view& message) {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64 && !message.empty(); shift += 7) {
            const auto byte = static_cast<unsigned char>(message.front());
            message.remove_prefix(1);
            value |= std::uint64_t{byte & 0x7FU} << shift;
            if (byte >= 0x80) continue;
            if ((byte == 0 && shift > 0) || (shift == 63 && byte > 1)) break;
            return value;
        }
        throw BundleError("a number is cut short, too large, or longer than it need be");
    }
};

}  // namespace clipspect::detail
