// What a frame looks like in a few numbers, whatever it shows. docs/bundle-format.md has the formulas.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <vector>

#include "mask.hpp"

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

inline int grey_level(const std::uint8_t* rgb) {  // as Pillow's
    return (19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16;
}

// Of one cell: rows `top` to `bottom`, columns `left` to `right`, both ends exclusive. Writes its grey levels.
inline void add_cell(const std::uint8_t* rgb, std::size_t width, std::size_t top, std::size_t bottom, std::size_t left,
                     std::size_t right, double* means, Sums& sums, std::uint8_t* grey) {
    constexpr int dark = 5, bright = 250;  // a sample up to the one, or from the other, is clipped
    std::int64_t red = 0, green = 0, blue = 0;
    for (std::size_t y = top; y < bottom; ++y) {
        for (std::size_t i = y * width + left; i < y * width + right; ++i) {
            const int r = rgb[3 * i], g = rgb[3 * i + 1], b = rgb[3 * i + 2];
            const int level = grey_level(rgb + 3 * i);
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

namespace detail {

// Of the cells of the judged pixels' box; one without any has the mean of the others.
inline void measure_cells(const std::vector<std::uint8_t>& rgb, const Mask& judged, const Box& box, Quality& quality) {
    constexpr int cells = Quality::grid;
    std::array<bool, 3 * cells * cells> found{};
    double sum = 0;
    int number = 0;
    for (int cell = 0; cell < cells * cells; ++cell) {
        const int row = cell / cells, column = cell % cells;
        std::array<std::int64_t, 3> sums{};
        std::int64_t count = 0;
        for (int y = box.top + row * box.height() / cells; y < box.top + (row + 1) * box.height() / cells; ++y)
            for (int x = box.left + column * box.width() / cells; x < box.left + (column + 1) * box.width() / cells;
                 ++x) {
                const auto i =
                    static_cast<std::size_t>(y) * static_cast<std::size_t>(judged.width) + static_cast<std::size_t>(x);
                if (judged.inside[i] == 0) continue;
                ++count;
                for (std::size_t c = 0; c < 3; ++c) sums[c] += rgb[3 * i + c];
            }
        for (std::size_t c = 0; count > 0 && c < 3; ++c) {
            const std::size_t place = 3 * static_cast<std::size_t>(cell) + c;
            quality.layout[place] = static_cast<double>(sums[c]) / static_cast<double>(count);
            found[place] = true;
            sum += quality.layout[place];
            ++number;
        }
    }
    for (std::size_t i = 0; i < found.size(); ++i)
        if (found[i]) quality.layout[i] -= sum / number;
}

}  // namespace detail

// Of the judged pixels alone, of which there are some; the Laplacian of those whose four neighbours are judged, too.
inline Quality measure(const std::vector<std::uint8_t>& rgb, const Mask& judged) {
    const auto width = static_cast<std::size_t>(judged.width), height = static_cast<std::size_t>(judged.height);
    const std::vector<std::uint8_t>& in = judged.inside;
    detail::Wide total = 0, squares = 0;
    std::int64_t spread = 0, clipped = 0, edges = 0, count = 0, inner = 0;
    for (std::size_t i = 0; i < in.size(); ++i) {
        if (in[i] == 0) continue;
        const std::uint8_t* pixel = rgb.data() + 3 * i;
        const int level = detail::grey_level(pixel);
        ++count;
        total += static_cast<detail::Wide>(level);
        squares += static_cast<detail::Wide>(level * level);
        spread += std::max({pixel[0], pixel[1], pixel[2]}) - std::min({pixel[0], pixel[1], pixel[2]});
        for (int c = 0; c < 3; ++c) clipped += (pixel[c] <= 5) + (pixel[c] >= 250);
        const std::size_t x = i % width, y = i / width;
        if (x == 0 || y == 0 || x + 1 == width || y + 1 == height) continue;
        if ((in[i - 1] & in[i + 1] & in[i - width] & in[i + width]) == 0) continue;
        ++inner;
        edges += std::abs(4 * level - detail::grey_level(pixel - 3) - detail::grey_level(pixel + 3) -
                          detail::grey_level(pixel - 3 * width) - detail::grey_level(pixel + 3 * width));
    }
    const auto pixels = static_cast<double>(count);
    Quality quality;
    quality.brightness = static_cast<double>(total) / pixels;
    quality.contrast =
        std::sqrt(static_cast<double>(static_cast<detail::Wide>(count) * squares - total * total)) / pixels;
    quality.saturation = static_cast<double>(spread) / pixels;
    quality.clipped = static_cast<double>(clipped) / (3 * pixels);
    quality.sharpness = static_cast<double>(edges) / static_cast<double>(std::max<std::int64_t>(inner, 1));
    if (const std::optional<Box> box = judged.box()) detail::measure_cells(rgb, judged, *box, quality);
    return quality;
}

}  // namespace clipspect
