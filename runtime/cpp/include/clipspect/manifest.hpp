// `bundle.json`, typed: what a bundle says of itself, as far as scoring needs it. Unknown fields are ignored.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "error.hpp"
#include "json_reader.hpp"
#include "sha256.hpp"

namespace clipspect {

constexpr std::int64_t schema_version = 1;  // of manifests and recipes: the newest that is read here
constexpr std::int64_t any_length = -1;     // of a tensor's side: any from 1

struct FileEntry {
    std::string sha256;
    std::int64_t size;
};

struct TensorSpec {
    std::string dtype;
    std::vector<std::int64_t> shape;
};

struct Graph {
    std::string file;
    std::map<std::string, TensorSpec> inputs, outputs;
};

struct MapRange {  // that the method's anomaly map can take; its middle is the default limit of regions
    double low, high;
};

struct FewShot {
    Graph graph;
    MapRange map_range;
};

struct Manifest {
    std::string method, encoder_sha256;
    int height, width;      // of the model's image
    std::string precision;  // what the graph computes in: "fp32" or "fp16"
    std::int64_t dim;       // of text features
    Graph graph;
    MapRange map_range;
    std::optional<FewShot> few_shot;
    std::optional<Graph> text_encoder;
    std::vector<std::pair<std::string, std::string>> others;  // files that are read besides: what, and which
    Json parameters;                                          // of the method; a recipe's must be the same
    std::map<std::string, FileEntry> files;                   // by path relative to the bundle
};

namespace detail {

inline TensorSpec read_tensor_spec(const Json& document, const std::string& where) {
    TensorSpec spec{document.object(where)["dtype"].string(where + ": dtype"), {}};
    for (const Json& side : document["shape"].array(where + ": shape"))
        spec.shape.push_back(side.kind == Json::Kind::string ? any_length : side.integer(where + ": shape"));
    return spec;
}

inline std::map<std::string, TensorSpec> read_tensor_specs(const Json& document, const std::string& where) {
    std::map<std::string, TensorSpec> specs;
    for (const std::string& name : document.object(where).keys)
        specs[name] = read_tensor_spec(document[name], where + ": " + name);
    return specs;
}

inline Graph read_graph(const Json& document, const std::string& where) {
    return {document.object(where)["file"].string(where + ": file"),
            read_tensor_specs(document["inputs"], where + ": inputs"),
            read_tensor_specs(document["outputs"], where + ": outputs")};
}

inline MapRange read_map_range(const Json& document, const std::string& where) {
    const std::vector<Json>& ends = document.array(where);
    if (ends.size() != 2) throw JsonError(where + ": expected 2 values, found " + std::to_string(ends.size()));
    const MapRange range{ends[0].number(where), ends[1].number(where)};
    if (!(range.low < range.high)) throw JsonError(where + ": the first value is not below the second");
    return range;
}

// The graph takes the image as the manifest says, and answers with a score and a map of its size.
inline void check_graph(const Graph& graph, const Manifest& manifest, const std::string& where) {
    const auto expect = [&](const std::map<std::string, TensorSpec>& tensors, const char* name, const char* dtype,
                            const std::vector<std::int64_t>& shape) {
        const auto found = tensors.find(name);
        if (found == tensors.end()) throw JsonError(where + ": has no tensor " + name);
        if (found->second.dtype != dtype || found->second.shape != shape)
            throw JsonError(where + ": " + name + " has another type or shape than the method's");
    };
    expect(graph.inputs, "image", "uint8", {any_length, manifest.height, manifest.width, 3});
    expect(graph.inputs, "text_features", "float32", {2, any_length, manifest.dim});
    expect(graph.outputs, "score", "float32", {any_length});
    expect(graph.outputs, "anomaly_map", "float32", {any_length, manifest.height, manifest.width});
}

inline void read_image_size(const Json& image, Manifest& manifest) {
    constexpr std::int64_t largest = 1 << 14;  // pixels a side; more is a damaged number
    const std::int64_t height = image.object("image")["height"].integer("image: height");
    const std::int64_t width = image["width"].integer("image: width");
    if (height < 1 || width < 1 || height > largest || width > largest)
        throw JsonError("image: this cannot be a model's size");
    const auto is = [&image](const char* name, const char* known) {
        return image[name].is_null() || image[name].string(std::string("image: ") + name) == known;
    };
    if (!is("resize", "squash") || !is("interpolation", "bicubic"))
        throw JsonError("image: this resize rule is not known to this header");
    manifest.height = static_cast<int>(height);
    manifest.width = static_cast<int>(width);
}

inline void read_parts(const Json& document, Manifest& manifest) {
    manifest.graph = read_graph(document["graph"], "graph");
    check_graph(manifest.graph, manifest, "graph");
    manifest.map_range = read_map_range(document["map_range"], "map_range");
    if (const Json& part = document["few_shot"]; !part.is_null()) {
        manifest.few_shot = FewShot{read_graph(part.object("few_shot")["graph"], "few_shot: graph"),
                                    read_map_range(part["map_range"], "few_shot: map_range")};
        check_graph(manifest.few_shot->graph, manifest, "few_shot: graph");
    }
    if (const Json& part = document["text_encoder"]; !part.is_null()) {
        manifest.text_encoder = read_graph(part.object("text_encoder")["graph"], "text_encoder: graph");
        manifest.others.emplace_back("tokenizer", part["tokenizer"].string("text_encoder: tokenizer"));
    }
    if (const Json& check = document["check"]; !check.is_null())
        manifest.others.emplace_back("check images", check.string("check"));
}

inline void read_files(const Json& files, Manifest& manifest) {
    for (const std::string& name : files.object("files").keys) {
        const Json& entry = files[name].object("files: " + name);
        manifest.files[name] = {entry["sha256"].string("files: sha256"), entry["size"].integer("files: size")};
    }
}

// A document's own digest, over the rest of it in canonical form.
inline bool proves_itself(const Json& document) {
    std::string rest;
    append_canonical(rest, document, "sha256");
    Sha256 digest;
    digest.update(rest);
    const Json& claimed = document["sha256"];
    return claimed.kind == Json::Kind::string && claimed.text == digest.hex();
}

inline Manifest read_manifest_document(const Json& document) {
    const std::int64_t version = document.object("bundle.json")["schema_version"].integer("schema_version");
    if (version < 1) throw JsonError("schema_version: expected a number from 1");
    if (version > schema_version)
        throw JsonError("schema version " + std::to_string(version) + " is newer than this header reads (" +
                        std::to_string(schema_version) + "): upgrade it");
    if (!proves_itself(document)) throw JsonError("the content does not match its digest, the file was changed");
    Manifest manifest{};
    manifest.method = document["method"].string("method");
    const Json& weights = document["backbone"].object("backbone")["weights"];
    manifest.encoder_sha256 = weights.object("weights")["encoder_sha256"].string("weights: encoder_sha256");
    read_image_size(document["image"], manifest);
    manifest.precision = document["precision"].string("precision");
    if (manifest.precision != "fp32" && manifest.precision != "fp16")
        throw JsonError("precision: " + manifest.precision + " is neither fp32 nor fp16");
    manifest.dim = document["text"].object("text")["dim"].integer("text: dim");
    read_parts(document, manifest);
    manifest.parameters = document["parameters"];
    read_files(document["files"], manifest);
    return manifest;
}

}  // namespace detail

// `where` is the file's name for messages. Raises BundleError.
inline Manifest parse_manifest(std::string_view text, const std::string& where) {
    try {
        return detail::read_manifest_document(parse_json(text));
    } catch (const JsonError& error) {
        throw BundleError(where + ": " + error.what() + ": copy or export the bundle again");
    }
}

}  // namespace clipspect
