// Which way up a photo is shown: EXIF's orientation, the tag 0x0112 of the first directory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

// `tiff` is what follows "Exif\0\0" in a JPEG, or a PNG's eXIf chunk. 1, as it is, where there is none or it is
// damaged.
inline int exif_orientation(std::string_view tiff) {
    const bool little = tiff.substr(0, 4) == std::string_view("II*\0", 4);
    if (!little && tiff.substr(0, 4) != std::string_view("MM\0*", 4)) return 1;
    const auto number = [&](std::size_t at, std::size_t bytes) {  // 0 beyond the end
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < bytes && at <= tiff.size() && bytes <= tiff.size() - at; ++i)
            value = value << 8 | static_cast<unsigned char>(tiff[little ? at + bytes - 1 - i : at + i]);
        return value;
    };
    constexpr std::uint32_t tag = 0x0112, type_short = 3, type_long = 4;
    const std::size_t directory = number(4, 4), entries = number(directory, 2);
    std::uint32_t found = 1;
    for (std::size_t i = 0; i < entries; ++i) {
        const std::size_t at = directory + 2 + 12 * i;  // tag, type, count, value
        const std::uint32_t type = number(at + 2, 2);
        if (number(at, 2) == tag && (type == type_short || type == type_long) && number(at + 4, 4) == 1)
            found = number(at + 8, type == type_short ? 2 : 4);
    }
    return found <= 8 ? static_cast<int>(found) : 1;
}
