// clipspect in C++: a bundle, a recipe, a frame in, a score, a map and a verdict out. C++17, with nlohmann's JSON and
// OpenSSL's libcrypto.
//
// Add one engine: #include <clipspect/engine_openvino.hpp> or <clipspect/engine_onnxruntime.hpp>.
#pragma once

#include "clipspect/bundle.hpp"
#include "clipspect/checks.hpp"
#include "clipspect/error.hpp"
#include "clipspect/guard.hpp"
#include "clipspect/image.hpp"
#include "clipspect/inspector.hpp"
#include "clipspect/recipe.hpp"
#include "clipspect/record.hpp"
#include "clipspect/region_of_interest.hpp"
#include "clipspect/regions.hpp"
#include "clipspect/signature.hpp"
#include "clipspect/tiles.hpp"
