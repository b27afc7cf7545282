// The region of interest: which pixels of a frame are judged. docs/bundle-format.md specifies it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "calibration.hpp"
#include "error.hpp"
#include "json.hpp"
#include "mask.hpp"
#include "sha256.hpp"

namespace clipspect {

struct RegionOfInterest {
    FrameSize frame_size{0, 0};  // of the frame that it was drawn on
    bool crop = false;           // the model sees the region's box alone; else the whole frame
    Mask drawn;                  // the judged pixels of that frame
    std::string digest;          // of what is judged and how: limits belong to it
    bool seen_alone = false;     // all that the model sees is judged: a crop of a rectangle

    // Whether a frame of that size has the aspect of the one that the region was drawn on.
    bool fits(FrameSize size) const {
        const double one = static_cast<double>(size.width) * static_cast<double>(frame_size.height);
        const double other = static_cast<double>(size.height) * static_cast<double>(frame_size.width);
        return std::fabs(one - other) <= 0.02 * other;
    }

    // The judged pixels of a picture of width x height that shows `seen` of a frame: what lies at their centres.
    Mask mask_of_view(Box seen, FrameSize frame, int width, int height) const {
        const auto columns = drawn_at(width, seen.left, seen.width(), frame.width, frame_size.width);
        const auto rows = drawn_at(height, seen.top, seen.height(), frame.height, frame_size.height);
        Mask mask{width, height, {}};
        mask.inside.reserve(columns.size() * rows.size());
        for (const std::size_t row : rows)
            for (const std::size_t column : columns)
                mask.inside.push_back(drawn.inside[row * static_cast<std::size_t>(drawn.width) + column]);
        return mask;
    }

    // Of a frame of that size.
    Mask mask(int width, int height) const {
        return mask_of_view({0, 0, width, height}, {width, height}, width, height);
    }

  private:
    // Where in the drawn side the centres of `count` pixels lie that make `length` of a side's pixels from `first` on.
    static std::vector<std::size_t> drawn_at(int count, std::int64_t first, std::int64_t length, std::int64_t side,
                                             std::int64_t drawn) {
        const std::int64_t common = std::gcd(std::gcd(first, length), side);
        first /= common, length /= common, side /= common;
        std::vector<std::size_t> places;
        for (std::int64_t k = 0; k < count; ++k)
            places.push_back(
                static_cast<std::size_t>((2 * count * first + (2 * k + 1) * length) * drawn / (2 * count * side)));
        return places;
    }
};

// What of a frame is judged.
struct JudgedArea {
    Box seen;           // what of the frame the model sees
    Mask of_frame;      // the judged pixels of the frame
    Mask of_model;      // of the model's input
    std::string fault;  // why nothing of the frame is judged; empty: something is
};

// Of a frame that becomes a model input of width x height. Raises ImageError where a crop is of nothing.
inline JudgedArea judged_area(const RegionOfInterest& region, FrameSize frame, int width, int height) {
    const int across = static_cast<int>(frame.width), down = static_cast<int>(frame.height);
    const auto text = [](FrameSize size) { return std::to_string(size.width) + " x " + std::to_string(size.height); };
    JudgedArea area{{0, 0, across, down}, region.mask(across, down), {}, {}};
    if (region.crop) {
        const std::optional<Box> box = area.of_frame.box();
        if (!box)
            throw ImageError("frame: region of interest: nothing of it is left in a frame of " + text(frame) +
                             "; it was drawn on one of " + text(region.frame_size) +
                             ": inspect such frames, or draw it again with: clipspect roi");
        area.seen = *box;
    }
    area.of_model = region.mask_of_view(area.seen, frame, width, height);
    if (!region.fits(frame))
        area.fault = "the frame is " + text(frame) + ", the region was drawn on " + text(region.frame_size);
    else if (area.of_model.count() == 0)
        area.fault = "no pixel of the model's " + text({width, height}) + " lies in it: draw it larger, or choose the mode crop";
    if (area.fault.empty()) return area;
    area.fault.insert(0, "region of interest: ");
    for (Mask* mask : {&area.of_frame, &area.of_model})
        std::fill(mask->inside.begin(), mask->inside.end(), std::uint8_t{0});
    return area;
}

// The score of a region in a view that shows more: the mean of the largest hundredth of the judged pixels of the map.
inline float score_of_judged(const std::vector<float>& values, const Mask& judged) {
    std::vector<float> inside;
    for (std::size_t i = 0; i < values.size(); ++i)
        if (judged.inside[i] != 0) inside.push_back(values[i]);
    if (inside.empty()) return 0;
    const std::size_t count = std::max<std::size_t>(inside.size() / 100, 1);
    std::partial_sort(inside.begin(), inside.begin() + static_cast<std::ptrdiff_t>(count), inside.end(),
                      std::greater<>());
    double sum = 0;
    for (std::size_t i = count; i > 0; --i) sum += static_cast<double>(inside[i - 1]);
    return static_cast<float>(sum / static_cast<double>(count));
}

namespace detail {

using Corner = std::array<std::int64_t, 2>;

// Turns round, in each row, the pixels from the edge to the right: after all edges of a polygon those inside differ.
inline void cross_edge(Corner a, Corner b, Mask& mask) {
    if (a[1] > b[1]) std::swap(a, b);
    for (std::int64_t row = a[1]; row < b[1]; ++row) {
        const std::int64_t height = b[1] - a[1];
        const std::int64_t twice = 2 * a[0] * height + (2 * row + 1 - 2 * a[1]) * (b[0] - a[0]);
        const std::int64_t over = twice - height;  // of 2 * height: the first pixel's centre that is not left of it
        const std::int64_t first = over >= 0 ? (over + 2 * height - 1) / (2 * height) : -((-over) / (2 * height));
        const auto start = static_cast<std::size_t>(row * mask.width);
        for (auto i = start + static_cast<std::size_t>(first); i < start + static_cast<std::size_t>(mask.width); ++i)
            mask.inside[i] ^= 1;
    }
}

inline void add_polygon(const Json& document, const std::string& where, Mask& area) {
    std::vector<Corner> corners;
    for (const Json& corner : as_array(document, where)) {
        if (as_array(corner, where).size() != 2) throw JsonError(where + ": a corner is two numbers");
        corners.push_back({as_integer(corner[0], where), as_integer(corner[1], where)});
        if (corners.back()[0] > area.width || corners.back()[1] > area.height)
            throw JsonError(where + ": a corner is outside of the frame");
    }
    if (corners.size() < 3) throw JsonError(where + ": a polygon has three corners at least");
    Mask polygon{area.width, area.height, std::vector<std::uint8_t>(area.inside.size())};
    for (std::size_t i = 0; i < corners.size(); ++i) cross_edge(corners[i], corners[(i + 1) % corners.size()], polygon);
    for (std::size_t i = 0; i < area.inside.size(); ++i) area.inside[i] |= polygon.inside[i];
}

inline void add_runs(const Json& document, const std::string& where, Mask& area) {
    std::size_t at = 0;
    bool inside = false;
    for (const Json& run : as_array(document, where)) {
        const auto length = static_cast<std::uint64_t>(as_integer(run, where));
        if (length > area.inside.size() - at) throw JsonError(where + ": more pixels than the frame has");
        if (inside) std::fill_n(area.inside.begin() + static_cast<std::ptrdiff_t>(at), length, std::uint8_t{1});
        at += length;
        inside = !inside;
    }
    if (at != 0 && at != area.inside.size()) throw JsonError(where + ": fewer pixels than the frame has");
}

// An area that says nothing has neither polygons nor runs: none.
inline std::optional<Mask> read_area(const Json& document, const std::string& where, int width, int height) {
    if (document.is_null()) return std::nullopt;
    const Json &polygons = member(as_object(document, where), "polygons"), &runs = member(document, "runs");
    const auto says = [](const Json& list) { return !list.is_null() && !list.empty(); };
    if (!says(polygons) && !says(runs)) return std::nullopt;
    Mask area{width, height,
              std::vector<std::uint8_t>(static_cast<std::size_t>(width) * static_cast<std::size_t>(height))};
    if (!runs.is_null()) add_runs(runs, where + ": runs", area);
    if (!polygons.is_null())
        for (const Json& polygon : as_array(polygons, where + ": polygons"))
            add_polygon(polygon, where + ": polygons", area);
    return area;
}

inline std::optional<RegionOfInterest> read_region(const Json& document) {
    constexpr std::int64_t most = 80'000'000;  // pixels
    const std::string where = "region_of_interest";
    if (document.is_null()) return std::nullopt;
    const std::vector<FrameSize> sizes =
        read_sizes(Json::array({member(as_object(document, where), "frame_size")}), where + ": frame_size");
    RegionOfInterest region;
    region.frame_size = sizes.front();
    const auto [width, height] = region.frame_size;
    if (width > most / height) throw JsonError(where + ": frame_size: no frame has so many pixels");
    const Json& mode = member(document, "mode");
    const std::string name = mode.is_null() ? "mask" : as_string(mode, where + ": mode");
    if (name != "mask" && name != "crop") throw JsonError(where + ": mode: expected mask or crop, found " + name);
    region.crop = name == "crop";
    if (!member(document, "alignment").is_null())
        throw JsonError(where +
                        ": alignment, the part is to be found where it lies, is not done in C++: inspect with "
                        "clipspect run or watch, or draw the region without --align");
    const int w = static_cast<int>(width), h = static_cast<int>(height);
    const std::optional<Mask> judged = read_area(member(document, "judged"), where + ": judged", w, h);
    const std::optional<Mask> ignored = read_area(member(document, "ignored"), where + ": ignored", w, h);
    const auto pixels = static_cast<std::size_t>(width * height);
    region.drawn = judged ? *judged : Mask{w, h, std::vector<std::uint8_t>(pixels, 1)};
    for (std::size_t i = 0; ignored && i < pixels; ++i)
        if (ignored->inside[i] != 0) region.drawn.inside[i] = 0;
    if (const std::optional<Box> box = region.drawn.box(); region.crop && box)
        region.seen_alone =
            region.drawn.count() == static_cast<std::size_t>(box->width()) * static_cast<std::size_t>(box->height());
    Sha256 sum;
    sum.update(name + " " + std::to_string(width) + " " + std::to_string(height) + "\n");
    sum.update(region.drawn.inside.data(), pixels);
    region.digest = sum.hex();
    return region;
}

}  // namespace detail

}  // namespace clipspect
