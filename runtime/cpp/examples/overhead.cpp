// overhead BUNDLE RECIPE WIDTH HEIGHT ROUNDS: what `inspect` costs beside the engine's own run, turn by turn on one
// frame.
#include <clipspect.hpp>

#ifdef CLIPSPECT_ONNXRUNTIME
#include <clipspect/engine_onnxruntime.hpp>
using Engine = clipspect::OnnxRuntimeEngine;
#else
#include <clipspect/engine_openvino.hpp>
using Engine = clipspect::OpenVinoEngine;
#endif

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <random>
#include <vector>

namespace {

double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

template <class Work>
double milliseconds(const Work& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

void measure(const char* bundle, const char* recipe, int width, int height, int rounds) {
    clipspect::Inspector<Engine> inspector(bundle, recipe);
    clipspect::Picture frame{width, height, 3, {}};
    std::mt19937 random(0);
    frame.pixels.resize(clipspect::detail::area(width, height, 3));
    for (auto& value : frame.pixels) value = static_cast<std::uint8_t>(random());
    const std::vector<std::uint8_t> pixels = inspector.prepare(frame.view());
    inspector.score(pixels);  // the first run is slower
    std::vector<double> whole, bare, beside;
    std::size_t regions = 0;
    for (int i = 0; i < rounds; ++i) {
        clipspect::Timings timings{};
        whole.push_back(milliseconds([&] {
            const clipspect::Result result = inspector.inspect(frame.view());
            regions = result.regions.size();
            timings = result.timings;
        }));
        bare.push_back(milliseconds([&] { inspector.score(pixels); }));
        beside.push_back(100 * (timings.preprocess + timings.post) / timings.infer);
    }
    std::printf(
        "%d x %d, %d rounds, medians: inspect %.2f ms, bare run %.2f ms, ratio %.4f; beside the run %.2f %% (%zu "
        "regions)\n",
        width, height, rounds, median(whole), median(bare), median(whole) / median(bare), median(beside), regions);
}

}  // namespace

int main(int count, char** words) {
    if (count != 6) {
        std::fputs("usage: overhead BUNDLE RECIPE WIDTH HEIGHT ROUNDS\n", stderr);
        return 2;
    }
    try {
        measure(words[1], words[2], std::atoi(words[3]), std::atoi(words[4]), std::atoi(words[5]));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "overhead: error: %s\n", error.what());
        return 1;
    }
    return 0;
}
