// Files: read whole up to a limit, hashed, and known to lie inside the bundle.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "sha256.hpp"

namespace clipspect::detail {

namespace fs = std::filesystem;

// Not a folder, a link or a device.
inline bool is_plain_file(const fs::path& path) {
    std::error_code ignored;  // what cannot be looked at is none
    return fs::is_regular_file(fs::symlink_status(path, ignored));
}

inline bool is_link(const fs::path& path) {
    std::error_code ignored;
    return fs::is_symlink(fs::symlink_status(path, ignored));
}

// Whether the file or a folder on the way to it from `root` is a link.
inline bool has_link(const fs::path& root, const fs::path& inner) {
    fs::path path = root;
    for (const fs::path& part : inner)
        if (is_link(path /= part)) return true;
    return false;
}

// A relative path in normal form with forward slashes, that leads nowhere else on any system; UTF-8.
inline bool is_inner_path(std::string_view name) {
    if (name.empty() || name.front() == '/' || name.back() == '/') return false;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const auto byte = static_cast<unsigned char>(name[i]);
        const bool c1 =
            byte == 0xC2 && i + 1 < name.size() && static_cast<unsigned char>(name[i + 1]) < 0xA0;  // U+0080 to U+009F
        if (byte == '\\' || byte == ':' || byte < 0x20 || byte == 0x7F || c1) return false;
    }
    for (std::size_t start = 0; start <= name.size();) {
        const std::size_t end = std::min(name.find('/', start), name.size());
        const std::string_view part = name.substr(start, end - start);
        if (part.empty() || part == "." || part == "..") return false;
        start = end + 1;
    }
    return true;
}

// The content, at most `most` bytes of it. Raises ErrorType.
template <class ErrorType>
std::string read_file(const fs::path& path, std::uintmax_t most) {
    std::error_code wrong;
    const std::uintmax_t size = fs::file_size(path, wrong);
    if (wrong)
        throw ErrorType(path.string() + ": cannot be read (" + wrong.message() + "): check the path and its rights");
    if (size > most)
        throw ErrorType(path.string() + ": " + std::to_string(size) + " bytes is too large: copy it again");
    std::ifstream file(path, std::ios::binary);
    std::string content(static_cast<std::size_t>(size), '\0');
    if (!file.read(content.data(), static_cast<std::streamsize>(size)))
        throw ErrorType(path.string() + ": cannot be read: check its rights");
    return content;
}

// Empty for a file that cannot be read.
inline std::string sha256_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return {};
    Sha256 digest;
    std::vector<char> block(std::size_t{1} << 20);
    while (file.read(block.data(), static_cast<std::streamsize>(block.size())) || file.gcount() > 0)
        digest.update(block.data(), static_cast<std::size_t>(file.gcount()));
    return file.bad() ? std::string() : digest.hex();
}

}  // namespace clipspect::detail
