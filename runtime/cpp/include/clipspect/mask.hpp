// Rectangles and masks of pixels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace clipspect {

struct Box {  // of pixels: left and top inside, right and bottom outside
    int left = 0, top = 0, right = 0, bottom = 0;

    int width() const { return right - left; }
    int height() const { return bottom - top; }

    bool operator==(const Box& other) const {
        return left == other.left && top == other.top && right == other.right && bottom == other.bottom;
    }
};

struct Mask {  // rows first; 1 inside, else 0
    int width = 0, height = 0;
    std::vector<std::uint8_t> inside;

    std::size_t count() const {
        return static_cast<std::size_t>(std::count(inside.begin(), inside.end(), std::uint8_t{1}));
    }

    // Whether any pixel in the rectangle is inside.
    bool has_any(const Box& box) const {
        for (int y = box.top; y < box.bottom; ++y) {
            const auto row = inside.begin() + std::ptrdiff_t{y} * width;
            if (std::find(row + box.left, row + box.right, std::uint8_t{1}) != row + box.right) return true;
        }
        return false;
    }

    // The smallest rectangle with all that is inside; none where nothing is.
    std::optional<Box> box() const {
        Box found{width, height, 0, 0};
        const std::uint8_t* pixel = inside.data();
        for (int y = 0; y < height; ++y)
            for (int x = 0; x < width; ++x)
                if (*pixel++ != 0)
                    found = {std::min(found.left, x), std::min(found.top, y), std::max(found.right, x + 1),
                             std::max(found.bottom, y + 1)};
        if (found.right == 0) return std::nullopt;
        return found;
    }
};

}  // namespace clipspect
