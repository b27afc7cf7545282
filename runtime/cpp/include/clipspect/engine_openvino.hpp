// OpenVINO: a graph on one device, in the precision that was asked for, or not at all.
#pragma once

#include <algorithm>
#include <cstdint>
#include <openvino/openvino.hpp>
#include <string>
#include <vector>

#include "engine.hpp"
#include "recipe.hpp"

namespace clipspect {

class OpenVinoEngine {
  public:
    static constexpr const char* name = "openvino";

    // A verified ONNX file, and what it computes in. Raises BackendError.
    OpenVinoEngine(const std::string& graph, const std::string& graph_precision, const EngineOptions& options) {
        if (options.device == "cpu" && graph_precision != "fp32")
            throw BackendError("openvino does not run a " + graph_precision + " graph on the CPU: export it in fp32");
        const std::string wanted = options.precision.empty() ? graph_precision : options.precision;
        const ov::element::Type type = wanted == "fp32"   ? ov::element::f32
                                       : wanted == "bf16" ? ov::element::bf16
                                       : wanted == "fp16" ? ov::element::f16
                                                          : ov::element::dynamic;
        if (type == ov::element::dynamic)
            throw BackendError("precision: openvino has fp32, bf16 and fp16, found " + wanted);
        std::string device = options.device;
        if (device != "cpu" && device.compare(0, 3, "gpu") != 0)  // AUTO, MULTI and HETERO change devices in silence
            throw BackendError("device: openvino has cpu and gpu (gpu.1, ...), found " + device);
        for (char& letter : device)
            letter = static_cast<char>(letter >= 'a' && letter <= 'z' ? letter - 'a' + 'A' : letter);
        detail::guarded("openvino cannot load the graph on " + device, [&] {
            ov::AnyMap settings{ov::hint::inference_precision(type),
                                ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY), ov::num_streams(1)};
            if (device == "CPU") {
                settings.insert(ov::hint::enable_cpu_pinning(false));
                if (options.threads > 0) settings.insert(ov::inference_num_threads(options.threads));
            }
            compiled_ = core_.compile_model(core_.read_model(graph), device, settings);
            if (compiled_.get_property(ov::hint::inference_precision) != type)  // asked for one that it lacks, a device
                throw BackendError("openvino: " + device + " does not compute in " + wanted);  // takes another
            request_ = compiled_.create_infer_request();
            missing_ = inputs();
        });
        device_ = options.device;
        precision_ = wanted;
    }

    // Another that runs the same loaded graph, with no tensor set. Both can run at once, each in its thread.
    OpenVinoEngine(const OpenVinoEngine& other)
        : core_(other.core_), compiled_(other.compiled_), device_(other.device_), precision_(other.precision_) {
        detail::guarded("openvino cannot run the graph once more", [&] {
            request_ = compiled_.create_infer_request();
            missing_ = inputs();
        });
    }
    OpenVinoEngine& operator=(const OpenVinoEngine&) = delete;

    const std::string& device() const { return device_; }
    const std::string& precision() const { return precision_; }
    std::vector<std::string> inputs() const { return names_of(compiled_.inputs()); }
    std::vector<std::string> outputs() const { return names_of(compiled_.outputs()); }

    // A tensor of the recipe. It is not copied: it must stay where it is.
    void set(const std::string& input, const Tensor& tensor) {
        detail::guarded("openvino does not take " + input, [&] {
            auto* values = const_cast<float*>(tensor.values.data());  // OpenVINO only reads it
            request_.set_tensor(input, ov::Tensor(ov::element::f32, ov::Shape(tensor.shape), values));
        });
        given(input);
    }

    // One image, RGB, rows first; `dim` is the width of its embedding, 0 where the graph has none. Raises BackendError.
    Answer run(const std::uint8_t* image, int height, int width, std::size_t dim) {
        given("image");
        if (!missing_.empty()) throw BackendError("openvino: the graph takes " + missing_.front() + ", too");
        Answer answer;
        detail::guarded("openvino failed", [&] {
            const ov::Shape shape{1, static_cast<std::size_t>(height), static_cast<std::size_t>(width), 3};
            request_.set_tensor("image", ov::Tensor(ov::element::u8, shape, const_cast<std::uint8_t*>(image)));
            request_.infer();
            const ov::Tensor score = answered("score", {1}),
                             map = answered("anomaly_map", {shape[0], shape[1], shape[2]});
            const float* values = map.data<float>();
            answer = {*score.data<float>(), {width, height, {values, values + map.get_size()}}, {}};
            if (dim == 0) return;
            const float* embedding = answered("image_embedding", {1, dim}).data<float>();
            answer.embedding.assign(embedding, embedding + dim);
        });
        return answer;
    }

  private:
    ov::Core core_;
    ov::CompiledModel compiled_;
    ov::InferRequest request_;
    std::string device_, precision_;
    std::vector<std::string> missing_;  // inputs that were not set yet

    template <class Ports>
    static std::vector<std::string> names_of(const Ports& ports) {
        std::vector<std::string> names;
        for (const auto& port : ports) names.push_back(port.get_any_name());
        return names;
    }

    void given(const std::string& input) {
        missing_.erase(std::remove(missing_.begin(), missing_.end(), input), missing_.end());
    }

    // An output, if it is what it must be.
    ov::Tensor answered(const std::string& output, const std::vector<std::size_t>& expected) {
        const ov::Tensor tensor = request_.get_tensor(output);
        detail::check_output<std::size_t>(name, output, tensor.get_element_type() == ov::element::f32,
                                          tensor.get_shape(), expected);
        return tensor;
    }
};

}  // namespace clipspect
