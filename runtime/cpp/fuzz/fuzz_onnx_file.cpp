// Any bytes as an ONNX file: refused with a BundleError or walked through.
#include <clipspect/onnx_file.hpp>
#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        clipspect::detail::OnnxFile::external_locations({reinterpret_cast<const char*>(data), size});
    } catch (const clipspect::BundleError&) {
    }
    return 0;
}
