// A JPEG file's pixels by libjpeg-turbo with its defaults, which are Pillow's: exact DCT, smooth upsampling of colour.
#pragma once

#include <clipspect/error.hpp>
#include <clipspect/image.hpp>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

#include <jpeglib.h>  // needs <cstddef> and <cstdio>

#include <jerror.h>

#include "exif.hpp"

namespace jpeg {

// libjpeg leaves by longjmp: whatever has a destructor lives here, or above the functions that call setjmp.
struct Decoder {
    jpeg_error_mgr errors{};  // first: libjpeg's callbacks get a pointer to it
    std::jmp_buf escape{};
    char message[JMSG_LENGTH_MAX] = {};
    jpeg_decompress_struct state{};
    clipspect::Picture picture;
    std::string exif;  // of all its segments: a large one is split
    int orientation = 1;

    Decoder() {
        state.err = jpeg_std_error(&errors);
        errors.error_exit = leave;
        errors.emit_message = [](j_common_ptr common, int level) {
            // what is damaged in the middle, Pillow shows as far as it goes, too; a file that ends early it refuses
            if (level < 0 && common->err->msg_code == JWRN_JPEG_EOF) leave(common);
        };
    }
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;
    ~Decoder() { jpeg_destroy_decompress(&state); }

    [[noreturn]] static void leave(j_common_ptr common) {
        auto* decoder = reinterpret_cast<Decoder*>(common->err);
        common->err->format_message(common, decoder->message);
        std::longjmp(decoder->escape, 1);
    }

    bool read_header(std::string_view content) {
        if (setjmp(escape)) return false;
        jpeg_create_decompress(&state);
        jpeg_mem_src(&state, reinterpret_cast<const unsigned char*>(content.data()), content.size());
        jpeg_save_markers(&state, JPEG_APP0 + 1, 0xFFFF);
        jpeg_read_header(&state, TRUE);
        for (jpeg_saved_marker_ptr marker = state.marker_list; marker != nullptr; marker = marker->next) {
            const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
            if (data.substr(0, 6) == std::string_view("Exif\0\0", 6)) exif.append(data.substr(6));
        }
        orientation = exif_orientation(exif);
        return true;
    }

    bool read_pixels() {  // into `picture`, which has its size already
        if (setjmp(escape)) return false;
        state.out_color_space = picture.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
        jpeg_start_decompress(&state);
        const std::size_t stride = clipspect::detail::area(picture.width, 1, picture.channels);
        while (state.output_scanline < state.output_height) {
            JSAMPROW row = picture.pixels.data() + state.output_scanline * stride;
            jpeg_read_scanlines(&state, &row, 1);
        }
        if (!complete()) ERREXIT(&state, JERR_INPUT_EOF);
        jpeg_finish_decompress(&state);
        return true;
    }

    // Of a progressive picture that lacks its last scans each version of the library makes other pixels.
    bool complete() const {
        if (state.coef_bits == nullptr) return true;
        for (int component = 0; component < state.num_components; ++component)
            for (int i = 0; i < DCTSIZE2; ++i)
                if (state.coef_bits[component][i] != 0) return false;
        return true;
    }
};

}  // namespace jpeg

// Raises clipspect::ImageError.
inline clipspect::Picture read_jpeg(std::string_view content, const std::string& name) {
    using clipspect::ImageError;
    constexpr int most_scans = 100;  // a progressive JPEG has about 10; each goes over all pixels
    int scans = 0;
    for (std::size_t at = content.find("\xFF\xDA"); at != std::string_view::npos; at = content.find("\xFF\xDA", at + 2))
        if (++scans > most_scans)
            throw ImageError(name + ": damaged or cut short (more than " + std::to_string(most_scans) +
                             " scans): copy it again");
    jpeg::Decoder decoder;
    const auto damaged = [&] {
        return ImageError(name + ": damaged or cut short (" + decoder.message + "): copy it again");
    };
    if (!decoder.read_header(content)) throw damaged();
    const int channels = decoder.state.num_components;
    if (channels != 1 && channels != 3)
        throw ImageError(name + ": a JPEG of " + std::to_string(channels) +
                         " colour channels (CMYK?): convert it to RGB");
    clipspect::Picture& picture = decoder.picture;
    clipspect::detail::check_size(decoder.state.image_width, decoder.state.image_height, name);
    picture.width = static_cast<int>(decoder.state.image_width);
    picture.height = static_cast<int>(decoder.state.image_height);
    picture.channels = channels;
    picture.pixels.resize(clipspect::detail::area(picture.width, picture.height, channels));
    if (!decoder.read_pixels()) throw damaged();
    return clipspect::oriented(std::move(picture), decoder.orientation);
}
