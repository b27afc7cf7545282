// sharing BUNDLE RECIPE OTHER IMAGE ROUNDS: two recipes over one loaded graph,
// each in its thread, then one after the other in one inspector. Prints both
// scores; fails where an answer changes. For the tests.
#include <clipspect.hpp>

#ifdef CLIPSPECT_ONNXRUNTIME
#include <clipspect/engine_onnxruntime.hpp>
using Engine = clipspect::OnnxRuntimeEngine;
#else
#include <clipspect/engine_openvino.hpp>
using Engine = clipspect::OpenVinoEngine;
#endif

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>

#include "read_image.hpp"

using Inspector = clipspect::Inspector<Engine>;

int main(int count, char** words) {
    if (count != 6) return 2;
    try {
        const clipspect::Picture picture = read_image(words[4]);
        const int rounds = std::atoi(words[5]);
        Inspector first(words[1], words[2]);
        const auto second = first.with_recipe(words[3]);
        const float one = first.inspect(picture.view()).score, other = second->inspect(picture.view()).score;
        std::atomic<int> wrong{0};
        const auto work = [&](Inspector& inspector, float expected) {
            for (int i = 0; i < rounds; ++i) wrong += inspector.inspect(picture.view()).score != expected;
        };
        std::thread beside([&] { work(*second, other); });
        work(first, one);
        beside.join();
        for (int i = 0; i < rounds; ++i) {
            first.use_recipe(words[2 + i % 2]);
            wrong += first.inspect(picture.view()).score != (i % 2 == 0 ? one : other);
        }
        std::printf("%.9g %.9g\n", static_cast<double>(one), static_cast<double>(other));
        return wrong == 0 ? 0 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "sharing: error: %s\n", error.what());
        return 1;
    }
}
