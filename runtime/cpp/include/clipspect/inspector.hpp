// The conductor: a frame in, a result out, over one bundle, one recipe and one engine.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bundle.hpp"
#include "error.hpp"
#include "image.hpp"
#include "recipe.hpp"
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
};

struct Timings {  // milliseconds
    double preprocess, infer, post;
};

struct Result {
    float score;                         // higher is more anomalous
    std::optional<std::string> verdict;  // "pass", "uncertain" or "fail"; none where the recipe has no limits
    int width, height;                   // of the frame
    Map model_map;                       // in the model's size
    double map_limit;
    std::vector<Region> regions;  // where the anomaly map lies over map_limit, the highest peak first
    Timings timings;

    Map anomaly_map() const { return to_source_size(model_map, width, height); }  // in the frame's size
};

// `pass` below the review limit, `fail` from the reject limit, `uncertain` between.
inline std::optional<std::string> decide(float score, const std::optional<Limits>& limits) {
    if (!limits) return std::nullopt;
    const double value = score;
    return value >= limits->reject ? "fail" : value >= limits->review ? "uncertain" : "pass";
}

// `Engine` is OpenVinoEngine or OnnxRuntimeEngine. One frame at a time: an inspector is not shared between threads.
template <class Engine>
class Inspector {
  public:
    // Verifies the bundle and loads it into the engine. Without a recipe's name: the bundle's only one. `map_limit` is
    // the anomaly map's value over which a pixel belongs to a region; the default is the middle of the method's range.
    // Raises BundleError, RecipeError or BackendError.
    explicit Inspector(const std::filesystem::path& bundle, const std::string& recipe = {},
                       const EngineOptions& options = {}, std::optional<double> map_limit = std::nullopt)
        : bundle_(bundle),
          recipe_(bundle_.recipe(recipe)),
          engine_((bundle_.path / bundle_.serving(recipe_).first.file).string(), bundle_.manifest.precision, options) {
        const MapRange range = bundle_.serving(recipe_).second;
        map_limit_ = map_limit.value_or((range.low + range.high) / 2);
        hand_over();
    }

    Inspector(const Inspector&) = delete;  // the engine holds on to the recipe's tensors
    Inspector& operator=(const Inspector&) = delete;

    const Bundle& bundle() const { return bundle_; }
    const Recipe& recipe() const { return recipe_; }

    // Switch to another recipe of the bundle; the engine stays as it is. Raises RecipeError.
    void use_recipe(const std::string& name) {
        Recipe other = bundle_.recipe(name);
        if (other.has_references() != recipe_.has_references())
            throw RecipeError("recipe '" + other.name + "' needs the other graph: load the bundle with it");
        recipe_ = std::move(other);
        hand_over();
    }

    // Raises ImageError, BackendError.
    Result inspect(const View& frame) {
        const auto start = Clock::now();
        const std::vector<std::uint8_t> pixels = prepare(frame);
        const auto ready = Clock::now();
        Answer answer = score(pixels);
        const auto answered = Clock::now();
        Result result{answer.score,
                      decide(answer.score, recipe_.limits),
                      frame.width,
                      frame.height,
                      std::move(answer.map),
                      map_limit_,
                      {},
                      {}};
        if (result.model_map.peak() > static_cast<float>(map_limit_))  // no mean of pixels is larger than they are
            result.regions = find_regions(result.anomaly_map(), map_limit_);
        result.timings = {milliseconds(start, ready), milliseconds(ready, answered),
                          milliseconds(answered, Clock::now())};
        return result;
    }

    // The half of `inspect` that needs no engine: RGB in the model's size. Raises ImageError.
    std::vector<std::uint8_t> prepare(const View& frame) const {
        return to_model_size(frame, bundle_.manifest.height, bundle_.manifest.width);
    }

    // Prepared pixels through the engine, nothing more. Raises BackendError.
    Answer score(const std::vector<std::uint8_t>& pixels) {
        const Manifest& manifest = bundle_.manifest;
        Answer answer = engine_.run(pixels.data(), manifest.height, manifest.width);
        bool finite = std::isfinite(answer.score);
        for (const float value : answer.map.values) finite = finite && std::isfinite(value);
        if (!finite) throw BackendError(std::string(Engine::name) + " answered NaN or infinity");
        return answer;
    }

  private:
    using Clock = std::chrono::steady_clock;

    static double milliseconds(Clock::time_point start, Clock::time_point end) {
        return std::chrono::duration<double, std::milli>(end - start).count();
    }

    void hand_over() {
        for (const auto& [name, tensor] : recipe_.tensors) engine_.set(name, tensor);
    }

    Bundle bundle_;
    Recipe recipe_;
    Engine engine_;
    double map_limit_ = 0;
};

}  // namespace clipspect
