// Checks: whether a frame is one that the limits speak of, by what calibration saw; if not, the verdict is invalid.
// docs/bundle-format.md specifies the quantities, the rule and the sentences.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "calibration.hpp"
#include "quality.hpp"

namespace clipspect {

namespace detail {

inline std::string in_digits(double value, int digits = 3) {
    char text[40];
    std::snprintf(text, sizeof text, "%.*g", digits, std::isnan(value) ? std::fabs(value) : value);
    return text;
}

// With as many digits as tell them apart, three or six.
inline std::string compared(double value, const char* where, double limit) {
    const int digits = in_digits(value) != in_digits(limit) ? 3 : 6;
    return " " + in_digits(value, digits) + " is " + where + " " + in_digits(limit, digits);
}

inline std::string size_text(FrameSize size) {
    return std::to_string(size.width) + " x " + std::to_string(size.height);
}

inline std::string sizes_text(const std::vector<FrameSize>& sizes) {
    std::string text;
    for (const FrameSize& size : sizes) text += (text.empty() ? "" : ", ") + size_text(size);
    return text;
}

// Whether width / height differ by at most 2 %: nobody sees such a squash.
inline bool same_aspect(FrameSize size, FrameSize known) {
    const double one = static_cast<double>(size.width) * static_cast<double>(known.height);
    const double other = static_cast<double>(size.height) * static_cast<double>(known.width);
    return std::fabs(one - other) <= 0.02 * other;
}

// That a frame is black or white, whatever calibration saw, or without checks of one colour; else empty.
inline std::string blank_reason(const Quality& quality, bool has_checks) {
    constexpr double black = 16, white = 250, constant = 1;  // grey levels
    const char* found = quality.brightness + 2 * quality.contrast <= black   ? "black"
                        : quality.brightness - 2 * quality.contrast >= white ? "white"
                        : !has_checks && !(quality.contrast >= constant)     ? "of one colour"
                                                                             : nullptr;
    if (found == nullptr) return {};
    return std::string("the frame is ") + found + " (brightness " + in_digits(quality.brightness) + ", contrast " +
           in_digits(quality.contrast) + ")";
}

// The root mean square of the differences, in grey levels.
inline double layout_distance(const Quality& quality, const std::vector<double>& mean) {
    if (mean.size() != quality.layout.size()) return std::numeric_limits<double>::quiet_NaN();
    double sum = 0;
    for (std::size_t i = 0; i < mean.size(); ++i) sum += (quality.layout[i] - mean[i]) * (quality.layout[i] - mean[i]);
    return std::sqrt(sum / static_cast<double>(mean.size()));
}

// 1 - the cosine of two rows of length 1.
inline double embedding_distance(const std::vector<float>& embedding, const std::vector<double>& mean) {
    if (embedding.empty() || mean.size() != embedding.size()) return std::numeric_limits<double>::quiet_NaN();
    double sum = 0;
    for (std::size_t i = 0; i < mean.size(); ++i) sum += static_cast<double>(embedding[i]) * mean[i];
    return 1 - sum;
}

// The frame's value of a check; NaN, which no range holds, where it has none.
inline double value_of(const std::string& check, const Quality& quality, const std::vector<float>& embedding,
                       const Calibration& calibration) {
    if (check == "brightness") return quality.brightness;
    if (check == "contrast") return quality.contrast;
    if (check == "saturation") return quality.saturation;
    if (check == "clipped") return quality.clipped;
    if (check == "sharpness") return quality.sharpness;
    if (check == "layout") return layout_distance(quality, calibration.layout);
    if (check == "embedding") return embedding_distance(embedding, calibration.embedding);
    return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace detail

// Why a frame is none that the limits speak of, a sentence each; none: it is one. Without a calibration only black,
// white and constant frames are refused. `embedding` is the image's, empty where the graph answers with none.
inline std::vector<std::string> invalid_reasons(const Quality& quality, FrameSize size,
                                                const std::vector<float>& embedding,
                                                const std::optional<Calibration>& calibration) {
    std::vector<std::string> reasons;
    std::string blank = detail::blank_reason(quality, calibration && !calibration->checks.empty());
    if (!blank.empty()) reasons.push_back(std::move(blank));
    if (!calibration) return reasons;
    bool known = calibration->frame_sizes.empty();
    for (const FrameSize& one : calibration->frame_sizes) known = known || detail::same_aspect(size, one);
    if (!known)
        reasons.push_back("aspect: the frame is " + detail::size_text(size) + ", good frames are " +
                          detail::sizes_text(calibration->frame_sizes));
    for (const auto& [name, range] : calibration->checks) {
        const double value = detail::value_of(name, quality, embedding, *calibration);
        const std::string good = " (good frames: " + detail::in_digits(range.smallest) + " to " +
                                 detail::in_digits(range.largest) + ")";
        if (range.low && !(value >= *range.low))
            reasons.push_back(name + detail::compared(value, "below", *range.low) + good);
        if (range.high && !(value <= *range.high))
            reasons.push_back(name + detail::compared(value, "above", *range.high) + good);
    }
    return reasons;
}

// What the checks are of, by their names, to six digits; distances only where there is a calibration to be from.
inline std::vector<std::pair<std::string, double>> quantities(const Quality& quality,
                                                              const std::vector<float>& embedding,
                                                              const std::optional<Calibration>& calibration) {
    std::vector<std::pair<std::string, double>> found{{"brightness", quality.brightness},
                                                      {"contrast", quality.contrast},
                                                      {"saturation", quality.saturation},
                                                      {"clipped", quality.clipped},
                                                      {"sharpness", quality.sharpness}};
    if (calibration && !calibration->layout.empty())
        found.emplace_back("layout", detail::layout_distance(quality, calibration->layout));
    if (calibration && !embedding.empty() && calibration->embedding.size() == embedding.size())
        found.emplace_back("embedding", detail::embedding_distance(embedding, calibration->embedding));
    for (auto& [name, value] : found) {
        char text[40];
        std::snprintf(text, sizeof text, "%.6g", value);
        value = std::strtod(text, nullptr);
    }
    return found;
}

// What is to be said of a frame of another size than those known; empty where there is nothing.
inline std::string size_note(FrameSize size, const std::vector<FrameSize>& known) {
    if (known.empty()) return {};
    for (const FrameSize& one : known)
        if (one.width == size.width && one.height == size.height) return {};
    return "frames of " + detail::size_text(size) + ": calibration and references are " + detail::sizes_text(known);
}

constexpr int most_shrunk = 4;  // times that a frame is shrunk without a word on tiles

// What is to be said where a frame, or its region's box, is seen as a whole and much smaller; empty else.
inline std::string shrunk_note(FrameSize seen, FrameSize model) {
    const double times = std::max(static_cast<double>(seen.width) / static_cast<double>(model.width),
                                  static_cast<double>(seen.height) / static_cast<double>(model.height));
    if (times <= most_shrunk) return {};
    return detail::size_text(seen) + " pixels are shrunk " + detail::in_digits(times) +
           " times for the model, which loses small defects: clipspect recipe and teach see frames in tiles with "
           "--tile " +
           std::to_string(most_shrunk * model.width);
}

}  // namespace clipspect
