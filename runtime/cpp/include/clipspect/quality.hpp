// What a frame looks like in a few numbers, whatever it shows. docs/bundle-format.md has the formulas.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace clipspect {

// Of RGB in the model's size. Quantities are grey levels, 0 to 255, but for `clipped`, a share from 0 to 1.
struct Quality {
    static constexpr int grid = 4;  // cells a side of the layout

    double brightness = 0, contrast = 0, saturation = 0, clipped = 0, sharpness = 0;
    std::array<double, 3 * grid * grid> layout{};  // of each cell and channel: its mean less the mean of all
};

namespace detail {

__extension__ typedef unsigned __int128 Wide;  // the squares of a large picture's levels take more than 64 bits

inline std::vector<int> grey_levels(const std::uint8_t* rgb, std::size_t pixels) {  // as Pillow's
    std::vector<int> grey(pixels);
    for (std::size_t i = 0; i < pixels; ++i, rgb += 3)
        grey[i] = (19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16;
    return grey;
}

// The sum of |4 c - its four neighbours| over all pixels that have four.
inline std::int64_t absolute_laplacian(const std::vector<int>& grey, std::size_t height, std::size_t width) {
    std::int64_t sum = 0;
    for (std::size_t y = 1; y + 1 < height; ++y)
        for (std::size_t i = y * width + 1; i + 1 < (y + 1) * width; ++i)
            sum += std::abs(4 * grey[i] - grey[i - width] - grey[i + width] - grey[i - 1] - grey[i + 1]);
    return sum;
}

inline void measure_layout(const std::uint8_t* rgb, std::size_t height, std::size_t width, Quality& quality) {
    constexpr std::size_t cells = Quality::grid;
    double sum = 0;
    for (std::size_t cell = 0; cell < cells * cells; ++cell) {
        const std::size_t top = cell / cells * height / cells, bottom = (cell / cells + 1) * height / cells;
        const std::size_t left = cell % cells * width / cells, right = (cell % cells + 1) * width / cells;
        std::array<std::int64_t, 3> sums{};
        for (std::size_t y = top; y < bottom; ++y)
            for (std::size_t i = 3 * (y * width + left); i < 3 * (y * width + right); ++i) sums[i % 3] += rgb[i];
        for (std::size_t c = 0; c < 3; ++c)
            sum += quality.layout[3 * cell + c] =
                static_cast<double>(sums[c]) / static_cast<double>((bottom - top) * (right - left));
    }
    for (double& value : quality.layout) value -= sum / static_cast<double>(quality.layout.size());
}

}  // namespace detail

// Of RGB, rows first.
inline Quality measure(const std::vector<std::uint8_t>& rgb, int height, int width) {
    constexpr std::uint8_t dark = 5, bright = 250;  // a sample up to the one, or from the other, is clipped
    const auto rows = static_cast<std::size_t>(height), columns = static_cast<std::size_t>(width);
    const std::vector<int> grey = detail::grey_levels(rgb.data(), rows * columns);
    detail::Wide total = 0, squares = 0;
    std::int64_t clipped = 0, spread = 0;
    for (std::size_t i = 0; i < grey.size(); ++i) {
        const std::uint8_t* pixel = rgb.data() + 3 * i;
        const auto [least, most] = std::minmax({pixel[0], pixel[1], pixel[2]});
        spread += most - least;
        for (int c = 0; c < 3; ++c) clipped += pixel[c] <= dark || pixel[c] >= bright;
        total += static_cast<unsigned>(grey[i]);
        squares += static_cast<unsigned>(grey[i] * grey[i]);
    }
    const auto count = static_cast<double>(grey.size());
    const std::int64_t inner = (std::int64_t{height} - 2) * (std::int64_t{width} - 2);
    Quality quality;
    quality.brightness = static_cast<double>(total) / count;
    quality.contrast = std::sqrt(static_cast<double>(grey.size() * squares - total * total)) / count;
    quality.saturation = static_cast<double>(spread) / count;
    quality.clipped = static_cast<double>(clipped) / (3 * count);
    quality.sharpness = static_cast<double>(detail::absolute_laplacian(grey, rows, columns)) /
                        static_cast<double>(std::max<std::int64_t>(inner, 1));
    detail::measure_layout(rgb.data(), rows, columns, quality);
    return quality;
}

}  // namespace clipspect
