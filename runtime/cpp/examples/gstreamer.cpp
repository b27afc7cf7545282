// gstreamer BUNDLE RECIPE PIPELINE: a record a line of each frame of a GStreamer pipeline, e.g. "v4l2src ! jpegdec".
#include <clipspect.hpp>

#ifdef CLIPSPECT_ONNXRUNTIME
#include <clipspect/engine_onnxruntime.hpp>
using Engine = clipspect::OnnxRuntimeEngine;
#else
#include <clipspect/engine_openvino.hpp>
using Engine = clipspect::OpenVinoEngine;
#endif

#include <gst/app/gstappsink.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>

namespace {

template <class T, auto release>
struct Release {
    void operator()(T* held) const { release(held); }
};
template <class T, auto release>
using Held = std::unique_ptr<T, Release<T, release>>;
void unref(void* object) {
    gst_object_unref(object);
}
void stop(GstElement* pipeline) {
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}

// GStreamer gives RGB as it was captured: the model's own resize must see the full frame.
constexpr const char* sink = " ! videoconvert ! video/x-raw,format=RGB ! appsink name=frames max-buffers=1 sync=false";

clipspect::Result inspect(clipspect::Inspector<Engine>& inspector, GstSample* sample) {
    GstVideoInfo info;
    GstVideoFrame frame;
    if (!gst_video_info_from_caps(&info, gst_sample_get_caps(sample)) ||
        !gst_video_frame_map(&frame, &info, gst_sample_get_buffer(sample), GST_MAP_READ))
        throw clipspect::ImageError("a frame of the pipeline cannot be read");
    const Held<GstVideoFrame, gst_video_frame_unmap> mapped(&frame);
    const auto* pixels = static_cast<const std::uint8_t*>(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0));
    return inspector.inspect({pixels, GST_VIDEO_FRAME_WIDTH(&frame), GST_VIDEO_FRAME_HEIGHT(&frame), 3,
                              GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0)});  // not copied; rows are padded
}

// Throws what the pipeline said if it failed.
void require_no_error(GstElement* pipeline) {
    const Held<GstBus, unref> bus(gst_element_get_bus(pipeline));
    const Held<GstMessage, gst_message_unref> message(gst_bus_pop_filtered(bus.get(), GST_MESSAGE_ERROR));
    if (!message) return;
    GError* error = nullptr;
    gst_message_parse_error(message.get(), &error, nullptr);
    const Held<GError, g_error_free> held(error);
    throw clipspect::Error(std::string("the pipeline failed: ") + error->message);
}

void run(const std::string& bundle, const std::string& recipe, const std::string& source) {
    GError* error = nullptr;
    const Held<GstElement, stop> pipeline(gst_parse_launch((source + sink).c_str(), &error));
    if (error) {
        const Held<GError, g_error_free> held(error);
        throw clipspect::Error(source + ": " + error->message);
    }
    const Held<GstElement, unref> frames(gst_bin_get_by_name(GST_BIN(pipeline.get()), "frames"));
    clipspect::Inspector<Engine> inspector(bundle, recipe);
    if (gst_element_set_state(pipeline.get(), GST_STATE_PAUSED) == GST_STATE_CHANGE_NO_PREROLL)
        g_object_set(frames.get(), "drop", TRUE, nullptr);  // a camera: the newest frame. Of a file each is taken
    if (gst_element_set_state(pipeline.get(), GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE) {
        require_no_error(pipeline.get());
        throw clipspect::Error(source + ": the pipeline cannot be started");
    }
    for (std::int64_t number = 0;;) {
        const Held<GstSample, gst_sample_unref> sample(
            gst_app_sink_try_pull_sample(GST_APP_SINK(frames.get()), GST_SECOND));
        if (!sample) {
            require_no_error(pipeline.get());
            if (!gst_app_sink_is_eos(GST_APP_SINK(frames.get()))) continue;
            if (number == 0) throw clipspect::Error(source + ": the pipeline ended without a frame");
            return;
        }
        const clipspect::Result result = inspect(inspector, sample.get());
        const clipspect::Item item{source, number, source + "#" + std::to_string(number), std::nullopt};
        std::printf("%s\n", clipspect::record_line(inspector, item, result, 0).c_str());
        std::fflush(stdout);
        ++number;
    }
}

}  // namespace

int main(int count, char** words) {
    if (count != 4) {
        std::fputs("usage: gstreamer BUNDLE RECIPE PIPELINE\n", stderr);
        return 2;
    }
    gst_init(nullptr, nullptr);
    try {
        run(words[1], words[2], words[3]);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "gstreamer: error: %s\n", error.what());
        return 1;
    }
    return 0;
}
