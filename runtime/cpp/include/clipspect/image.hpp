// A picture in memory becomes the model's input: the same pixels, to the digit, as the Python runtime makes of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "error.hpp"
#include "resample.hpp"

namespace clipspect {

constexpr std::int64_t max_pixels = 80'000'000;
constexpr std::int64_t max_side = 1'000'000;

// Somebody's 8-bit pixels, not copied: rows of `channels` bytes a pixel, `stride` bytes from one row to the next.
struct View {
    const std::uint8_t* pixels;
    int width, height;
    int channels;           // 3, or 1 for grey
    std::ptrdiff_t stride;  // negative for a picture that stands upside down
    bool bgr = false;       // the order of OpenCV's and most cameras' channels
};

struct Picture {
    int width = 0, height = 0, channels = 3;
    std::vector<std::uint8_t> pixels;

    View view() const { return {pixels.data(), width, height, channels, std::ptrdiff_t{width} * channels}; }
};

namespace detail {

inline std::size_t area(std::int64_t width, std::int64_t height, std::int64_t channels = 1) {
    return static_cast<std::size_t>(width * height * channels);
}

inline Picture squashed_columns(const View& in, int target) {
    Picture out{target, in.height, in.channels, {}};
    out.pixels.resize(area(target, in.height, in.channels));
    const auto squash = in.channels == 3 ? squash_columns<3> : squash_columns<1>;
    squash(in.pixels, in.stride, in.width, in.height, target, out.pixels.data());
    return out;
}

inline Picture squashed_rows(const View& in, int target) {
    Picture out{in.width, target, in.channels, {}};
    out.pixels.resize(area(in.width, target, in.channels));
    squash_rows(in.pixels, in.stride, area(in.width, 1, in.channels), in.height, target, out.pixels.data());
    return out;
}

inline void check_size(std::int64_t width, std::int64_t height, const std::string& name) {
    if (width < 1 || height < 1) throw ImageError(name + ": the image has no pixels");
    if (width > max_pixels / height)
        throw ImageError(name + ": " + std::to_string(width) + " x " + std::to_string(height) + " is more than " +
                         std::to_string(max_pixels) + " pixels: shrink it or cut it into tiles");
    if (std::max(width, height) > max_side)
        throw ImageError(name + ": " + std::to_string(width) + " x " + std::to_string(height) +
                         " has a side of more than " + std::to_string(max_side) + " pixels: cut it into tiles");
}

}  // namespace detail

// Squashed to height x width with Pillow's bicubic filter, columns before rows, rounded in between; RGB, rows first.
// Raises ImageError.
inline std::vector<std::uint8_t> to_model_size(const View& frame, int height, int width) {
    if (frame.channels != 1 && frame.channels != 3)
        throw ImageError("frame: " + std::to_string(frame.channels) + " channels, expected 3, or 1 for grey");
    detail::check_size(frame.width, frame.height, "frame");
    Picture held;  // what `small` shows, once it is no longer the caller's
    View small = frame;
    const auto hold = [&](Picture made) {
        held = std::move(made);
        small = held.view();
    };
    const bool line = std::int64_t{width} * frame.height > max_pixels;  // of pixels: there is no room for columns first
    if (line) hold(detail::squashed_rows(small, height));
    if (small.width != width) hold(detail::squashed_columns(small, width));
    if (small.height != height) hold(detail::squashed_rows(small, height));
    std::vector<std::uint8_t> out(detail::area(width, height, 3));
    std::uint8_t* to = out.data();
    const int red = frame.channels == 1 ? 0 : frame.bgr ? 2 : 0, green = frame.channels == 1 ? 0 : 1;
    const int blue = frame.channels == 1 ? 0 : 2 - red;
    for (int y = 0; y < height; ++y) {
        const std::uint8_t* from = small.pixels + y * small.stride;
        for (int x = 0; x < width; ++x, from += small.channels) {
            *to++ = from[red];
            *to++ = from[green];
            *to++ = from[blue];
        }
    }
    return out;
}

// RGBA, rows without a gap, laid over white as Pillow does.
inline Picture over_white(const std::uint8_t* rgba, int width, int height) {
    Picture out{width, height, 3, {}};
    out.pixels.reserve(detail::area(width, height, 3));
    for (std::size_t i = 0; i < detail::area(width, height); ++i, rgba += 4) {
        const unsigned alpha = rgba[3];
        for (int c = 0; c < 3; ++c) {
            const unsigned sum = 255 * (255 - alpha) + rgba[c] * alpha + 128;
            out.pixels.push_back(static_cast<std::uint8_t>(((sum >> 8) + sum) >> 8));
        }
    }
    return out;
}

// 16-bit grey to 8: 0 to 65535 becomes 0 to 255, rounded, never stretched by what the picture holds.
inline Picture from_sixteen_bit(const std::uint16_t* grey, int width, int height) {
    Picture out{width, height, 1, {}};
    out.pixels.resize(detail::area(width, height));
    std::transform(grey, grey + out.pixels.size(), out.pixels.begin(), [](std::uint16_t value) {
        return static_cast<std::uint8_t>((value * std::uint32_t{255} + 32767) / 65535);
    });
    return out;
}

// The picture as EXIF's tag 0x0112 says that it is to be shown: 1 as it is, 2 to 8 turned and mirrored.
inline Picture oriented(Picture picture, int orientation) {
    if (orientation < 2 || orientation > 8) return picture;
    const bool turned = orientation >= 5;
    const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    Picture out{turned ? picture.height : picture.width, turned ? picture.width : picture.height, picture.channels, {}};
    out.pixels.resize(picture.pixels.size());
    const auto channels = static_cast<std::size_t>(picture.channels), width = static_cast<std::size_t>(picture.width);
    std::uint8_t* to = out.pixels.data();
    for (int y = 0; y < out.height; ++y) {
        for (int x = 0; x < out.width; ++x) {
            int u = turned ? y : x, v = turned ? x : y;  // column and row in the source
            if (flip_x) u = picture.width - 1 - u;
            if (flip_y) v = picture.height - 1 - v;
            const std::size_t at = (static_cast<std::size_t>(v) * width + static_cast<std::size_t>(u)) * channels;
            to = std::copy_n(picture.pixels.data() + at, channels, to);
        }
    }
    return out;
}

}  // namespace clipspect
