// The version of this header, which is that of the package.
#pragma once

namespace clipspect {

constexpr const char* version = "0.1.0";

}  // namespace clipspect
