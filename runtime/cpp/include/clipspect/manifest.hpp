// `bundle.json`, typed: what a bundle says of itself, as far as scoring and checking need it. Unknown keys are ignored.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "error.hpp"
#include "inspection_graph.hpp"
#include "json.hpp"
#include "sha256.hpp"

namespace clipspect {

constexpr std::int64_t schema_version = 2;  // of manifests and recipes: the one that is read here

struct FileEntry {
    std::string sha256;
    std::int64_t size;
};

struct PrecisionRecord {  // what another precision was found to cost in one engine
    std::string engine, name;
    std::optional<bool> passed;       // none: it was not measured
    std::optional<double> tolerance;  // of the score's and the map's difference
    bool forced = false;              // exported although it did not pass
    std::string detail = {};          // what did not pass, or why it was not measured
};

struct Manifest {
    std::string digest;  // SHA-256 of bundle.json, by which records name the bundle
    std::string method, encoder_sha256;
    int height, width;                    // of the model's image
    std::string precision;                // what the graphs compute in: "fp32" or "fp16"
    std::optional<std::int64_t> dim;      // of text features; none where no graph reads words
    std::map<std::string, Graph> graphs;  // by role: "words", "both" and "photos"
    std::vector<PrecisionRecord> precisions;
    std::vector<std::string> graph_files, other_files;  // that are named: all that an engine could open, and the rest
    Json parameters = Json::object();                   // of the method; a recipe's must be equal
    std::map<std::string, FileEntry> files;             // by path relative to the bundle
};

namespace detail {

inline std::string read_graph_file(const Json& document, const std::string& where) {
    const std::string& file = as_string(member(as_object(document, where), "file"), where + ": file");
    constexpr std::string_view suffix = ".onnx";  // engines tell other formats by their suffix
    if (file.size() < suffix.size() || file.compare(file.size() - suffix.size(), suffix.size(), suffix) != 0)
        throw JsonError(where + ": the file does not end in .onnx");
    return file;
}

inline void read_graphs(const Json& document, Manifest& manifest) {
    for (const auto& [role, entry] : as_object(document, "graphs").items()) {
        const std::string where = "graphs: " + role;
        manifest.graph_files.push_back(read_graph_file(entry, where));
        if (role != "words" && role != "both" && role != "photos") continue;  // of another nothing else is known
        Graph graph{manifest.graph_files.back(), read_tensor_specs(member(entry, "inputs"), where + ": inputs"),
                    read_tensor_specs(member(entry, "outputs"), where + ": outputs"),
                    read_map_range(member(entry, "map_range"), where + ": map_range"),
                    as_number(member(as_object(member(entry, "parity"), where + ": parity"), "tolerance"),
                              where + ": parity: tolerance"),
                    number_or_none(member(entry, "parity"), "scale", where + ": parity: scale").value_or(1)};
        require_tensors(role, graph, where, manifest.height, manifest.width, manifest.dim);
        manifest.graphs.emplace(role, std::move(graph));
    }
    if (manifest.graphs.empty()) throw JsonError("graphs: has no graph for words or photos");
    if (manifest.graphs.count("both") != 0 && manifest.graphs.count("words") == 0)
        throw JsonError("graphs: has no graph for words, but one for both");
}

inline void read_image_size(const Json& image, Manifest& manifest) {
    constexpr std::int64_t largest = 1 << 14;  // pixels a side; more is a damaged number
    const std::int64_t height = as_integer(member(as_object(image, "image"), "height"), "image: height");
    const std::int64_t width = as_integer(member(image, "width"), "image: width");
    if (height < 1 || width < 1 || height > largest || width > largest)
        throw JsonError("image: this cannot be a model's size");
    const auto is = [&image](const char* name, const char* known) {
        const Json& rule = member(image, name);
        return rule.is_null() || as_string(rule, std::string("image: ") + name) == known;
    };
    if (!is("resize", "squash") || !is("interpolation", "bicubic"))
        throw JsonError("image: this resize rule is not known to this header");
    manifest.height = static_cast<int>(height);
    manifest.width = static_cast<int>(width);
}

inline void read_precisions(const Json& document, Manifest& manifest) {
    if (document.is_null()) return;
    const std::string where = "precisions";
    for (const Json& entry : as_array(document, where)) {
        PrecisionRecord record{as_string(member(as_object(entry, where), "engine"), where + ": engine"),
                               as_string(member(entry, "name"), where + ": name"), std::nullopt,
                               number_or_none(entry, "tolerance", where + ": tolerance")};
        if (const Json& passed = member(entry, "passed"); !passed.is_null())
            record.passed = as_boolean(passed, where + ": passed");
        if (const Json& forced = member(entry, "forced"); !forced.is_null())
            record.forced = as_boolean(forced, where + ": forced");
        if (const Json& detail = member(entry, "detail"); !detail.is_null())
            record.detail = as_string(detail, where + ": detail");
        manifest.precisions.push_back(std::move(record));
    }
}

// Files that are not for inspecting here, and must be accounted for like all others.
inline void read_other_files(const Json& document, Manifest& manifest) {
    if (const Json& encoder = member(document, "text_encoder"); !encoder.is_null()) {
        const std::string where = "text_encoder";
        manifest.graph_files.push_back(read_graph_file(member(as_object(encoder, where), "graph"), where + ": graph"));
        manifest.other_files.push_back(as_string(member(encoder, "tokenizer"), where + ": tokenizer"));
    }
    if (const Json& copy = member(document, "int8"); !copy.is_null())
        for (const auto& [original, file] :
             as_object(member(as_object(copy, "int8"), "graphs"), "int8: graphs").items())
            manifest.graph_files.push_back(read_graph_file({{"file", file}}, "int8: graphs: " + original));
    if (const Json& check = member(document, "check"); !check.is_null())
        manifest.other_files.push_back(as_string(check, "check"));
}

inline void read_files(const Json& files, Manifest& manifest) {
    for (const auto& [name, entry] : as_object(files, "files").items()) {
        const std::string where = "files: " + name;
        const FileEntry read{as_string(member(as_object(entry, where), "sha256"), where + ": sha256"),
                             as_integer(member(entry, "size"), where + ": size")};
        if (!is_sha256(read.sha256)) throw JsonError(where + ": the sha256 is none");
        manifest.files[name] = read;
    }
}

inline void require_version(const Json& document) {
    const std::int64_t version =
        as_integer(member(as_object(document, "bundle.json"), "schema_version"), "schema_version");
    if (version < 1) throw JsonError("schema_version: expected a number from 1, found 0");
    if (version > schema_version)
        throw JsonError("schema version " + std::to_string(version) + " is newer than this header reads (" +
                        std::to_string(schema_version) + "): upgrade clipspect");
    if (version < schema_version)
        throw JsonError("schema version " + std::to_string(version) + " is older than this header reads (" +
                        std::to_string(schema_version) + "): convert the bundle with clipspect upgrade");
}

inline Manifest read_manifest_document(std::string_view text, std::string_view digest_line) {
    const Json document = parse_json(text);
    require_version(document);
    Sha256 sum;
    sum.update(text);
    Manifest manifest{};
    manifest.digest = sum.hex();
    if (digest_line != manifest.digest + "  bundle.json\n")
        throw JsonError("the content does not match its digest, bundle.json.sha256: one of the two was changed");
    manifest.method = as_string(member(document, "method"), "method");
    const Json& weights = as_object(member(as_object(member(document, "backbone"), "backbone"), "weights"), "weights");
    manifest.encoder_sha256 = as_string(member(weights, "encoder_sha256"), "weights: encoder_sha256");
    read_image_size(member(document, "image"), manifest);
    manifest.precision = as_string(member(document, "precision"), "precision");
    if (manifest.precision != "fp32" && manifest.precision != "fp16")
        throw JsonError("precision: " + manifest.precision + " is neither fp32 nor fp16");
    if (const Json& text = member(document, "text"); !text.is_null())
        manifest.dim = as_integer(member(as_object(text, "text"), "dim"), "text: dim");
    read_graphs(member(document, "graphs"), manifest);
    read_precisions(member(document, "precisions"), manifest);
    read_other_files(document, manifest);
    if (const Json& parameters = member(document, "parameters"); !parameters.is_null())
        manifest.parameters = as_object(parameters, "parameters");
    read_files(member(document, "files"), manifest);
    return manifest;
}

}  // namespace detail

// Of bundle.json and the line in bundle.json.sha256; `where` is the file's name for messages. Raises BundleError.
inline Manifest parse_manifest(std::string_view text, std::string_view digest_line, const std::string& where) {
    try {
        return detail::read_manifest_document(text, digest_line);
    } catch (const JsonError& error) {
        throw BundleError(where + ": " + error.what() + ": copy or export the bundle again");
    }
}

}  // namespace clipspect
