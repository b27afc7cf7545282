// Any bytes as a recipe: refused with a RecipeError or read. The same bytes are read a second time as a header and data
// whose lengths and digest are put right, so that what lies behind them is reached.
#include <clipspect/recipe.hpp>
#include <cstddef>
#include <cstdint>
#include <string>

#include "resealed.hpp"

namespace {

void read(const std::string& bytes) {
    try {
        const clipspect::Recipe recipe = clipspect::parse_recipe(bytes, "recipe");
        static_cast<void>(recipe.has_references());
    } catch (const clipspect::RecipeError&) {
    }
}

std::string file_of(const std::string& header, const std::string& data) {
    std::string bytes;
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(header.size() >> (8 * i)));
    return bytes + header + data;
}

// The header's metadata with a true digest; empty where there is nothing to put right.
std::string true_header(const std::string& text, const std::string& data) {
    const clipspect::Json header = clipspect::parse_json(text);
    const auto spans = clipspect::detail::read_spans(header.object("header"), data.size());
    const clipspect::Json& claimed = header["__metadata__"].object("__metadata__")["clipspect"];
    const clipspect::Json document = clipspect::parse_json(claimed.string("clipspect"));
    const std::string digest = clipspect::detail::recipe_digest(document.object("recipe"), spans, data);
    std::string out, metadata;
    clipspect::append_canonical(out, header, "__metadata__");
    out.pop_back();
    clipspect::detail::append_quoted(metadata, with_digest(document, digest));
    return out + (out.size() > 1 ? "," : "") + "\"__metadata__\":{\"clipspect\":" + metadata + "}}";
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
