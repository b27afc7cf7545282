// checks RECIPE FRAMES: for each frame of a JSON file a line, what it looks like, why it is invalid with the recipe,
// and what else is to be said of it. For the tests.
#include <clipspect.hpp>
#include <cstdio>
#include <string>
#include <vector>

int main(int count, char** words) {
    if (count != 3) return 2;
    const clipspect::Recipe recipe = clipspect::read_recipe(words[1]);
    for (const auto& frame : clipspect::parse_json(clipspect::detail::read_file<clipspect::Error>(words[2], 1 << 26))) {
        const auto pixels = frame["pixels"].get<std::vector<std::uint8_t>>();
        const clipspect::Quality found =
            clipspect::measure(pixels, frame["height"].get<int>(), frame["width"].get<int>());
        const clipspect::FrameSize size{frame["size"][0].get<int>(), frame["size"][1].get<int>()};
        const auto embedding = frame["embedding"].get<std::vector<float>>();
        std::string line;
        clipspect::detail::append_line(
            line, {{"quality",
                    {{"brightness", found.brightness},
                     {"contrast", found.contrast},
                     {"saturation", found.saturation},
                     {"clipped", found.clipped},
                     {"sharpness", found.sharpness},
                     {"layout", found.layout}}},
                   {"reasons", clipspect::invalid_reasons(found, size, embedding, recipe.calibration)},
                   {"note", clipspect::size_note(size, recipe.known_sizes())}});
        std::puts(line.c_str());
    }
    return 0;
}
