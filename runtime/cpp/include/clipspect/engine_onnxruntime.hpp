// onnxruntime: a graph on one execution provider, or not at all.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine.hpp"
#include "image.hpp"
#include "recipe.hpp"

namespace clipspect {

class OnnxRuntimeEngine {
  public:
    static constexpr const char* name = "onnxruntime";

    // A verified ONNX file, and what it computes in. Raises BackendError.
    OnnxRuntimeEngine(const std::string& graph, const std::string& graph_precision, const EngineOptions& options) {
        if (options.device != "cpu" && options.device != "cuda")
            throw BackendError("device: onnxruntime has cpu and cuda here, found " + options.device);
        if (options.device == "cpu" && graph_precision != "fp32")  // it ends the process with a segmentation fault
            throw BackendError("onnxruntime cannot run a " + graph_precision + " graph on the CPU: export it in fp32");
        if (!options.precision.empty() && options.precision != graph_precision)
            throw BackendError("precision: the graph is " + graph_precision + ", found " + options.precision);
        detail::guarded("onnxruntime cannot load the graph on " + options.device, [&] {
            session_ = std::make_shared<Ort::Session>(*environment_, graph.c_str(), settings(options));
            for (const std::string& input : inputs()) values_.emplace(input, Ort::Value(nullptr));
        });
        device_ = options.device;
        precision_ = graph_precision;
    }

    // Another that runs the same loaded graph, with no tensor set. Both can run at once, each in its thread.
    OnnxRuntimeEngine(const OnnxRuntimeEngine& other)
        : environment_(other.environment_),
          session_(other.session_),
          device_(other.device_),
          precision_(other.precision_) {
        for (const auto& [input, value] : other.values_) values_.emplace(input, Ort::Value(nullptr));
    }
    OnnxRuntimeEngine& operator=(const OnnxRuntimeEngine&) = delete;

    const std::string& device() const { return device_; }
    const std::string& precision() const { return precision_; }

    std::vector<std::string> inputs() const {
        const Ort::AllocatorWithDefaultOptions allocator;
        std::vector<std::string> names;
        for (std::size_t i = 0; i < session_->GetInputCount(); ++i)
            names.emplace_back(session_->GetInputNameAllocated(i, allocator).get());
        return names;
    }

    std::vector<std::string> outputs() const {
        const Ort::AllocatorWithDefaultOptions allocator;
        std::vector<std::string> names;
        for (std::size_t i = 0; i < session_->GetOutputCount(); ++i)
            names.emplace_back(session_->GetOutputNameAllocated(i, allocator).get());
        return names;
    }

    // A tensor of the recipe. It is not copied: it must stay where it is.
    void set(const std::string& input, const Tensor& tensor) {
        detail::guarded("onnxruntime does not take " + input, [&] {
            auto* values = const_cast<float*>(tensor.values.data());  // onnxruntime only reads it
            const std::vector<std::int64_t> shape(tensor.shape.begin(), tensor.shape.end());
            put(input, Ort::Value::CreateTensor(memory_, values, tensor.values.size(), shape.data(), shape.size()));
        });
    }

    // One image, RGB, rows first; `dim` is the width of its embedding, 0 where the graph has none. Raises BackendError.
    Answer run(const std::uint8_t* image, int height, int width, std::size_t dim) {
        Answer answer;
        detail::guarded("onnxruntime failed", [&] {
            const std::array<std::int64_t, 4> shape{1, height, width, 3};
            put("image", Ort::Value::CreateTensor(memory_, const_cast<std::uint8_t*>(image),
                                                  detail::area(width, height, 3), shape.data(), shape.size()));
            const std::vector<Ort::Value> outputs = infer(dim != 0);
            check(outputs[0], "score", {1});
            check(outputs[1], "anomaly_map", {1, height, width});
            const float* values = outputs[1].GetTensorData<float>();
            answer = {*outputs[0].GetTensorData<float>(),
                      {width, height, {values, values + detail::area(width, height)}},
                      {}};
            if (dim == 0) return;
            check(outputs[2], "image_embedding", {1, static_cast<std::int64_t>(dim)});
            const float* embedding = outputs[2].GetTensorData<float>();
            answer.embedding.assign(embedding, embedding + dim);
        });
        return answer;
    }

  private:
    std::shared_ptr<Ort::Env> environment_ = quiet_environment();
    std::shared_ptr<Ort::Session> session_;
    Ort::MemoryInfo memory_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    std::string device_, precision_;
    std::map<std::string, Ort::Value> values_;  // of the inputs; null until they are set

    // Without telemetry: it would write a device id into the user's cache folder, and call its maker.
    static std::shared_ptr<Ort::Env> quiet_environment() {
        ::setenv("ORT_DISABLE_TELEMETRY", "1", 1);
        return std::make_shared<Ort::Env>(ORT_LOGGING_LEVEL_FATAL, "clipspect");
    }

    static void check(const Ort::Value& output, const char* output_name, const std::vector<std::int64_t>& expected) {
        if (!output.IsTensor())
            throw BackendError(std::string("onnxruntime: the graph answers ") + output_name + " as no tensor");
        const auto info = output.GetTensorTypeAndShapeInfo();
        const bool is_float32 = info.GetElementType() == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
        detail::check_output(name, output_name, is_float32, info.GetShape(), expected);
    }

    static Ort::SessionOptions settings(const EngineOptions& options) {
        Ort::SessionOptions settings;
        if (options.threads > 0) settings.SetIntraOpNumThreads(options.threads);
        if (options.device == "cuda") {
            add_cuda(settings);
        } else {
            settings.AddConfigEntry("session.intra_op.allow_spinning", "0");  // leaves the cores to who has work
            settings.DisableMemPattern();
        }
        return settings;
    }

    static void add_cuda(Ort::SessionOptions& settings) {
        const OrtApi& api = Ort::GetApi();
        OrtCUDAProviderOptionsV2* made = nullptr;
        Ort::ThrowOnError(api.CreateCUDAProviderOptions(&made));
        const std::unique_ptr<OrtCUDAProviderOptionsV2, decltype(api.ReleaseCUDAProviderOptions)> cuda(
            made, api.ReleaseCUDAProviderOptions);
        const std::array<const char*, 2> keys{"use_tf32", "cudnn_conv_algo_search"}, values{"0", "HEURISTIC"};
        Ort::ThrowOnError(api.UpdateCUDAProviderOptions(cuda.get(), keys.data(), values.data(), keys.size()));
        settings.AppendExecutionProvider_CUDA_V2(*cuda);
        settings.AddConfigEntry("session.disable_cpu_ep_fallback", "1");  // else it computes on the CPU in silence
    }

    void put(const std::string& input, Ort::Value value) {
        const auto found = values_.find(input);
        if (found == values_.end()) throw BackendError("onnxruntime: the graph does not take " + input);
        found->second = std::move(value);
    }

    std::vector<Ort::Value> infer(bool embedding) {
        std::vector<const char*> names;
        std::vector<OrtValue*> values;
        for (const auto& [input, value] : values_) {
            if (!value) throw BackendError("onnxruntime: the graph takes " + input + ", too");
            names.push_back(input.c_str());
            values.push_back(value);
        }
        std::vector<const char*> wanted{"score", "anomaly_map"};
        if (embedding) wanted.push_back("image_embedding");
        std::vector<OrtValue*> answered(wanted.size(), nullptr);
        Ort::ThrowOnError(Ort::GetApi().Run(*session_, nullptr, names.data(), values.data(), values.size(),
                                            wanted.data(), wanted.size(), answered.data()));
        std::vector<Ort::Value> owned;
        for (OrtValue* value : answered) owned.emplace_back(value);
        return owned;
    }
};

}  // namespace clipspect
