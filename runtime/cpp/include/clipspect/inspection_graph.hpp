// A graph that inspects, as the manifest describes it, and the tensors that each role must have.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "json.hpp"

namespace clipspect {

constexpr std::int64_t any_length = -1;  // of a tensor's side: any from 1

struct TensorSpec {
    std::string dtype;
    std::vector<std::int64_t> shape;
};

using TensorSpecs = std::map<std::string, TensorSpec>;

struct MapRange {  // that the method's anomaly map can take; its middle is the default limit of regions
    double low, high;
};

struct Graph {
    std::string file;
    TensorSpecs inputs, outputs;
    MapRange map_range;
    double tolerance;  // of the export: how far scores and maps of the graph may lie from the reference's
    double scale;      // what tolerances of records are told in

    // The width of the image's embedding; 0 where the graph answers with none.
    std::size_t embedding_dim() const {
        const auto found = outputs.find("image_embedding");
        return found == outputs.end() ? 0 : static_cast<std::size_t>(found->second.shape.back());
    }

    // The galleries that it takes, by their names without "reference_".
    std::vector<std::string> galleries() const {
        constexpr std::size_t prefix = 10;  // of "reference_"
        std::vector<std::string> names;
        for (const auto& [name, spec] : inputs)
            if (name.compare(0, prefix, "reference_") == 0) names.push_back(name.substr(prefix));
        return names;
    }
};

namespace detail {

constexpr std::int64_t no_length = -2;  // that no side has

inline TensorSpecs read_tensor_specs(const Json& document, const std::string& where) {
    TensorSpecs specs;
    for (const auto& [name, tensor] : as_object(document, where).items()) {
        const std::string place = where + ": " + name;
        TensorSpec spec{as_string(member(as_object(tensor, place), "dtype"), place + ": dtype"), {}};
        for (const Json& side : as_array(member(tensor, "shape"), place + ": shape"))
            spec.shape.push_back(side.is_string() ? any_length : as_integer(side, place + ": shape"));
        specs[name] = std::move(spec);
    }
    return specs;
}

inline MapRange read_map_range(const Json& document, const std::string& where) {
    if (as_array(document, where).size() != 2) throw JsonError(where + ": expected two numbers");
    const MapRange range{as_number(document[0], where), as_number(document[1], where)};
    if (!(range.low < range.high)) throw JsonError(where + ": the first number is not below the second");
    return range;
}

// Whether a graph has the tensors of its role; `where` is its place in the manifest. Raises JsonError.
class RoleCheck {
  public:
    RoleCheck(const Graph& graph, std::string where) : graph_(graph), where_(std::move(where)) {}

    void answers(std::int64_t height, std::int64_t width, std::optional<std::int64_t> text_dim) const {
        require(graph_.inputs, "image", "uint8", {any_length, height, width, 3});
        require(graph_.outputs, "score", "float32", {any_length});
        require(graph_.outputs, "anomaly_map", "float32", {any_length, height, width});
        const auto embedding = graph_.outputs.find("image_embedding");  // bundles of old have none
        if (embedding == graph_.outputs.end()) return;
        const auto& shape = embedding->second.shape;
        const std::int64_t own = shape.size() == 2 && shape[1] >= 0 ? shape[1] : no_length;
        require(graph_.outputs, "image_embedding", "float32", {any_length, text_dim.value_or(own)});
    }

    void reads_words(std::optional<std::int64_t> text_dim) const {
        if (!text_dim) throw JsonError(where_ + ": reads words, and the manifest says nothing of text");
        require(graph_.inputs, "text_features", "float32", {2, any_length, *text_dim});
    }

    void reads_no_words() const {
        if (graph_.inputs.count("text_features") != 0)
            throw JsonError(where_ + ": takes text_features, which is not for photographs alone");
    }

    void compares_with_galleries() const {
        const std::vector<std::string> galleries = graph_.galleries();
        if (galleries.empty()) throw JsonError(where_ + ": takes no references");
        for (const std::string& name : galleries)
            require(graph_.inputs, "reference_" + name, "float32", {any_length, row_width("features_" + name)});
        if (graph_.inputs.count("spread") != 0)
            require(graph_.inputs, "spread", "float32", {static_cast<std::int64_t>(galleries.size())});
    }

    // The mean and the components of what good parts look like.
    void compares_with_subspace() const {
        std::vector<std::string> kinds;
        for (const auto& [name, spec] : graph_.outputs)
            if (name.compare(0, 9, "features_") == 0) kinds.push_back(name);
        if (kinds.size() != 1 || !graph_.galleries().empty())
            throw JsonError(where_ + ": takes a mean, expected features of one kind and no references");
        const std::int64_t width = row_width(kinds.front());
        require(graph_.inputs, "mean", "float32", {width});
        const auto found = graph_.inputs.find("components");
        const bool counted =
            found != graph_.inputs.end() && !found->second.shape.empty() && found->second.shape[0] >= 0;
        require(graph_.inputs, "components", "float32", {counted ? found->second.shape[0] : no_length, width});
    }

  private:
    const Graph& graph_;
    std::string where_;

    void require(const TensorSpecs& tensors, const std::string& name, const char* dtype,
                 const std::vector<std::int64_t>& shape) const {
        const auto found = tensors.find(name);
        if (found == tensors.end()) throw JsonError(where_ + ": has no tensor " + name);
        if (found->second.dtype != dtype || found->second.shape != shape)
            throw JsonError(where_ + ": " + name + " has another type or shape than the method's");
    }

    // Of the image's own rows, of which there are always as many.
    std::int64_t row_width(const std::string& name) const {
        const auto found = graph_.outputs.find(name);
        if (found == graph_.outputs.end()) throw JsonError(where_ + ": has no tensor " + name);
        const std::vector<std::int64_t>& shape = found->second.shape;
        if (shape.size() != 3 || shape[1] < 0 || shape[2] < 0)
            throw JsonError(where_ + ": " + name +
                            " has another shape than (N, rows, width) with fixed rows and width");
        return shape[2];
    }
};

// `text_dim` is the width of text features; none where the manifest says nothing of text. Raises JsonError.
inline void require_tensors(const std::string& role, const Graph& graph, const std::string& where, std::int64_t height,
                            std::int64_t width, std::optional<std::int64_t> text_dim) {
    const RoleCheck check(graph, where);
    check.answers(height, width, role == "photos" ? std::nullopt : text_dim);
    if (role == "photos")
        check.reads_no_words();
    else
        check.reads_words(text_dim);
    if (role == "photos" && graph.inputs.count("mean") != 0)
        check.compares_with_subspace();
    else if (role != "words")
        check.compares_with_galleries();
}

}  // namespace detail

}  // namespace clipspect
