// Any bytes as bundle.json: refused with a BundleError or read. The digest is true, so that what lies behind it is
// reached. A document must read as the same document once it is written again, and any bytes as themselves.
#include <clipspect/json_line.hpp>
#include <clipspect/manifest.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

void write_and_read(const std::string& text) {
    const bool is_text = [&] {
        try {
            static_cast<void>(clipspect::Json(text).dump());
            return text.find('\0') == std::string::npos;
        } catch (const clipspect::Json::exception&) {
            return false;
        }
    }();
    std::string line;
    clipspect::detail::append_line(line, text);
    for (const char sign : line)
        if (sign < 0x20) std::abort();  // no ASCII, or a second line
    if (is_text && clipspect::parse_json(line) != text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    write_and_read(text);
    clipspect::Sha256 sum;
    sum.update(text);
    try {
        const clipspect::Json document = clipspect::parse_json(text);
        if (clipspect::parse_json(document.dump()) != document) std::abort();
        clipspect::parse_manifest(text, sum.hex() + "  bundle.json\n", "bundle.json");
    } catch (const clipspect::JsonError&) {
    } catch (const clipspect::BundleError&) {
    }
    return 0;
}
