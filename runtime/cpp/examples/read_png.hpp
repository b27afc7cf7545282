// A PNG file's pixels by libpng, untouched by gamma and colour profiles, as Pillow's.
#pragma once

#include <clipspect/error.hpp>
#include <clipspect/image.hpp>
#include <algorithm>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <png.h>

#include "exif.hpp"

namespace portable_png {

// libpng leaves by longjmp: whatever has a destructor lives here, or above the functions that call setjmp.
struct Decoder {
    std::string_view rest;  // of the file
    char message[200] = {};
    png_structp png = nullptr;
    png_infop info = nullptr;
    bool sixteen_bit_grey = false;
    const char* refusal = nullptr;  // of a picture that cannot be shown right
    std::vector<std::uint8_t> pixels;
    std::vector<png_bytep> rows;

    explicit Decoder(std::string_view content) : rest(content) {
        png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, leave, [](png_structp, png_const_charp) {});
        if (png != nullptr) info = png_create_info_struct(png);
    }
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;
    ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }

    [[noreturn]] static void leave(png_structp png, png_const_charp words) {
        auto* decoder = static_cast<Decoder*>(png_get_error_ptr(png));
        std::snprintf(decoder->message, sizeof decoder->message, "%s", words);
        png_longjmp(png, 1);
    }

    static void read(png_structp png, png_bytep to, std::size_t size) {
        auto* decoder = static_cast<Decoder*>(png_get_io_ptr(png));
        if (size > decoder->rest.size()) png_error(png, "the file ends early");
        std::memcpy(to, decoder->rest.data(), size);
        decoder->rest.remove_prefix(size);
    }

    bool read_header() {
        if (info == nullptr || setjmp(png_jmpbuf(png))) return false;
        png_set_read_fn(png, this, read);
        png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF);  // the number of pixels is checked instead
        png_read_info(png, info);
        return true;
    }

    // To 8 bits of grey, RGB or RGBA, or 16 bits of grey; the size of one row.
    bool set_up(std::size_t& row_bytes) {
        if (setjmp(png_jmpbuf(png))) return false;
        const png_byte depth = png_get_bit_depth(png, info), colour = png_get_color_type(png, info);
        sixteen_bit_grey = depth == 16 && colour == PNG_COLOR_TYPE_GRAY;
        if (depth == 16 && colour == PNG_COLOR_TYPE_RGB && png_get_valid(png, info, PNG_INFO_tRNS) != 0)
            refusal = "a transparent colour of 16 bits is lost in 8: save it with an alpha channel instead";
        if (sixteen_bit_grey) {
            const std::uint16_t one = 1;
            if (*reinterpret_cast<const std::uint8_t*>(&one) == 1) png_set_swap(png);  // the file is big endian
        } else {
            const bool see_through = png_get_valid(png, info, PNG_INFO_tRNS) != 0;
            png_set_expand(png);  // palettes, fewer than 8 bits, a transparent colour
            png_set_strip_16(png);
            if (see_through || (colour & PNG_COLOR_MASK_ALPHA) != 0) png_set_gray_to_rgb(png);
        }
        png_set_interlace_handling(png);
        png_read_update_info(png, info);
        row_bytes = png_get_rowbytes(png, info);
        return true;
    }

    bool read_pixels() {
        if (setjmp(png_jmpbuf(png))) return false;
        png_read_image(png, rows.data());
        return true;
    }

    bool read_end() {
        if (setjmp(png_jmpbuf(png))) return false;
        png_read_end(png, info);
        return true;
    }

    int orientation() {  // after read_end: the chunk can come after the pixels
        png_uint_32 size = 0;
        png_bytep data = nullptr;
        if (setjmp(png_jmpbuf(png)) != 0 || png_get_eXIf_1(png, info, &size, &data) == 0) return 1;
        return exif_orientation({reinterpret_cast<const char*>(data), size});
    }

    clipspect::Picture picture(int width, int height) {
        const png_byte channels = png_get_channels(png, info);
        if (sixteen_bit_grey) {
            auto* grey = reinterpret_cast<std::uint16_t*>(pixels.data());
            if (const auto clear = transparent_grey())
                std::replace(grey, grey + pixels.size() / 2, *clear, std::uint16_t{65535});
            return clipspect::from_sixteen_bit(grey, width, height);
        }
        if (channels == 4) {
            if (wholly_transparent()) refusal = "every pixel is wholly transparent: save it without transparency";
            return clipspect::over_white(pixels.data(), width, height);
        }
        return {width, height, channels, std::move(pixels)};
    }

    std::optional<std::uint16_t> transparent_grey() const {
        png_color_16p value = nullptr;
        if (png_get_tRNS(png, info, nullptr, nullptr, &value) == 0 || value == nullptr) return std::nullopt;
        return value->gray;
    }

    bool wholly_transparent() const {
        for (std::size_t i = 3; i < pixels.size(); i += 4)
            if (pixels[i] != 0) return false;
        return true;
    }
};

}  // namespace portable_png

// Raises clipspect::ImageError.
inline clipspect::Picture read_png(std::string_view content, const std::string& name) {
    portable_png::Decoder decoder(content);
    const auto damaged = [&] {
        return clipspect::ImageError(name + ": damaged or cut short (" + decoder.message + "): copy it again");
    };
    std::size_t row_bytes = 0;
    if (!decoder.read_header()) throw damaged();
    const png_uint_32 width = png_get_image_width(decoder.png, decoder.info);
    const png_uint_32 height = png_get_image_height(decoder.png, decoder.info);
    clipspect::detail::check_size(width, height, name);
    if (!decoder.set_up(row_bytes)) throw damaged();
    decoder.pixels.resize(row_bytes * height);
    for (std::size_t y = 0; y < height; ++y) decoder.rows.push_back(decoder.pixels.data() + y * row_bytes);
    if (!decoder.read_pixels() || !decoder.read_end()) throw damaged();
    const int orientation = decoder.orientation();
    clipspect::Picture picture = decoder.picture(static_cast<int>(width), static_cast<int>(height));
    if (decoder.refusal != nullptr) throw clipspect::ImageError(name + ": " + decoder.refusal);
    return clipspect::oriented(std::move(picture), orientation);
}
