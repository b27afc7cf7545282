// Pillow's resampling, to the digit: which source pixels make an output pixel, and with what weights.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace clipspect::detail {

struct Filter {
    double support;  // the kernel is 0 beyond this
    double (*kernel)(double);
};

inline double bicubic_kernel(double x) {  // a = -0.5
    constexpr double a = -0.5;
    x = std::fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

inline double bilinear_kernel(double x) {
    x = std::fabs(x);
    return x < 1 ? 1 - x : 0;
}

constexpr Filter bicubic{2, bicubic_kernel}, bilinear{1, bilinear_kernel};

// Along one side: output pixel i is made of the source pixels first[i] to first[i] + count[i] (exclusive); its weights
// start at weights[i * stride].
template <class Weight>
struct Taps {
    std::vector<int> first, count;
    std::vector<Weight> weights;
    std::size_t stride = 0;
};

constexpr int fixed_bits = 22;  // of the 8-bit weights' fraction

inline void store(double weight, double& out) {
    out = weight;
}
inline void store(double weight, std::int32_t& out) {
    out = static_cast<std::int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << fixed_bits));
}

template <class Weight>
Taps<Weight> make_taps(int size, int target, const Filter& filter) {
    const double scale = static_cast<double>(size) / target;
    const double stretch = std::max(scale, 1.0);  // shrinking, the kernel covers what becomes one pixel
    const double support = filter.support * stretch;
    Taps<Weight> taps;
    taps.stride = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
    taps.weights.resize(taps.stride * static_cast<std::size_t>(target));
    std::vector<double> kernel(taps.stride);
    for (int i = 0; i < target; ++i) {
        const double centre = (i + 0.5) * scale;
        const int first = std::max(static_cast<int>(centre - support + 0.5), 0);
        const int count = std::min(static_cast<int>(centre + support + 0.5), size) - first;
        double sum = 0;
        for (int k = 0; k < count; ++k)
            sum += kernel[static_cast<std::size_t>(k)] = filter.kernel((k + first - centre + 0.5) * (1 / stretch));
        for (int k = 0; k < count; ++k) {
            const auto at = static_cast<std::size_t>(k);
            store(sum == 0 ? kernel[at] : kernel[at] / sum,
                  taps.weights[taps.stride * static_cast<std::size_t>(i) + at]);
        }
        taps.first.push_back(first);
        taps.count.push_back(count);
    }
    return taps;
}

inline std::uint8_t rounded(std::int32_t sum) {
    return static_cast<std::uint8_t>(std::clamp(sum >> fixed_bits, 0, 255));
}

constexpr std::int32_t half = 1 << (fixed_bits - 1);

// Rows of `in`, `stride` bytes apart, with `width` pixels of so many channels, to `target` pixels each.
template <int channels>
void squash_columns(const std::uint8_t* in, std::ptrdiff_t stride, int width, int height, int target,
                    std::uint8_t* out) {
    const auto taps = make_taps<std::int32_t>(width, target, bicubic);
    for (int y = 0; y < height; ++y, in += stride) {
        for (std::size_t x = 0; x < static_cast<std::size_t>(target); ++x) {
            const std::uint8_t* pixel = in + static_cast<std::ptrdiff_t>(taps.first[x]) * channels;
            const std::int32_t* weight = taps.weights.data() + x * taps.stride;
            std::int32_t sum[channels];
            std::fill_n(sum, channels, half);
            for (int k = 0; k < taps.count[x]; ++k)
                for (int c = 0; c < channels; ++c) sum[c] += *pixel++ * weight[k];
            for (int c = 0; c < channels; ++c) *out++ = rounded(sum[c]);
        }
    }
}

// `height` rows of `length` bytes each, `stride` apart, to `target` rows.
inline void squash_rows(const std::uint8_t* in, std::ptrdiff_t stride, std::size_t length, int height, int target,
                        std::uint8_t* out) {
    const auto taps = make_taps<std::int32_t>(height, target, bicubic);
    std::vector<std::int32_t> sums(length);
    for (std::size_t y = 0; y < static_cast<std::size_t>(target); ++y, out += length) {
        std::fill(sums.begin(), sums.end(), half);
        for (int k = 0; k < taps.count[y]; ++k) {
            const std::uint8_t* row = in + (taps.first[y] + k) * stride;
            const std::int32_t weight = taps.weights[y * taps.stride + static_cast<std::size_t>(k)];
            for (std::size_t i = 0; i < length; ++i) sums[i] += row[i] * weight;
        }
        std::transform(sums.begin(), sums.end(), out, rounded);
    }
}

// A float map of `height` rows to another size: columns, rounded to float, then rows.
inline std::vector<float> stretched(const std::vector<float>& in, int width, int height, int to_width, int to_height) {
    const auto columns = static_cast<std::size_t>(to_width), rows = static_cast<std::size_t>(height);
    const auto across = make_taps<double>(width, to_width, bilinear),
               down = make_taps<double>(height, to_height, bilinear);
    std::vector<float> wide(columns * rows), out(columns * static_cast<std::size_t>(to_height));
    for (std::size_t y = 0; y < rows; ++y) {
        const float* row = in.data() + y * static_cast<std::size_t>(width);
        for (std::size_t x = 0; x < columns; ++x) {
            double sum = 0;
            for (int k = 0; k < across.count[x]; ++k)
                sum += static_cast<double>(row[across.first[x] + k]) *
                       across.weights[x * across.stride + static_cast<std::size_t>(k)];
            wide[y * columns + x] = static_cast<float>(sum);
        }
    }
    std::vector<double> sums(columns);
    for (std::size_t y = 0; y < static_cast<std::size_t>(to_height); ++y) {
        std::fill(sums.begin(), sums.end(), 0.0);
        for (int k = 0; k < down.count[y]; ++k) {
            const float* row = wide.data() + static_cast<std::size_t>(down.first[y] + k) * columns;
            const double weight = down.weights[y * down.stride + static_cast<std::size_t>(k)];
            for (std::size_t x = 0; x < columns; ++x) sums[x] += static_cast<double>(row[x]) * weight;
        }
        std::transform(sums.begin(), sums.end(), out.begin() + static_cast<std::ptrdiff_t>(y * columns),
                       [](double sum) { return static_cast<float>(sum); });
    }
    return out;
}

}  // namespace clipspect::detail
