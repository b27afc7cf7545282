// The anomaly map in the source image's size, and its regions: 8-connected components over a limit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "resample.hpp"

namespace clipspect {

struct Map {  // higher is more anomalous; rows first
    int width = 0, height = 0;
    std::vector<float> values;

    float peak() const { return *std::max_element(values.begin(), values.end()); }
};

// Bilinear, antialiased when shrinking, within the map's own range.
inline Map to_source_size(const Map& map, int width, int height) {
    if (map.width == width && map.height == height) return map;
    const auto [low, high] = std::minmax_element(map.values.begin(), map.values.end());
    Map out{width, height, detail::stretched(map.values, map.width, map.height, width, height)};
    for (float& value : out.values) value = std::clamp(value, *low, *high);
    return out;
}

struct Region {               // in pixels of the source image
    int x, y, width, height;  // the bounding box: left and top, and its sides
    std::int64_t area;
    float peak;  // the map's largest value inside
    double centroid_x, centroid_y;
};

namespace detail {

struct Run {  // pixels over the limit beside each other: columns start to end (exclusive)
    int row, start, end;
    float peak;
    std::size_t parent;  // an earlier run of the same region, or itself
};

inline std::vector<Run> find_runs(const Map& map, float limit) {
    std::vector<Run> runs;
    const float* value = map.values.data();
    for (int y = 0; y < map.height; ++y) {
        for (int x = 0; x < map.width; ++x, ++value) {
            if (!(*value > limit)) continue;
            if (runs.empty() || runs.back().row != y || runs.back().end != x)
                runs.push_back({y, x, x, *value, runs.size()});
            runs.back().end = x + 1;
            runs.back().peak = std::max(runs.back().peak, *value);
        }
    }
    return runs;
}

inline std::size_t root(std::vector<Run>& runs, std::size_t run) {
    while (runs[run].parent != run) run = runs[run].parent = runs[runs[run].parent].parent;
    return run;
}

// Runs of neighbouring rows that touch, corners included, become one region, named by its first run.
inline void join(std::vector<Run>& runs) {
    std::size_t above = 0;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        while (runs[above].row < runs[i].row - 1 ||
               (runs[above].row == runs[i].row - 1 && runs[above].end < runs[i].start))
            ++above;
        for (std::size_t j = above; runs[j].row == runs[i].row - 1 && runs[j].start <= runs[i].end; ++j) {
            const std::size_t a = root(runs, i), b = root(runs, j);
            runs[std::max(a, b)].parent = std::min(a, b);
        }
    }
}

}  // namespace detail

// Of the pixels over the limit: the highest peak first, then in reading order.
inline std::vector<Region> find_regions(const Map& map, double limit) {
    std::vector<detail::Run> runs = detail::find_runs(map, static_cast<float>(limit));
    detail::join(runs);
    std::vector<Region> regions;
    std::vector<std::size_t> place(runs.size());  // of a first run's region
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const detail::Run& run = runs[i];
        const std::size_t first = detail::root(runs, i);
        if (first == i) {
            place[i] = regions.size();
            regions.push_back({run.start, run.row, 0, 0, 0, run.peak, 0, 0});
        }
        Region& region = regions[place[first]];
        const int right = std::max(region.x + region.width, run.end), length = run.end - run.start;
        region.x = std::min(region.x, run.start);
        region.width = right - region.x;
        region.height = run.row + 1 - region.y;
        region.area += length;
        region.peak = std::max(region.peak, run.peak);
        region.centroid_x += static_cast<double>(length) * (run.start + run.end - 1);
        region.centroid_y += static_cast<double>(length) * run.row;
    }
    for (Region& region : regions) {
        region.centroid_x /= 2 * static_cast<double>(region.area);
        region.centroid_y /= static_cast<double>(region.area);
    }
    std::stable_sort(regions.begin(), regions.end(), [](const Region& a, const Region& b) {
        return std::tuple(-a.peak, a.y, a.x) < std::tuple(-b.peak, b.y, b.x);
    });
    return regions;
}

}  // namespace clipspect
