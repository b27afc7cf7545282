// What an engine is to an inspector, and the checks of what it answers.
//
// An engine class has a `name`; is made of a verified ONNX file, the precision that the graph computes in, and
// EngineOptions; is copied to run the same loaded graph with other tensors; says which `inputs` and `outputs` the graph
// has; takes a recipe's tensors by `set`; and answers to `run`, which is told how wide the image's embedding is.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "error.hpp"
#include "manifest.hpp"
#include "regions.hpp"

namespace clipspect {

struct EngineOptions {
    std::string device = "cpu";  // or what the engine calls its others
    std::string precision;       // of the matrix products; empty for the graph's own
    int threads = 0;             // of one run on the CPU; 0 for the engine's default
};

// Raw values of the method, the map in the model's size.
struct Answer {
    float score = 0;
    Map map;
    std::vector<float> embedding;  // of the whole image, of length 1; empty where the graph answers with none
};

namespace detail {

// As Python prints a tuple.
template <class Side>
std::string shape_text(const std::vector<Side>& shape) {
    std::string text = "(";
    for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + (shape.size() == 1 ? ",)" : ")");
}

// The graph, as the engine sees it, has the tensors that the manifest names, and no others. Raises BackendError.
inline void check_names(const std::string& engine, const char* what, std::vector<std::string> found,
                        const std::map<std::string, TensorSpec>& expected) {
    std::vector<std::string> names;
    for (const auto& [name, spec] : expected) names.push_back(name);
    std::sort(found.begin(), found.end());
    if (found == names) return;
    const auto listed = [](const std::vector<std::string>& all) {
        std::string text;
        for (const std::string& name : all) text += (text.empty() ? "" : ", ") + name.substr(0, 40);
        return text;
    };
    throw BackendError(engine + ": the graph's " + what + " are " + listed(found) + ", expected " + listed(names) +
                       " as bundle.json says: export the bundle again");
}

// One output for one image, before its values are read. Raises BackendError.
template <class Side>
void check_output(const std::string& engine, const std::string& name, bool is_float32, const std::vector<Side>& shape,
                  const std::vector<Side>& expected) {
    if (!is_float32) throw BackendError(engine + ": the graph answers " + name + " in another type, expected float32");
    if (shape != expected)
        throw BackendError(engine + ": the graph answers " + name + " of the shape " + shape_text(shape) +
                           ", expected " + shape_text(expected) + ": export the bundle again");
}

}  // namespace detail

}  // namespace clipspect
