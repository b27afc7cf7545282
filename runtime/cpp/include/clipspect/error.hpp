// One exception per cause; every message is one line that says what was found and what to do about it.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>

namespace clipspect {

namespace detail {

// A name in a message can come from a hostile file: what is no visible character must not reach a terminal.
inline std::string visible(std::string message) {
    for (char& sign : message)
        if (static_cast<unsigned char>(sign) < 0x20 || sign == 0x7F) sign = '?';
    return message;
}

}  // namespace detail

struct Error : std::runtime_error {
    explicit Error(const std::string& message) : std::runtime_error(detail::visible(message)) {}
};

struct BundleError : Error {  // a bundle is missing, incomplete, altered, or made by a newer version
    using Error::Error;
};

struct RecipeError : Error {  // a recipe is missing, damaged, or belongs to other weights
    using Error::Error;
};

struct SignatureError : Error {  // a signature is required, and is missing, or of other bytes, or by another key
    using Error::Error;
};

struct ImageError : Error {  // an image cannot be read, or has a shape that cannot be inspected
    using Error::Error;
};

struct BackendError : Error {  // an engine cannot run this graph, or failed on the device asked for
    using Error::Error;
};

namespace detail {

// A message without its line breaks, cut where it rambles.
inline std::string one_line(const std::string& message) {
    std::string line;
    for (const char sign : message.substr(0, 300)) {
        const bool space = sign == ' ' || sign == '\n' || sign == '\r' || sign == '\t';
        if (!space || (!line.empty() && line.back() != ' ')) line.push_back(space ? ' ' : sign);
    }
    if (!line.empty() && line.back() == ' ') line.pop_back();
    return line;
}

// What an engine throws becomes ours.
template <class Work>
void guarded(const std::string& doing, const Work& work) {
    try {
        work();
    } catch (const Error&) {
        throw;
    } catch (const std::exception& error) {
        throw BackendError(doing + ": " + one_line(error.what()));
    }
}

}  // namespace detail

}  // namespace clipspect
