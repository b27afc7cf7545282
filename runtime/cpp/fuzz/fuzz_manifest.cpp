// Any bytes as bundle.json: refused with a BundleError or read. The digest is put right, so that what lies behind it is
// reached, and a document in canonical form must read as the same document.
#include <clipspect/manifest.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "resealed.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    clipspect::Json document;
    try {
        document = clipspect::parse_json(text);
        if (!clipspect::same(document, document)) std::abort();
    } catch (const clipspect::JsonError&) {
        return 0;
    }
    std::string canonical, again;
    clipspect::append_canonical(canonical, document);
    clipspect::append_canonical(again, clipspect::parse_json(canonical));
    if (canonical != again) std::abort();
    try {
        clipspect::parse_manifest(resealed(document), "bundle.json");
    } catch (const clipspect::BundleError&) {
    }
    return 0;
}
