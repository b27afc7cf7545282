// inspect IMAGE... --bundle B [--recipe R] [--json]: what `clipspect run` answers, without Python.
#include <clipspect.hpp>

#ifdef CLIPSPECT_ONNXRUNTIME
#include <clipspect/engine_onnxruntime.hpp>
using Engine = clipspect::OnnxRuntimeEngine;
#else
#include <clipspect/engine_openvino.hpp>
using Engine = clipspect::OpenVinoEngine;
#endif

#include <sys/stat.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "read_image.hpp"

namespace {

constexpr const char* usage =
    "usage: inspect IMAGE... --bundle BUNDLE [--recipe NAME] [--json] [--maps DIR]\n"
    "               [--device NAME] [--precision NAME] [--threads N] [--require-signature PUBLIC.pem]\n"
    "Scores JPEG and PNG files. --json prints a record a line; --maps writes each image's anomaly map, float32\n"
    "in the image's size, as DIR/NAME.npy. Exit status: 0 done, 1 refused or an image could not be read, 2 usage.\n";

struct Arguments {
    std::vector<std::string> images;
    std::string bundle, recipe, maps;
    std::optional<std::string> key;  // an empty name is no leave to do without
    clipspect::EngineOptions engine;
    bool json = false;
};

bool parse(int count, char** words, Arguments& arguments) {
    for (int i = 1; i < count; ++i) {
        const std::string word = words[i];
        if (word.compare(0, 2, "--") != 0) {
            arguments.images.push_back(word);
            continue;
        }
        if (word == "--json") {
            arguments.json = true;
            continue;
        }
        if (i + 1 == count) return false;
        const std::string value = words[++i];
        if (word == "--bundle")
            arguments.bundle = value;
        else if (word == "--recipe")
            arguments.recipe = value;
        else if (word == "--maps")
            arguments.maps = value;
        else if (word == "--require-signature")
            arguments.key = value;
        else if (word == "--device")
            arguments.engine.device = value;
        else if (word == "--precision")
            arguments.engine.precision = value;
        else if (word == "--threads")
            arguments.engine.threads = std::atoi(value.c_str());
        else
            return false;
    }
    return !arguments.images.empty() && !arguments.bundle.empty();
}

// A path as pathlib writes it: without "." and doubled slashes.
std::string plain(const std::filesystem::path& path) {
    std::filesystem::path out;
    for (const auto& part : path)
        if (part != "." && !part.empty()) out /= part;
    return out.empty() ? "." : out.string();
}

// A file as an item of a source of its own, captured at its last change.
clipspect::Item item_of(const std::string& image) {
    clipspect::Item item{image, 0, plain(image), std::nullopt};
    struct stat file {};
    if (::stat(image.c_str(), &file) == 0) {
        const std::int64_t microseconds =
            file.st_mtim.tv_sec * std::int64_t{1'000'000} + (file.st_mtim.tv_nsec + 500) / 1000;
        item.captured_at =
            clipspect::utc_text(std::chrono::system_clock::time_point(std::chrono::microseconds(microseconds)));
    }
    return item;
}

// NumPy's own format, version 1.
void write_map(const std::filesystem::path& path, const clipspect::Map& map) {
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(map.height) + ", " +
                         std::to_string(map.width) + "), }";
    header.resize((header.size() + 10) / 64 * 64 + 53, ' ');  // with the 10 bytes before it a multiple of 64
    header.push_back('\n');
    const char sizes[2] = {static_cast<char>(header.size() & 0xFF), static_cast<char>(header.size() >> 8)};
    std::ofstream file(path, std::ios::binary);
    file.write("\x93NUMPY\x01\x00", 8).write(sizes, 2) << header;
    file.write(reinterpret_cast<const char*>(map.values.data()),
               static_cast<std::streamsize>(map.values.size() * sizeof(float)));
    if (!file.flush()) throw clipspect::Error(path.string() + ": cannot be written: choose another --maps");
}

void inspect(clipspect::Inspector<Engine>& inspector, const clipspect::Item& item, const Arguments& arguments) {
    const auto start = std::chrono::steady_clock::now();
    const clipspect::Picture picture = read_image(item.name);
    const std::chrono::duration<double, std::milli> decode = std::chrono::steady_clock::now() - start;
    const clipspect::Result result = inspector.inspect(picture.view());
    if (!arguments.maps.empty())
        write_map(
            std::filesystem::path(arguments.maps) / (std::filesystem::path(item.name).filename().string() + ".npy"),
            result.anomaly_map());
    if (arguments.json)
        std::printf("%s\n", clipspect::record_line(inspector, item, result, decode.count()).c_str());
    else
        std::printf("%8.4f  %-9s  %3zu regions  %s\n", static_cast<double>(result.score),
                    result.verdict.value_or("-").c_str(), result.regions.size(), item.name.c_str());
    std::fflush(stdout);
}

int run(const Arguments& arguments) {
    std::optional<clipspect::PublicKey> key;
    if (arguments.key.has_value()) key.emplace(*arguments.key);
    clipspect::Inspector<Engine> inspector(clipspect::Bundle(arguments.bundle, key), arguments.recipe,
                                           arguments.engine);
    if (const std::string said = clipspect::guard_words(inspector.recipe(), inspector.limits()); !said.empty())
        std::fprintf(stderr, "inspect: %s\n", said.c_str());
    int status = 0;
    for (const std::string& image : arguments.images) {
        const clipspect::Item item = item_of(image);
        try {
            inspect(inspector, item, arguments);
        } catch (const clipspect::ImageError& error) {  // the others are inspected all the same
            std::fprintf(stderr, "inspect: %s\n", error.what());
            if (arguments.json) std::printf("%s\n", clipspect::record_line(inspector, item, error).c_str());
            status = 1;
        }
    }
    return status;
}

}  // namespace

int main(int count, char** words) {
    Arguments arguments;
    if (!parse(count, words, arguments)) {
        std::fputs(usage, stderr);
        return 2;
    }
    try {
        return run(arguments);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "inspect: error: %s\n", error.what());
        return 1;
    }
}
