// The inspector: a frame in, a result out, over one bundle, one recipe and one engine.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bundle.hpp"
#include "checks.hpp"
#include "engine.hpp"
#include "error.hpp"
#include "guard.hpp"
#include "image.hpp"
#include "recipe.hpp"
#include "regions.hpp"

namespace clipspect {

struct Timings {  // milliseconds
    double preprocess, infer, post;
};

struct Result {
    float score;                         // higher is more anomalous
    std::optional<std::string> verdict;  // "pass", "uncertain", "fail" or "invalid"; none: a valid frame without limits
    std::vector<std::string> reasons;    // why the frame is invalid: its score and map say nothing of the part
    std::vector<std::string> notes;      // what else is to be said of the frame: it is of another size
    Quality quality;                     // what calibration tells valid frames by, as is
    std::vector<float> embedding;        // the image's, of length 1; empty where the graph answers with none
    std::optional<Limits> limits;        // that judged it: the recipe's, or wider ones, see guard.hpp
    int width, height;                   // of the frame
    Map model_map;                       // in the model's size
    double map_limit;
    std::vector<Region> regions;  // where the anomaly map lies over map_limit, the highest peak first
    Timings timings;

    // The anomaly map's largest value.
    float peak() const { return regions.empty() ? anomaly_map().peak() : regions.front().peak; }

    Map anomaly_map() const { return to_source_size(model_map, width, height); }  // in the frame's size
};

// `pass` below the review limit, `fail` from the reject limit, `uncertain` between.
inline std::optional<std::string> decide(float score, const std::optional<Limits>& limits) {
    if (!limits) return std::nullopt;
    const double value = score;
    return value >= limits->reject ? "fail" : value >= limits->review ? "uncertain" : "pass";
}

// `Engine` is OpenVinoEngine or OnnxRuntimeEngine. One frame at a time: an inspector is not shared between threads, but
// each thread can have its own over one loaded graph, see `with_recipe`.
template <class Engine>
class Inspector {
  public:
    // Verifies the bundle and loads it into the engine. Without a recipe's name: the bundle's only one. `map_limit` is
    // the anomaly map's value over which a pixel belongs to a region; the default is the recipe's limit on the map,
    // else the middle of the method's range. Raises BundleError, RecipeError or BackendError.
    explicit Inspector(const std::filesystem::path& bundle, const std::string& recipe = {},
                       const EngineOptions& options = {}, std::optional<double> map_limit = std::nullopt)
        : bundle_(std::make_shared<const Bundle>(bundle)),
          recipe_(bundle_->recipe(recipe)),
          graph_(&bundle_->serving(recipe_)),
          engine_((bundle_->path / graph_->file).string(), bundle_->manifest.precision, options),
          limits_(limits_in_use(recipe_, *bundle_, scoring())),
          asked_map_limit_(map_limit) {
        detail::check_names(Engine::name, "inputs", engine_.inputs(), graph_->inputs);
        detail::check_names(Engine::name, "outputs", engine_.outputs(), graph_->outputs);
        set_tensors();
    }

    Inspector(const Inspector&) = delete;  // the engine holds on to the recipe's tensors
    Inspector& operator=(const Inspector&) = delete;

    const Bundle& bundle() const { return *bundle_; }
    const Recipe& recipe() const { return recipe_; }
    const Engine& engine() const { return engine_; }

    // What is judged by: the recipe's limits, widened where they were calibrated with another engine.
    const std::optional<Limits>& limits() const { return limits_; }

    // The anomaly map's value over which a pixel belongs to a region.
    double map_limit() const {
        if (asked_map_limit_) return *asked_map_limit_;
        if (limits_ && limits_->map) return *limits_->map;
        return (graph_->map_range.low + graph_->map_range.high) / 2;
    }

    // A second inspector over the same loaded graph: products and cameras share its weights. Both can work at once,
    // each in its thread. Raises RecipeError, also for a recipe that needs the other graph.
    std::unique_ptr<Inspector> with_recipe(const std::string& name) const {
        return std::unique_ptr<Inspector>(new Inspector(*this, same_graph(name)));
    }

    // Switch to another recipe; the engine stays as it is. Raises RecipeError.
    void use_recipe(const std::string& name) {
        Recipe other = same_graph(name);
        limits_ = limits_in_use(other, *bundle_, scoring());
        recipe_ = std::move(other);
        set_tensors();
    }

    // Raises ImageError, BackendError.
    Result inspect(const View& frame) {
        const auto start = Clock::now();
        const std::vector<std::uint8_t> pixels = prepare(frame);
        const Quality quality = measure(pixels, bundle_->manifest.height, bundle_->manifest.width);
        const FrameSize size{frame.width, frame.height};
        const auto measured = Clock::now();
        Answer answer = score(pixels);
        const auto answered = Clock::now();
        std::vector<std::string> reasons = invalid_reasons(quality, size, answer.embedding, recipe_.calibration);
        std::vector<std::string> notes;
        if (std::string note = size_note(size, recipe_.known_sizes()); !note.empty()) notes.push_back(std::move(note));
        if (std::string note = shrunk_note(size, {bundle_->manifest.width, bundle_->manifest.height}); !note.empty())
            notes.push_back(std::move(note));
        Result result{answer.score,
                      reasons.empty() ? decide(answer.score, limits_) : "invalid",
                      std::move(reasons),
                      std::move(notes),
                      quality,
                      std::move(answer.embedding),
                      limits_,
                      frame.width,
                      frame.height,
                      std::move(answer.map),
                      map_limit(),
                      {},
                      {}};
        if (result.model_map.peak() >
            static_cast<float>(result.map_limit))  // no mean of pixels is larger than they are
            result.regions = find_regions(result.anomaly_map(), result.map_limit);
        result.timings = {milliseconds(start, measured), milliseconds(measured, answered),
                          milliseconds(answered, Clock::now())};
        return result;
    }

    // The half of `inspect` that needs no engine: RGB in the model's size. Raises ImageError.
    std::vector<std::uint8_t> prepare(const View& frame) const {
        return to_model_size(frame, bundle_->manifest.height, bundle_->manifest.width);
    }

    // Prepared pixels through the engine, nothing more. Raises BackendError.
    Answer score(const std::vector<std::uint8_t>& pixels) {
        const Manifest& manifest = bundle_->manifest;
        Answer answer = engine_.run(pixels.data(), manifest.height, manifest.width, graph_->embedding_dim());
        bool finite = std::isfinite(answer.score);
        for (const float value : answer.map.values) finite = finite && std::isfinite(value);
        for (const float value : answer.embedding) finite = finite && std::isfinite(value);
        if (!finite) throw BackendError(std::string(Engine::name) + " answered NaN or infinity");
        return answer;
    }

  private:
    using Clock = std::chrono::steady_clock;

    static double milliseconds(Clock::time_point start, Clock::time_point end) {
        return std::chrono::duration<double, std::milli>(end - start).count();
    }

    Inspector(const Inspector& other, Recipe recipe)
        : bundle_(other.bundle_),
          recipe_(std::move(recipe)),
          graph_(other.graph_),
          engine_(other.engine_),
          limits_(limits_in_use(recipe_, *bundle_, scoring())),
          asked_map_limit_(other.asked_map_limit_) {
        set_tensors();
    }

    Recipe same_graph(const std::string& name) const {
        Recipe other = bundle_->recipe(name);
        if (&bundle_->serving(other) != graph_)
            throw RecipeError("recipe '" + other.name + "' needs the other graph: load the bundle with it");
        return other;
    }

    // What scores. Raises BackendError for a precision that the bundle does not say to cost little.
    Scoring scoring() const {
        const Scoring here{Engine::name, engine_.device(), engine_.precision()};
        detail::require_record(bundle_->manifest, here);
        return here;
    }

    void set_tensors() {
        for (const auto& [name, tensor] : recipe_.tensors) engine_.set(name, tensor);
    }

    std::shared_ptr<const Bundle> bundle_;
    Recipe recipe_;
    const Graph* graph_;  // of the bundle
    Engine engine_;
    std::optional<Limits> limits_;
    std::optional<double> asked_map_limit_;
};

}  // namespace clipspect
