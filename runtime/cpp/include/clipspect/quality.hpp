// What a frame looks like in a few numbers, whatever it shows. docs/bundle-format.md has the formulas.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <numeric>
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

struct Sums {                                // over the samples of a picture
    std::array<std::int64_t, 256> levels{};  // pixels of each grey level
    std::int64_t clipped = 0, spread = 0;
    std::array<double, 3 * Quality::grid * Quality::grid> means{};  // of each cell and channel
};

// Of one cell: rows `top` to `bottom`, columns `left` to `right`, both ends exclusive. Writes its grey levels.
inline void add_cell(const std::uint8_t* rgb, std::size_t width, std::size_t top, std::size_t bottom, std::size_t left,
                     std::size_t right, double* means, Sums& sums, std::uint8_t* grey) {
    constexpr int dark = 5, bright = 250;  // a sample up to the one, or from the other, is clipped
    std::int64_t red = 0, green = 0, blue = 0;
    for (std::size_t y = top; y < bottom; ++y) {
        for (std::size_t i = y * width + left; i < y * width + right; ++i) {
            const int r = rgb[3 * i], g = rgb[3 * i + 1], b = rgb[3 * i + 2];
            const int level = (19595 * r + 38470 * g + 7471 * b + 32768) >> 16;  // as Pillow's
            grey[i] = static_cast<std::uint8_t>(level);
            ++sums.levels[static_cast<std::size_t>(level)];
            sums.spread += std::max(std::max(r, g), b) - std::min(std::min(r, g), b);
            sums.clipped += (r <= dark) + (r >= bright) + (g <= dark) + (g >= bright) + (b <= dark) + (b >= bright);
            red += r;
            green += g;
            blue += b;
        }
    }
    const auto count = static_cast<double>((bottom - top) * (right - left));
    means[0] = static_cast<double>(red) / count;
    means[1] = static_cast<double>(green) / count;
    means[2] = static_cast<double>(blue) / count;
}

// The sum of |4 c - its four neighbours| over all pixels that have four.
inline std::int64_t absolute_laplacian(const std::vector<std::uint8_t>& grey, std::size_t height, std::size_t width) {
    std::int64_t sum = 0;
    for (std::size_t y = 1; y + 1 < height; ++y) {
        const std::uint8_t* row = grey.data() + y * width;
        const std::uint8_t *above = row - width, *below = row + width;
        int of_row = 0;
        for (std::size_t x = 1; x + 1 < width; ++x)
            of_row += std::abs(4 * row[x] - above[x] - below[x] - row[x - 1] - row[x + 1]);
        sum += of_row;
    }
    return sum;
}

}  // namespace detail

// Of RGB, rows first.
inline Quality measure(const std::vector<std::uint8_t>& rgb, int height, int width) {
    constexpr std::size_t cells = Quality::grid;
    const auto rows = static_cast<std::size_t>(height), columns = static_cast<std::size_t>(width);
    std::vector<std::uint8_t> grey(rows * columns);
    detail::Sums sums;
    for (std::size_t y = 0; y < cells; ++y)
        for (std::size_t x = 0; x < cells; ++x)
            detail::add_cell(rgb.data(), columns, y * rows / cells, (y + 1) * rows / cells, x * columns / cells,
                             (x + 1) * columns / cells, sums.means.data() + 3 * (y * cells + x), sums, grey.data());
    detail::Wide total = 0, squares = 0;
    for (std::size_t level = 0; level < sums.levels.size(); ++level) {
        const auto pixels = static_cast<detail::Wide>(sums.levels[level]);
        total += pixels * level;
        squares += pixels * level * level;
    }
    const auto count = static_cast<double>(grey.size());
    const std::int64_t inner = (std::int64_t{height} - 2) * (std::int64_t{width} - 2);
    Quality quality;
    quality.brightness = static_cast<double>(total) / count;
    quality.contrast = std::sqrt(static_cast<double>(grey.size() * squares - total * total)) / count;
    quality.saturation = static_cast<double>(sums.spread) / count;
    quality.clipped = static_cast<double>(sums.clipped) / (3 * count);
    quality.sharpness = static_cast<double>(detail::absolute_laplacian(grey, rows, columns)) /
                        static_cast<double>(std::max<std::int64_t>(inner, 1));
    const double mean =
        std::accumulate(sums.means.begin(), sums.means.end(), 0.0) / static_cast<double>(sums.means.size());
    std::transform(sums.means.begin(), sums.means.end(), quality.layout.begin(),
                   [mean](double value) { return value - mean; });
    return quality;
}

}  // namespace clipspect
