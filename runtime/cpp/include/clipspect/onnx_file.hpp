// The little of the ONNX format that must be known before an engine opens a file: where its weights lie.
//
// ONNX is protobuf; a message is a run of fields, each a key (number, wire type) and a value. Nothing but the path from
// the model to its tensors is followed (field numbers from onnx.proto).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "error.hpp"

namespace clipspect::detail {

class OnnxFile {
  public:
    // The files, as the model names them, that an engine reads weights from. Raises BundleError for what is no model.
    static std::set<std::string> external_locations(std::string_view model) {
        OnnxFile file;
        file.walk(model, Kind::model, 0);
        return file.locations_;
    }

  private:
    enum class Kind { none, model, graph, function, node, attribute, tensor, sparse, entry };
    enum Wire : unsigned { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

    static constexpr int deepest_ = 64;  // messages inside each other
    std::set<std::string> locations_;

    static Kind inside(Kind kind, std::uint64_t field) {
        switch (kind) {
            case Kind::model: return field == 7 ? Kind::graph : field == 25 ? Kind::function : Kind::none;
            case Kind::function: return field == 7 ? Kind::node : Kind::none;
            case Kind::graph:
                return field == 1 ? Kind::node : field == 5 ? Kind::tensor : field == 15 ? Kind::sparse : Kind::none;
            case Kind::sparse: return field == 1 || field == 2 ? Kind::tensor : Kind::none;
            case Kind::node: return field == 5 ? Kind::attribute : Kind::none;
            case Kind::attribute:
                return field == 5 || field == 10    ? Kind::tensor
                       : field == 6 || field == 11  ? Kind::graph
                       : field == 22 || field == 23 ? Kind::sparse
                                                    : Kind::none;
            case Kind::tensor: return field == 13 ? Kind::entry : Kind::none;
            case Kind::entry:
            case Kind::none: break;
        }
        return Kind::none;
    }

    void walk(std::string_view message, Kind kind, int depth) {
        if (depth > deepest_) throw BundleError("messages are nested too deeply");
        std::string_view key, value;  // of an entry
        while (!message.empty()) {
            const std::uint64_t head = number(message);
            if ((head & 7) == varint) {
                number(message);
                continue;
            }
            const std::string_view field = taken(message, static_cast<unsigned>(head & 7));
            if ((head & 7) != bytes) continue;
            if (kind == Kind::entry) {
                if (head >> 3 == 1) key = field;
                if (head >> 3 == 2) value = field;
            } else if (const Kind inner = inside(kind, head >> 3); inner != Kind::none) {
                walk(field, inner, depth + 1);
            }
        }
        if (kind == Kind::entry && key == "location") locations_.emplace(value);
    }

    static std::string_view taken(std::string_view& message, unsigned wire) {
        if (wire != bytes && wire != fixed32 && wire != fixed64)
            throw BundleError("wire type " + std::to_string(wire) + " is not in use");
        const std::uint64_t size = wire == bytes ? number(message) : wire == fixed32 ? 4 : 8;
        if (size > message.size()) throw BundleError("a field is cut short");
        const std::string_view field = message.substr(0, static_cast<std::size_t>(size));
        message.remove_prefix(field.size());
        return field;
    }

    static std::uint64_t number(std::string_view& message) {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 70 && !message.empty(); shift += 7) {
            const auto byte = static_cast<unsigned char>(message.front());
            message.remove_prefix(1);
            if (shift < 64) value |= std::uint64_t{byte & 0x7FU} << shift;
            if (byte < 0x80) return value;
        }
        throw BundleError("a number is cut short");
    }
};

}  // namespace clipspect::detail
