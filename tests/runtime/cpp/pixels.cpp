// pixels HEIGHT WIDTH IMAGE...: each image in the model's size, RGB, one after the other on stdout. For the tests.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "read_image.hpp"

// The same from a camera's buffer: upside down, the channels the other way round, rows with a gap.
std::vector<std::uint8_t> from_buffer(const clipspect::Picture& picture, int height, int width) {
    const std::ptrdiff_t row = std::ptrdiff_t{picture.width} * picture.channels, stride = row + 5;
    std::vector<std::uint8_t> buffer(static_cast<std::size_t>(stride * picture.height), 99);
    for (std::ptrdiff_t y = 0; y < picture.height; ++y)
        for (std::ptrdiff_t i = 0; i < row; ++i) {
            const std::ptrdiff_t channel = i % picture.channels, turned = i - channel + picture.channels - 1 - channel;
            buffer[static_cast<std::size_t>((picture.height - 1 - y) * stride + turned)] =
                picture.pixels[static_cast<std::size_t>(y * row + i)];
        }
    const std::uint8_t* first = buffer.data() + (picture.height - 1) * stride;
    return clipspect::to_model_size({first, picture.width, picture.height, picture.channels, -stride, true}, height,
                                    width);
}

int main(int count, char** words) {
    const int height = count > 3 ? std::atoi(words[1]) : 0, width = count > 3 ? std::atoi(words[2]) : 0;
    if (height < 1 || width < 1) return 2;
    int status = 0;
    for (int i = 3; i < count; ++i) {
        try {
            const clipspect::Picture picture = read_image(words[i]);
            const auto pixels = clipspect::to_model_size(picture.view(), height, width);
            if (pixels != from_buffer(picture, height, width)) throw clipspect::Error("a buffer makes other pixels");
            std::fwrite(pixels.data(), 1, pixels.size(), stdout);
        } catch (const std::exception& error) {
            std::fprintf(stderr, "%s\n", error.what());
            status = 1;
        }
    }
    return status;
}
