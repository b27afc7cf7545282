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

#include "inspector.hpp"

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
            session_ = Ort::Session(environment_, graph.c_str(), settings(options));
            const Ort::AllocatorWithDefaultOptions allocator;
            for (std::size_t i = 0; i < session_.GetInputCount(); ++i)
                inputs_.emplace(session_.GetInputNameAllocated(i, allocator).get(), Ort::Value(nullptr));
        });
    }

    // A tensor of the recipe. It is not copied: it must stay where it is.
    void set(const std::string& input, const Tensor& tensor) {
        detail::guarded("onnxruntime does not take " + input, [&] {
            auto* values = const_cast<float*>(tensor.values.data());  // onnxruntime only reads it
            const std::vector<std::int64_t> shape(tensor.shape.begin(), tensor.shape.end());
            put(input, Ort::Value::CreateTensor(memory_, values, tensor.values.size(), shape.data(), shape.size()));
        });
    }

    // One image, RGB, rows first. Raises BackendError.
    Answer run(const std::uint8_t* image, int height, int width) {
        Answer answer;
        detail::guarded("onnxruntime failed", [&] {
            const std::array<std::int64_t, 4> shape{1, height, width, 3};
            put("image", Ort::Value::CreateTensor(memory_, const_cast<std::uint8_t*>(image),
                                                  detail::area(width, height, 3), shape.data(), shape.size()));
            const std::vector<Ort::Value> outputs = infer();
            const std::size_t scores = outputs[0].GetTensorTypeAndShapeInfo().GetElementCount();
            const std::size_t size = outputs[1].GetTensorTypeAndShapeInfo().GetElementCount();
            if (scores != 1 || size != detail::area(width, height))
                throw BackendError("onnxruntime: the graph answered with another size than the image's");
            const float* values = outputs[1].GetTensorData<float>();
            answer = {*outputs[0].GetTensorData<float>(), {width, height, {values, values + size}}};
        });
        return answer;
    }

  private:
    Ort::Env environment_ = quiet_environment();
    Ort::MemoryInfo memory_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    Ort::Session session_{nullptr};
    std::map<std::string, Ort::Value> inputs_;  // null until they are set

    // Without telemetry: it would write a device id into the user's cache folder, and call its maker.
    static Ort::Env quiet_environment() {
        ::setenv("ORT_DISABLE_TELEMETRY", "1", 1);
        return Ort::Env(ORT_LOGGING_LEVEL_FATAL, "clipspect");
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
        const auto found = inputs_.find(input);
        if (found == inputs_.end()) throw BackendError("onnxruntime: the graph does not take " + input);
        found->second = std::move(value);
    }

    std::vector<Ort::Value> infer() {
        std::vector<const char*> names;
        std::vector<OrtValue*> values;
        for (const auto& [input, value] : inputs_) {
            if (!value) throw BackendError("onnxruntime: the graph takes " + input + ", too");
            names.push_back(input.c_str());
            values.push_back(value);
        }
        const std::array<const char*, 2> wanted{"score", "anomaly_map"};
        std::array<OrtValue*, 2> answered{};
        Ort::ThrowOnError(Ort::GetApi().Run(session_, nullptr, names.data(), values.data(), values.size(),
                                            wanted.data(), wanted.size(), answered.data()));
        std::vector<Ort::Value> owned;
        for (OrtValue* value : answered) owned.emplace_back(value);
        return owned;
    }
};

}  // namespace clipspect
