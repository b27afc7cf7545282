// Any bytes as EXIF.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "exif.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const int orientation = exif_orientation({reinterpret_cast<const char*>(data), size});
    if (orientation < 0 || orientation > 8) std::abort();
    return 0;
}
