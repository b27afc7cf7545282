// JPEG and PNG files as the Python runtime reads them: the pixels that Pillow makes, EXIF orientation applied,
// transparency over white, 16-bit grey scaled from its full range.
#pragma once

#include <clipspect/error.hpp>
#include <clipspect/files.hpp>
#include <clipspect/image.hpp>
#include <string>
#include <string_view>

#include "read_jpeg.hpp"
#include "read_png.hpp"

// Raises clipspect::ImageError that names the file.
inline clipspect::Picture read_image(const std::string& path) {
    using clipspect::ImageError;
    if (!std::filesystem::is_regular_file(path)) throw ImageError(path + ": no such file");
    const std::string content = clipspect::detail::read_file<ImageError>(path, std::uintmax_t{400'000'000});
    if (content.empty()) throw ImageError(path + ": the file is empty");
    if (content.compare(0, 3, "\xFF\xD8\xFF") == 0) return read_jpeg(content, path);
    if (content.compare(0, 8, "\x89PNG\r\n\x1A\n") == 0) return read_png(content, path);
    throw ImageError(path + ": not a JPEG or PNG: convert it");
}
