// Any bytes as a recipe: refused with a RecipeError or read. The same bytes are read a second time as a header and data
// whose lengths and digest are put right, so that what lies behind them is reached.
#include <clipspect/recipe.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

void read(const std::string& bytes) {
    try {
        const clipspect::Recipe recipe = clipspect::parse_recipe(bytes, "recipe");
        if (recipe.tensors.empty() || recipe.digest.size() != 64) std::abort();
    } catch (const clipspect::RecipeError&) {
    }
}

std::string file_of(const std::string& header, const std::string& data) {
    std::string bytes;
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(header.size() >> (8 * i)));
    return bytes + header + data;
}

// The header's metadata with a true digest of the document behind its first line.
std::string true_header(const std::string& text, const std::string& data) {
    clipspect::Json header = clipspect::parse_json(text);
    const clipspect::Json& metadata = clipspect::detail::as_object(
        clipspect::detail::member(clipspect::detail::as_object(header, "header"), "__metadata__"), "__metadata__");
    const std::string& claimed =
        clipspect::detail::as_string(clipspect::detail::member(metadata, "clipspect"), "clipspect");
    const std::string document = claimed.substr(claimed.find('\n') + 1);
    clipspect::Sha256 sum;
    sum.update(document);
    sum.update(data);
    header["__metadata__"]["clipspect"] = sum.hex() + "\n" + document;
    return header.dump();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    const std::string bytes(reinterpret_cast<const char*>(input), size);
    read(bytes);
    const std::size_t end = bytes.find('\n');  // the header ends at the first line's end
    if (end == std::string::npos) return 0;
    const std::string header = bytes.substr(0, end), data = bytes.substr(end + 1);
    read(file_of(header, data));
    try {
        read(file_of(true_header(header, data), data));
    } catch (const clipspect::JsonError&) {
    }
    return 0;
}
