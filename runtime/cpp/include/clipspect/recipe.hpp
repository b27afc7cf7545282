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

#include "calibration.hpp"
#include "error.hpp"
#include "files.hpp"
#include "limits.hpp"
#include "manifest.hpp"
#include "region_of_interest.hpp"
#include "signature.hpp"
#include "tiles.hpp"

namespace clipspect {

constexpr std::int64_t newer_recipe_version = 3;  // of recipes with a region of interest, or tiles

struct Tensor {  // float32, rows first
    std::vector<std::size_t> shape;
    std::vector<float> values;
};

namespace detail {

inline std::string little_endian(const std::vector<float>& values) {
    std::string bytes;
    bytes.reserve(values.size() * sizeof(float));
    for (const float& value : values) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, &value, sizeof bits);
        for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(bits >> shift));
    }
    return bytes;
}

}  // namespace detail

struct Recipe {
    std::string digest;  // by which records name it: the one in its file
    std::string name, method, encoder_sha256;
    std::map<std::string, Tensor> tensors;  // the graph's inputs besides the image
    std::optional<Limits> limits;
    std::optional<Calibration> calibration;              // what limits were made of; none: nothing was calibrated
    std::vector<FrameSize> reference_sizes;              // of the photographs that it was made of, each once
    Json parameters = Json::object();                    // of the bundle's method when the recipe was made
    std::optional<RegionOfInterest> region_of_interest;  // none: all of a frame is judged
    std::optional<Tiling> tiling;                        // none: a frame is seen as a whole

    // Whether it was made of photographs of good parts.
    bool has_references() const {
        if (tensors.count("mean") != 0) return true;
        const auto first = tensors.lower_bound("reference_");
        return first != tensors.end() && first->first.compare(0, 10, "reference_") == 0;
    }

    // What it is judged by, which is the role of the graph that it needs: "words", "both", or "photos" alone.
    const char* judge() const {
        if (tensors.count("text_features") == 0) return "photos";
        return has_references() ? "both" : "words";
    }

    // Of calibration's frames, or else of the references.
    const std::vector<FrameSize>& known_sizes() const {
        return calibration ? calibration->frame_sizes : reference_sizes;
    }

    // SHA-256 of the tensors alone, which limits belong to.
    std::string tensors_digest() const {
        Sha256 sum;
        for (const auto& [name, tensor] : tensors) {
            std::string line = name;
            for (const std::size_t side : tensor.shape) line += " " + std::to_string(side);
            sum.update(line + "\n");
            sum.update(detail::little_endian(tensor.values));
        }
        if (tiling) sum.update("tiling " + tiling->digits() + "\n");
        return sum.hex();
    }
};

namespace detail {

struct Span {  // a tensor in the file: bytes `start` to `end` (exclusive) behind the header
    std::vector<std::size_t> shape;
    std::uint64_t start, end;

    bool operator==(const Span& other) const {
        return shape == other.shape && start == other.start && end == other.end;
    }
};

using Table = std::map<std::string, Span>;

inline Span read_span(const std::string& name, const Json& entry) {
    Span span{{}, 0, 0};
    if (as_string(member(as_object(entry, name), "dtype"), name + ": dtype") != "F32")
        throw JsonError(name + " must be finite float32");
    std::uint64_t bytes = sizeof(float);
    for (const Json& side : as_array(member(entry, "shape"), name + ": shape")) {
        const auto length = static_cast<std::uint64_t>(as_integer(side, name + ": shape"));
        if (length != 0 && bytes > (std::uint64_t{1} << 40) / length)
            throw JsonError(name + ": the shape is too large");
        bytes *= length;
        span.shape.push_back(static_cast<std::size_t>(length));
    }
    const Json& offsets = as_array(member(entry, "data_offsets"), name + ": data_offsets");
    if (offsets.size() != 2) throw JsonError(name + ": data_offsets: expected two numbers");
    span.start = static_cast<std::uint64_t>(as_integer(offsets[0], name + ": data_offsets"));
    span.end = static_cast<std::uint64_t>(as_integer(offsets[1], name + ": data_offsets"));
    if (span.start > span.end || span.end - span.start != bytes)
        throw JsonError(name + ": the offsets do not fit the shape");
    return span;
}

inline Table read_table(const Json& document, const std::string& where) {
    Table table;
    for (const auto& [name, entry] : as_object(document, where).items()) table.emplace(name, read_span(name, entry));
    return table;
}

// In the order of their bytes the tensors follow each other without a gap, up to the file's end.
inline void check_order(const Table& table, std::size_t buffer_size) {
    std::vector<const Table::value_type*> order;
    for (const auto& row : table) order.push_back(&row);
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
        return std::pair(a->second.start, a->second.end) < std::pair(b->second.start, b->second.end);
    });
    std::uint64_t end = 0;
    for (const auto* row : order) {
        if (row->second.start != end) throw JsonError(row->first + ": its bytes overlap others or leave a gap");
        end = row->second.end;
    }
    if (end != buffer_size)
        throw JsonError("the tensors take " + std::to_string(end) + " bytes, the file has " +
                        std::to_string(buffer_size));
}

inline Tensor read_tensor(const std::string& name, const Span& span, std::string_view buffer) {
    Tensor tensor{span.shape, std::vector<float>((span.end - span.start) / sizeof(float))};
    for (std::size_t i = 0; i < tensor.values.size(); ++i) {
        std::uint32_t bits = 0;  // little endian, wherever this runs
        for (std::size_t k = 0; k < 4; ++k)
            bits |= std::uint32_t{static_cast<unsigned char>(buffer[span.start + 4 * i + k])} << (8 * k);
        std::memcpy(&tensor.values[i], &bits, sizeof bits);
        if (!std::isfinite(tensor.values[i])) throw JsonError(name + " must be finite float32");
    }
    return tensor;
}

struct RecipeParts {  // of a recipe's file
    Json header;
    std::string_view buffer;  // all tensors' bytes
};

inline RecipeParts split_recipe(std::string_view bytes) {
    std::uint64_t length = 0;  // of the header: the first 8 bytes, little endian
    if (bytes.size() < 8) throw JsonError("too short for a safetensors file");
    for (std::size_t i = 0; i < 8; ++i) length |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    if (length > bytes.size() - 8) throw JsonError("the header is longer than the file");
    const std::string_view header = bytes.substr(8, length);
    const auto is_control = [](char sign) { return static_cast<unsigned char>(sign) < 0x20; };
    if (std::any_of(header.begin(), header.end(), is_control))
        throw JsonError("the header holds other white space than spaces");
    return {parse_json(header), bytes.substr(8 + length)};
}

// The document behind the digest in the header's metadata, if the digest is true.
inline Json prove(const RecipeParts& parts, std::string& digest) {
    const Json& metadata = as_object(member(as_object(parts.header, "header"), "__metadata__"), "__metadata__");
    const std::string& text = as_string(member(metadata, "clipspect"), "__metadata__: clipspect");
    if (metadata.size() != 1) throw JsonError("__metadata__ has other keys besides clipspect");
    if (text.compare(0, 1, "{") == 0)
        throw JsonError("a recipe of schema 1: convert the bundle with clipspect upgrade");
    digest = text.substr(0, 64);
    if (!is_sha256(digest) || text.size() == 64 || text[64] != '\n')
        throw JsonError("the metadata does not begin with a digest");
    const std::string_view document = std::string_view(text).substr(65);
    Sha256 sum;
    sum.update(document);
    sum.update(parts.buffer);
    if (sum.hex() != digest) throw JsonError("the content does not match its digest, the file was changed");
    return parse_json(document);
}

inline std::vector<FrameSize> read_reference_sizes(const Json& references) {
    if (references.is_null()) return {};
    const Json& sizes = member(as_object(references, "references"), "sizes");
    const Json& size = member(references, "size");  // of recipes of old
    return read_sizes(sizes.is_null() && !size.is_null() ? Json::array({size}) : sizes, "references: sizes");
}

inline Recipe read_recipe_bytes(std::string_view bytes) {
    RecipeParts parts = split_recipe(bytes);
    Recipe recipe;
    const Json document = prove(parts, recipe.digest);
    if (!member(as_object(document, "recipe"), "windows").is_null())
        throw JsonError("windows: a cascade and reuse of windows are not in C++: inspect with clipspect run or watch");
    const std::int64_t version = as_integer(member(as_object(document, "recipe"), "schema_version"), "schema_version");
    if (version < schema_version || version > newer_recipe_version)
        throw JsonError("recipe version " + std::to_string(version) + " is not read here, but " +
                        std::to_string(schema_version) + " and " + std::to_string(newer_recipe_version) +
                        (version > newer_recipe_version ? ": upgrade clipspect" : ""));
    if (!member(document, "windows").is_null())
        throw JsonError("windows: windows on demand are not done in C++: inspect with clipspect run or watch");
    recipe.tiling = read_tiling(member(document, "tiling"));
    recipe.region_of_interest = read_region(member(document, "region_of_interest"));
    recipe.name = as_string(member(document, "name"), "name");
    recipe.method = as_string(member(document, "method"), "method");
    as_string(member(document, "object"), "object");
    recipe.encoder_sha256 = as_string(member(document, "encoder_sha256"), "encoder_sha256");
    recipe.limits = read_limits(member(document, "limits"));
    recipe.calibration = read_calibration(member(document, "calibration"));
    check_history(member(document, "history"));
    if (const Json& prompts = member(document, "prompts"); !prompts.is_null()) as_object(prompts, "prompts");
    recipe.reference_sizes = read_reference_sizes(member(document, "references"));
    if (const Json& parameters = member(document, "parameters"); !parameters.is_null())
        recipe.parameters = as_object(parameters, "parameters");
    const Table table = read_table(member(document, "tensors"), "tensors");
    parts.header.erase("__metadata__");
    if (read_table(parts.header, "header") != table)
        throw JsonError("the header lists other tensors than the document");
    check_order(table, parts.buffer.size());
    for (const auto& [name, span] : table) recipe.tensors[name] = read_tensor(name, span, parts.buffer);
    return recipe;
}

}  // namespace detail

// `where` is the file's name for messages. Raises RecipeError with the one thing that is wrong.
inline Recipe parse_recipe(std::string_view bytes, const std::string& where) {
    try {
        Recipe recipe = detail::read_recipe_bytes(bytes);
        const auto text = recipe.tensors.find("text_features");
        if (recipe.tensors.empty()) throw JsonError("holds no tensor");
        if (text != recipe.tensors.end() &&
            (text->second.shape.size() != 3 || text->second.shape[0] != 2 || text->second.values.empty()))
            throw JsonError("text_features must have the shape (2, prompts, dim)");
        return recipe;
    } catch (const JsonError& error) {
        throw RecipeError(where + ": " + error.what() + ": make the recipe again, or copy it again");
    }
}

// With a key, only what it signed. Raises RecipeError, SignatureError.
inline Recipe read_recipe(const std::filesystem::path& path, const std::optional<PublicKey>& key = std::nullopt) {
    if (detail::is_link(path))
        throw RecipeError(path.string() + ": is a link, and what it leads to can change meanwhile: copy it with cp -L");
    if (!detail::is_plain_file(path)) throw RecipeError(path.string() + ": no such recipe file: check the path");
    const std::string content = detail::read_file<RecipeError>(path, std::uintmax_t{1} << 30);
    if (key.has_value()) key->require(path, content);
    Recipe recipe = parse_recipe(content, path.string());
    if (recipe.name + ".safetensors" != path.filename().string())
        throw RecipeError(path.string() + ": holds the recipe '" + recipe.name + "': give the file that name again");
    return recipe;
}

}  // namespace clipspect
