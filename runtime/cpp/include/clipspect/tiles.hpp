// Tiles: a frame that is much larger than the model's input is seen part by part, and their answers become one map.
// docs/bundle-format.md specifies both.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine.hpp"
#include "error.hpp"
#include "image.hpp"
#include "json.hpp"
#include "mask.hpp"
#include "region_of_interest.hpp"
#include "regions.hpp"

namespace clipspect {

constexpr std::size_t most_tiles = 1000;

struct Tiling {
    std::optional<std::array<std::int64_t, 2>> size, grid;  // pixels of a tile, or columns and rows: one of the two
    std::int64_t overlap = 25;                              // per cent of a tile's side

    // The line that limits belong to.
    std::string digits() const {
        std::string text;
        for (const auto& pair : {size, grid})
            for (const std::int64_t number : pair.value_or(std::array<std::int64_t, 2>{0, 0}))
                text += std::to_string(number) + " ";
        return text + std::to_string(overlap);
    }

    // Of a rectangle of a frame, row by row. Raises ImageError where they are too many, or too small.
    std::vector<Box> tiles(const Box& box) const {
        const auto columns = sides(box.width(), 0), rows = sides(box.height(), 1);
        if (columns.size() * rows.size() > most_tiles)
            throw ImageError("frame: " + std::to_string(box.width()) + " x " + std::to_string(box.height()) +
                             " pixels make " + std::to_string(columns.size()) + " x " + std::to_string(rows.size()) +
                             " tiles, more than " + std::to_string(most_tiles) +
                             ": make the recipe again with larger tiles");
        std::vector<Box> found;
        for (const auto& [top, bottom] : rows)
            for (const auto& [left, right] : columns)
                found.push_back({box.left + left, box.top + top, box.left + right, box.top + bottom});
        return found;
    }

  private:
    // Along one axis the first pixel and the end of each tile.
    std::vector<std::pair<int, int>> sides(std::int64_t length, std::size_t axis) const {
        const std::int64_t own = 100 - overlap;
        std::int64_t side = 0, count = 0;
        if (size) {
            side = std::min((*size)[axis], length);
            const std::int64_t step = std::max<std::int64_t>(side * own / 100, 1);
            count = 1 + (length - side + step - 1) / step;
        } else {
            count = (*grid)[axis];
            const std::int64_t parts = 100 + (count - 1) * own;
            side = (100 * length + parts - 1) / parts;
        }
        const std::int64_t room = length - side;
        if (room < count - 1)
            throw ImageError("frame: a side of " + std::to_string(length) + " pixels is too short for " +
                             std::to_string(count) + " tiles: take fewer, or larger frames");
        std::vector<std::pair<int, int>> found;
        for (std::int64_t i = 0; i < count; ++i) {
            const auto start = static_cast<int>(i * room / std::max<std::int64_t>(count - 1, 1));
            found.emplace_back(start, start + static_cast<int>(side));
        }
        return found;
    }
};

namespace detail {

inline std::optional<std::array<std::int64_t, 2>> read_pair(const Json& document, const std::string& where) {
    if (document.is_null()) return std::nullopt;
    if (as_array(document, where).size() != 2) throw JsonError(where + ": expected two numbers");
    std::array<std::int64_t, 2> pair{as_integer(document[0], where), as_integer(document[1], where)};
    // beyond any side of a frame there is nothing to tell apart, and products stay below 64 bits
    for (std::int64_t& number : pair) {
        if (number < 1) throw JsonError(where + ": expected numbers from 1");
        if (number > std::numeric_limits<std::int32_t>::max()) throw JsonError(where + ": no frame is so large");
    }
    return pair;
}

inline std::optional<Tiling> read_tiling(const Json& document) {
    if (document.is_null()) return std::nullopt;
    Tiling tiling;
    tiling.size = read_pair(member(as_object(document, "tiling"), "size"), "tiling: size");
    tiling.grid = read_pair(member(document, "grid"), "tiling: grid");
    if (const Json& overlap = member(document, "overlap"); !overlap.is_null())
        tiling.overlap = as_integer(overlap, "tiling: overlap");
    if (tiling.size.has_value() == tiling.grid.has_value())
        throw JsonError("tiling: expected either the size of a tile or the grid of columns and rows");
    if (tiling.overlap < 0 || tiling.overlap > 75) throw JsonError("tiling: overlap: expected 0 to 75 per cent");
    if (tiling.grid && (*tiling.grid)[0] * (*tiling.grid)[1] > static_cast<std::int64_t>(most_tiles))
        throw JsonError("tiling: grid: more tiles than " + std::to_string(most_tiles));
    return tiling;
}

// Columns or rows of a merged map.
struct Axis {
    std::int64_t origin, length;  // where it begins in the frame, and how far it goes there
    std::int64_t pixels;          // of the merged map
    int answered;                 // pixels of a tile's map

    // Of a tile from pixel `start` to `end` of the frame: pixels of the merged map, and what each has of the tile's.
    struct Share {
        std::size_t first = 0;
        std::vector<std::size_t> from;            // by pixel, the first of the tile's map that it has a part of
        std::vector<std::vector<float>> weights;  // by pixel, from there on
    };

    using Side = std::pair<int, int>;

    // What each pixel's weights are divided by.
    std::vector<double> totals(const std::set<Side>& sides) const {
        std::vector<double> total(static_cast<std::size_t>(pixels));
        for (const Side& side : sides)
            for (std::int64_t place = edge(side.first); place < edge(side.second); ++place)
                total[static_cast<std::size_t>(place)] += weight(centre(place), side);
        return total;
    }

    Share share(const Side& side, const std::vector<double>& total) const {
        Share found;
        found.first = static_cast<std::size_t>(edge(side.first));
        const double scale = static_cast<double>(answered) / (side.second - side.first);
        const double reach = std::max(1.0, scale * static_cast<double>(length) / static_cast<double>(pixels));
        for (std::int64_t place = edge(side.first); place < edge(side.second); ++place) {
            const double at = (centre(place) - side.first) * scale;
            const int first = std::max(0, static_cast<int>(std::floor(at - reach - 0.5)));
            const int end = std::min(answered, static_cast<int>(std::ceil(at + reach + 0.5)));
            std::vector<double> taps;
            double sum = 0;
            for (int k = first; k < end; ++k) {
                taps.push_back(std::max(0.0, 1 - std::fabs(at - (k + 0.5)) / reach));
                sum += taps.back();
            }
            const double part = weight(centre(place), side) / total[static_cast<std::size_t>(place)] / sum;
            found.from.push_back(static_cast<std::size_t>(first));
            found.weights.emplace_back();
            for (const double tap : taps) found.weights.back().push_back(static_cast<float>(tap * part));
        }
        return found;
    }

  private:
    // The first pixel of the merged map whose centre is not before that pixel of the frame.
    std::int64_t edge(std::int64_t place) const {
        const std::int64_t over = 2 * pixels * (place - origin) - length;
        return over <= 0 ? 0 : (over + 2 * length - 1) / (2 * length);
    }

    double centre(std::int64_t place) const {
        return static_cast<double>(origin) +
               static_cast<double>((2 * place + 1) * length) / static_cast<double>(2 * pixels);
    }

    static double weight(double centre, const Side& side) {
        return 0.5 + std::min(centre - side.first, side.second - centre);
    }
};

}  // namespace detail

// One map and one score of tiles, which answer one after the other. The score is that of the most anomalous tile.
class Merged {
  public:
    float score = -std::numeric_limits<float>::infinity();
    Box box;  // that all tiles lie in, and that the map speaks of
    Map map;  // in the tiles' scale, with no more pixels than the frame

    // Of tiles of one size whose maps are width x height.
    Merged(std::vector<Box> tiles, int width, int height)
        : box(tiles.front()), map{}, tiles_(std::move(tiles)), columns_{}, rows_{} {
        std::set<detail::Axis::Side> across, down;
        for (const Box& tile : tiles_) {
            box = {std::min(box.left, tile.left), std::min(box.top, tile.top), std::max(box.right, tile.right),
                   std::max(box.bottom, tile.bottom)};
            across.emplace(tile.left, tile.right);
            down.emplace(tile.top, tile.bottom);
        }
        map.width = scaled(box.width(), width, tiles_.front().width());
        map.height = scaled(box.height(), height, tiles_.front().height());
        map.values.resize(static_cast<std::size_t>(map.width) * static_cast<std::size_t>(map.height));
        columns_ = {box.left, box.width(), map.width, width};
        rows_ = {box.top, box.height(), map.height, height};
        across_ = columns_.totals(across);
        down_ = rows_.totals(down);
    }

    // What was answered to the next tile.
    void add(float answered, const Map& values) {
        const Box& tile = tiles_[added_++];
        score = std::max(score, answered);
        const auto across = columns_.share({tile.left, tile.right}, across_);
        const auto down = rows_.share({tile.top, tile.bottom}, down_);
        const auto width = static_cast<std::size_t>(values.width), count = across.from.size();
        std::vector<double> wide(static_cast<std::size_t>(values.height) * count);
        for (std::size_t y = 0; y < static_cast<std::size_t>(values.height); ++y)
            for (std::size_t x = 0; x < count; ++x)
                for (std::size_t k = 0; k < across.weights[x].size(); ++k)
                    wide[y * count + x] += static_cast<double>(values.values[y * width + across.from[x] + k]) *
                                           static_cast<double>(across.weights[x][k]);
        std::vector<double> sums(count);
        for (std::size_t y = 0; y < down.from.size(); ++y) {
            std::fill(sums.begin(), sums.end(), 0.0);
            for (std::size_t k = 0; k < down.weights[y].size(); ++k)
                for (std::size_t x = 0; x < count; ++x)
                    sums[x] += wide[(down.from[y] + k) * count + x] * static_cast<double>(down.weights[y][k]);
            float* row = map.values.data() + (down.first + y) * static_cast<std::size_t>(map.width) + across.first;
            for (std::size_t x = 0; x < count; ++x) row[x] += static_cast<float>(sums[x]);
        }
    }

  private:
    static int scaled(std::int64_t length, std::int64_t answered, std::int64_t side) {
        return static_cast<int>(std::min(length, (length * answered + side - 1) / side));
    }

    std::vector<Box> tiles_;
    detail::Axis columns_, rows_;
    std::vector<double> across_, down_;
    std::size_t added_ = 0;
};

// A frame's merged answer, the rectangle that its map speaks of, and the tiles that it is of: one, where it is whole.
struct Looked {
    Answer answer;
    Box box;
    std::vector<Box> tiles;
};

// The part of somebody's pixels in a rectangle, not copied.
inline View part_of(View frame, const Box& box) {
    frame.pixels += box.top * frame.stride + std::ptrdiff_t{box.left} * frame.channels;
    frame.width = box.width();
    frame.height = box.height();
    return frame;
}

namespace detail {

// From pixel `start` to `end` of a frame's side: the pixels of a map of its box, halves to even, one at least.
inline std::pair<int, int> scaled_side(int start, int end, double times) {
    const int last = static_cast<int>(std::nearbyint(end * times - 1));
    const int first = std::min(static_cast<int>(std::nearbyint(start * times)), last);
    return {first, std::max(static_cast<int>(std::nearbyint(end * times)), first + 1)};
}

}  // namespace detail

// The score of a region that is seen with more: of the most anomalous tile, by its judged pixels of the map.
inline float score_of_judged(const Looked& looked, const RegionOfInterest& region, FrameSize frame) {
    const Map& map = looked.answer.map;
    const Mask judged = region.mask_of_view(looked.box, frame, map.width, map.height);
    float score = -std::numeric_limits<float>::infinity();
    for (const Box& tile : looked.tiles) {
        const auto [left, right] = detail::scaled_side(tile.left - looked.box.left, tile.right - looked.box.left,
                                                       static_cast<double>(map.width) / looked.box.width());
        const auto [top, bottom] = detail::scaled_side(tile.top - looked.box.top, tile.bottom - looked.box.top,
                                                       static_cast<double>(map.height) / looked.box.height());
        std::vector<float> values;
        Mask part{right - left, bottom - top, {}};
        for (int y = top; y < bottom; ++y) {
            const std::ptrdiff_t row = std::ptrdiff_t{y} * map.width;
            values.insert(values.end(), map.values.begin() + row + left, map.values.begin() + row + right);
            part.inside.insert(part.inside.end(), judged.inside.begin() + row + left,
                               judged.inside.begin() + row + right);
        }
        score = std::max(score, score_of_judged(values, part));
    }
    return score;
}

}  // namespace clipspect
