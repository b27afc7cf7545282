// The inspector: a frame in, a result out, over one bundle, one recipe and one engine.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
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
#include "region_of_interest.hpp"
#include "regions.hpp"
#include "tiles.hpp"

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
    Box map_box{};                 // what of the frame model_map speaks of
    std::optional<Mask> judged{};  // of the frame; none: all of it

    // The anomaly map's largest value where it is judged.
    float peak() const {
        if (!regions.empty()) return regions.front().peak;
        if (judged && judged->count() == 0) return 0;
        return map_with(-std::numeric_limits<float>::infinity()).peak();
    }

    Map anomaly_map() const { return map_with(0); }  // in the frame's size, 0 where it is not judged

    // The same with another value where it is not judged.
    Map map_with(float outside) const {
        Map map = to_source_size(model_map, map_box.width(), map_box.height());
        if (!judged) return map;
        Map whole{width, height, std::vector<float>(judged->inside.size(), outside)};
        for (int y = map_box.top; y < map_box.bottom; ++y)
            for (int x = map_box.left; x < map_box.right; ++x) {
                const auto i =
                    static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x);
                if (judged->inside[i] != 0)
                    whole.values[i] =
                        map.values[static_cast<std::size_t>(y - map_box.top) * static_cast<std::size_t>(map.width) +
                                   static_cast<std::size_t>(x - map_box.left)];
            }
        return whole;
    }
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
        : Inspector(Bundle(bundle), recipe, options, map_limit) {}

    // The same of a bundle that is open: where a signature is required, it was given the key.
    explicit Inspector(Bundle bundle, const std::string& recipe = {}, const EngineOptions& options = {},
                       std::optional<double> map_limit = std::nullopt)
        : bundle_(std::make_shared<const Bundle>(std::move(bundle))),
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
        const JudgedArea* area = judged_of(frame);
        const Quality quality = area != nullptr && area->fault.empty()
                                    ? measure(pixels, area->of_model)
                                    : measure(pixels, bundle_->manifest.height, bundle_->manifest.width);
        const FrameSize size{frame.width, frame.height};
        const auto measured = Clock::now();
        const Box seen = area != nullptr ? area->seen : Box{0, 0, frame.width, frame.height};
        Looked looked = recipe_.tiling ? look_at_tiles(frame, pixels, seen, area) : Looked{score(pixels), seen, {seen}};
        Answer& answer = looked.answer;
        const auto answered = Clock::now();
        std::vector<std::string> reasons, notes;
        if (area != nullptr) {
            const RegionOfInterest& region = *recipe_.region_of_interest;
            if (!region.crop) answer.embedding.clear();  // it speaks of more than is judged
            if (!region.seen_alone) answer.score = score_of_judged(looked, region, size);
        }
        if (area != nullptr && !area->fault.empty()) {
            answer.score = 0;
            if (std::string blank = detail::blank_reason(quality, true); !blank.empty())
                reasons.push_back(std::move(blank));
            reasons.push_back(area->fault);
        } else {
            reasons = invalid_reasons(quality, size, answer.embedding, recipe_.calibration);
            notes = notes_on(size, seen);
        }
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
                      {},
                      looked.box,
                      area != nullptr ? std::optional(area->of_frame) : std::nullopt};
        if (result.model_map.peak() >
            static_cast<float>(result.map_limit))  // no mean of pixels is larger than they are
            result.regions = find_regions(result.map_with(-std::numeric_limits<float>::infinity()), result.map_limit);
        result.timings = {milliseconds(start, measured), milliseconds(measured, answered),
                          milliseconds(answered, Clock::now())};
        return result;
    }

    // The half of `inspect` that needs no engine: RGB in the model's size, of what the recipe looks at. Raises
    // ImageError.
    std::vector<std::uint8_t> prepare(const View& frame) const {
        const JudgedArea* area = judged_of(frame);
        return to_model_size(area != nullptr ? part_of(frame, area->seen) : frame, bundle_->manifest.height,
                             bundle_->manifest.width);
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

    // The whole is read for its embedding, as of any frame; then the tiles that have a judged pixel, one by one.
    Looked look_at_tiles(const View& frame, const std::vector<std::uint8_t>& pixels, const Box& seen,
                         const JudgedArea* area) {
        const Manifest& manifest = bundle_->manifest;
        std::vector<Box> tiles = recipe_.tiling->tiles(seen);
        if (area != nullptr) {
            std::vector<Box> judged;
            for (const Box& tile : tiles)
                if (area->of_frame.has_any(tile)) judged.push_back(tile);
            if (!judged.empty()) tiles = std::move(judged);
        }
        if (tiles.size() == 1 && tiles[0] == seen) return {score(pixels), seen, std::move(tiles)};
        Answer whole;
        if (graph_->embedding_dim() > 0 && (area == nullptr || recipe_.region_of_interest->crop)) whole = score(pixels);
        Merged merged(tiles, manifest.width, manifest.height);
        for (const Box& tile : tiles) {
            const Answer answer = score(to_model_size(part_of(frame, tile), manifest.height, manifest.width));
            merged.add(answer.score, answer.map);
        }
        return {{merged.score, std::move(merged.map), std::move(whole.embedding)}, merged.box, std::move(tiles)};
    }

    // What else is to be said of a frame, of which the model sees a rectangle.
    std::vector<std::string> notes_on(FrameSize size, const Box& seen) const {
        std::vector<std::string> notes;
        const FrameSize model{bundle_->manifest.width, bundle_->manifest.height};
        if (std::string note = size_note(size, recipe_.known_sizes()); !note.empty()) notes.push_back(std::move(note));
        if (std::string note = shrunk_note({seen.width(), seen.height()}, model); !recipe_.tiling && !note.empty())
            notes.push_back(std::move(note));
        return notes;
    }

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

    // What of a frame of this size is judged; null: all of it. It is kept for the next one.
    const JudgedArea* judged_of(const View& frame) const {
        if (!recipe_.region_of_interest) return nullptr;
        detail::check_size(frame.width, frame.height, "frame");
        if (!area_ || area_->of_frame.width != frame.width || area_->of_frame.height != frame.height)
            area_ = judged_area(*recipe_.region_of_interest, {frame.width, frame.height}, bundle_->manifest.width,
                                bundle_->manifest.height);
        return &*area_;
    }

    void set_tensors() {
        area_.reset();
        for (const auto& [name, tensor] : recipe_.tensors) engine_.set(name, tensor);
    }

    std::shared_ptr<const Bundle> bundle_;
    Recipe recipe_;
    const Graph* graph_;  // of the bundle
    Engine engine_;
    std::optional<Limits> limits_;
    std::optional<double> asked_map_limit_;
    mutable std::optional<JudgedArea> area_;  // of the last frame's size
};

}  // namespace clipspect
