// The recipe: what makes one bundle inspect one product. A safetensors file that proves itself.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "error.hpp"
#include "files.hpp"
#include "manifest.hpp"

namespace clipspect {

struct Tensor {  // float32, rows first
    std::vector<std::size_t> shape;
    std::vector<float> values;
};

struct Limits {  // on the score: below `review` pass, from `reject` fail, uncertain in between
    double review, reject;
};

struct Recipe {
    std::string name, method, encoder_sha256;
    std::map<std::string, Tensor> tensors;  // the graph's inputs besides the image
    std::optional<Limits> limits;
    Json parameters;  // of the bundle's method when the recipe was made

    bool has_references() const {  // whether it is a few-shot recipe
        const auto first = tensors.lower_bound("reference_");
        return first != tensors.end() && first->first.compare(0, 10, "reference_") == 0;
    }
};

namespace detail {

struct Span {  // a tensor in the file: bytes `start` to `end` (exclusive) after the header
    std::string name;
    std::vector<std::size_t> shape;
    std::uint64_t start, end;
};

inline Span read_span(const std::string& name, const Json& entry) {
    Span span{name, {}, 0, 0};
    if (entry.object(name)["dtype"].string(name + ": dtype") != "F32")
        throw JsonError(name + " must be finite float32");
    std::uint64_t bytes = sizeof(float);
    for (const Json& side : entry["shape"].array(name + ": shape")) {
        const auto length = static_cast<std::uint64_t>(side.integer(name + ": shape"));
        if (length != 0 && bytes > (std::uint64_t{1} << 40) / length)
            throw JsonError(name + ": the shape is too large");
        bytes *= length;
        span.shape.push_back(static_cast<std::size_t>(length));
    }
    const std::vector<Json>& offsets = entry["data_offsets"].array(name + ": data_offsets");
    if (offsets.size() != 2) throw JsonError(name + ": data_offsets: expected 2 numbers");
    span.start = static_cast<std::uint64_t>(offsets[0].integer(name + ": data_offsets"));
    span.end = static_cast<std::uint64_t>(offsets[1].integer(name + ": data_offsets"));
    if (span.start > span.end || span.end - span.start != bytes)
        throw JsonError(name + ": the offsets do not fit the shape");
    return span;
}

// All tensors, in the order of their bytes, which must follow each other without a gap up to the file's end.
inline std::vector<Span> read_spans(const Json& header, std::size_t data_size) {
    std::vector<Span> spans;
    for (const std::string& name : header.keys)
        if (name != "__metadata__") spans.push_back(read_span(name, header[name]));
    std::sort(spans.begin(), spans.end(),
              [](const Span& a, const Span& b) { return std::pair(a.start, a.end) < std::pair(b.start, b.end); });
    std::uint64_t end = 0;
    for (const Span& span : spans) {
        if (span.start != end) throw JsonError(span.name + ": its bytes overlap others or leave a gap");
        end = span.end;
    }
    if (end != data_size)
        throw JsonError("the header accounts for " + std::to_string(end) + " bytes of data, the file has " +
                        std::to_string(data_size));
    return spans;
}

// As Python prints a tuple.
inline std::string shape_text(const std::vector<std::size_t>& shape) {
    std::string text = "(";
    for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + (shape.size() == 1 ? ",)" : ")");
}

// Of the document without its digest, then of every tensor by name.
inline std::string recipe_digest(const Json& document, std::vector<Span> spans, std::string_view data) {
    std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.name < b.name; });
    std::string rest;
    append_canonical(rest, document, "sha256");
    Sha256 digest;
    digest.update(rest);
    for (const Span& span : spans) {
        digest.update("\n" + span.name + " <f4 " + shape_text(span.shape) + "\n");
        digest.update(data.substr(span.start, span.end - span.start));
    }
    return digest.hex();
}

inline Tensor read_tensor(const Span& span, std::string_view data) {
    Tensor tensor{span.shape, std::vector<float>((span.end - span.start) / sizeof(float))};
    for (std::size_t i = 0; i < tensor.values.size(); ++i) {
        std::uint32_t bits = 0;  // little endian, wherever this runs
        for (std::size_t k = 0; k < 4; ++k)
            bits |= std::uint32_t{static_cast<unsigned char>(data[span.start + 4 * i + k])} << (8 * k);
        std::memcpy(&tensor.values[i], &bits, sizeof bits);
        if (!std::isfinite(tensor.values[i])) throw JsonError(span.name + " must be finite float32");
    }
    return tensor;
}

inline std::optional<Limits> read_limits(const Json& document) {
    if (document.is_null()) return std::nullopt;
    const Limits limits{document.object("limits")["review"].number("limits: review"),
                        document["reject"].number("limits: reject")};
    if (limits.review > limits.reject) throw JsonError("limits: review is above reject");
    return limits;
}

inline Recipe read_recipe_bytes(std::string_view bytes) {
    std::uint64_t length = 0;  // of the header: the first 8 bytes, little endian
    if (bytes.size() < 8) throw JsonError("too short for a safetensors file");
    for (std::size_t i = 0; i < 8; ++i) length |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    if (length > bytes.size() - 8) throw JsonError("the header is longer than the file");
    const Json header = parse_json(bytes.substr(8, length));
    const std::string_view data = bytes.substr(8 + length);
    const std::vector<Span> spans = read_spans(header.object("header"), data.size());
    const Json& metadata = header["__metadata__"].object("__metadata__");
    const Json document = parse_json(metadata["clipspect"].string("__metadata__: clipspect"));
    const Json& claimed = document.object("recipe")["sha256"];
    if (claimed.kind != Json::Kind::string || claimed.text != recipe_digest(document, spans, data))
        throw JsonError("the content does not match its digest, the file was changed");
    const std::int64_t version = document["schema_version"].integer("schema_version");
    if (version < 1 || version > schema_version)
        throw JsonError("recipe version " + std::to_string(version) + " is not read here: upgrade the header");
    Recipe recipe{document["name"].string("name"),
                  document["method"].string("method"),
                  document["encoder_sha256"].string("encoder_sha256"),
                  {},
                  read_limits(document["limits"]),
                  document["parameters"]};
    for (const Span& span : spans) recipe.tensors[span.name] = read_tensor(span, data);
    return recipe;
}

}  // namespace detail

// `where` is the file's name for messages. Raises RecipeError with the one thing that is wrong.
inline Recipe parse_recipe(std::string_view bytes, const std::string& where) {
    try {
        Recipe recipe = detail::read_recipe_bytes(bytes);
        const auto text = recipe.tensors.find("text_features");
        if (text == recipe.tensors.end() || text->second.shape.size() != 3 || text->second.shape[0] != 2 ||
            text->second.values.empty())
            throw JsonError("text_features must have the shape (2, prompts, dim)");
        return recipe;
    } catch (const JsonError& error) {
        throw RecipeError(where + ": " + error.what() + ": make the recipe again, or copy it again");
    }
}

// Raises RecipeError.
inline Recipe read_recipe(const std::filesystem::path& path) {
    if (!detail::is_plain_file(path))
        throw RecipeError(path.string() +
                          ": no such recipe file (a link does not count): copy the recipe into the bundle");
    Recipe recipe = parse_recipe(detail::read_file<RecipeError>(path, std::uintmax_t{1} << 30), path.string());
    if (recipe.name + ".safetensors" != path.filename().string())
        throw RecipeError(path.string() + ": holds the recipe '" + recipe.name + "': give the file that name again");
    return recipe;
}

}  // namespace clipspect
