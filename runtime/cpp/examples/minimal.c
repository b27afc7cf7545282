/* A bundle in C with OpenVINO and docs/bundle-format.md alone: minimal MODEL.onnx RECIPE.safetensors IMAGE.rgb HEIGHT WIDTH
 *
 * IMAGE.rgb holds HEIGHT x WIDTH x 3 bytes, RGB, in the model's size. Prints the score and the map's maximum.
 * Hashes and digests are not checked here: do that first. */
#include <openvino/c/openvino.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(int ok, const char* what) {
    if (ok) return;
    fprintf(stderr, "minimal: %s\n", what);
    exit(1);
}

static uint8_t* read_whole(const char* path, size_t* size) { /* a zero follows, so that it is a string, too */
    FILE* file = fopen(path, "rb");
    require(file && !fseek(file, 0, SEEK_END) && (*size = (size_t)ftell(file)) < (size_t)1 << 30, path);
    rewind(file);
    uint8_t* bytes = calloc(*size + 1, 1);
    require(bytes && fread(bytes, 1, *size, file) == *size, path);
    fclose(file);
    return bytes;
}

int main(int count, char** words) {
    require(count == 6, "usage: minimal MODEL.onnx RECIPE.safetensors IMAGE.rgb HEIGHT WIDTH");
    const int64_t image_shape[4] = {1, atoll(words[4]), atoll(words[5]), 3};
    size_t size = 0, pixels = 0, header = 0, start = 0, end = 0, values = 0;
    int64_t text_shape[3];
    uint8_t* recipe = read_whole(words[2], &size);
    uint8_t* image = read_whole(words[3], &pixels);
    require(pixels == (size_t)(image_shape[1] * image_shape[2] * 3), "the image has another size");

    /* the file: 8 bytes length of the header, little endian; the header, JSON; the tensors' bytes */
    require(size > 8, "the recipe is cut short");
    for (int i = 7; i >= 0; --i) header = header << 8 | recipe[i];
    require(header <= size - 8, "the recipe is cut short");
    uint8_t* data = malloc(size); /* a copy at an address that suits floats */
    require(data != NULL, "no memory");
    memcpy(data, recipe + 8 + header, size - 8 - header);
    recipe[8 + header] = 0;
    /* the metadata cannot be mistaken for it: there, quotes are escaped; inside, the order of the keys is free */
    const char* entry = strstr((char*)recipe + 8, "\"text_features\":{");
    const char* shape = entry ? strstr(entry, "\"shape\":[") : NULL;
    const char* offsets = entry ? strstr(entry, "\"data_offsets\":[") : NULL;
    const char* three = "\"shape\":[%ld,%ld,%ld]";
    require(shape && offsets && !strstr((char*)recipe + 8, "\"reference_") &&
            sscanf(shape, three, &text_shape[0], &text_shape[1], &text_shape[2]) == 3 &&
            sscanf(offsets, "\"data_offsets\":[%zu,%zu]", &start, &end) == 2, "not a recipe of words alone");
    require(start <= end && end <= size - 8 - header && text_shape[0] == 2 && text_shape[1] > 0 && text_shape[2] > 0 &&
            (end - start) / sizeof(float) / 2 / (size_t)text_shape[1] == (size_t)text_shape[2], "wrong offsets");

    ov_core_t* core;
    ov_compiled_model_t* model;
    ov_infer_request_t* request;
    ov_shape_t shapes[2];
    ov_tensor_t *tensors[2], *score, *map;
    void *score_data, *map_data;
    require(!ov_core_create(&core) && !ov_core_compile_model_from_file(core, words[1], "CPU", 2, &model,
            "INFERENCE_PRECISION_HINT", "f32") && !ov_compiled_model_create_infer_request(model, &request), "no model");
    require(!ov_shape_create(4, image_shape, &shapes[0]) && !ov_shape_create(3, text_shape, &shapes[1]) &&
            !ov_tensor_create_from_host_ptr(U8, shapes[0], image, &tensors[0]) &&
            !ov_tensor_create_from_host_ptr(F32, shapes[1], data + start, &tensors[1]) &&
            !ov_infer_request_set_tensor(request, "image", tensors[0]) &&
            !ov_infer_request_set_tensor(request, "text_features", tensors[1]) &&
            !ov_infer_request_infer(request) && !ov_infer_request_get_tensor(request, "score", &score) &&
            !ov_infer_request_get_tensor(request, "anomaly_map", &map) && !ov_tensor_data(score, &score_data) &&
            !ov_tensor_data(map, &map_data) && !ov_tensor_get_size(map, &values), "the model refused");

    float peak = 0;
    for (size_t i = 0; i < values; ++i) peak = ((float*)map_data)[i] > peak ? ((float*)map_data)[i] : peak;
    printf("%.9g %.9g\n", (double)*(float*)score_data, (double)peak);
    ov_tensor_free(score), ov_tensor_free(map), ov_tensor_free(tensors[0]), ov_tensor_free(tensors[1]);
    ov_shape_free(&shapes[0]), ov_shape_free(&shapes[1]);
    ov_infer_request_free(request), ov_compiled_model_free(model), ov_core_free(core);
    free(recipe), free(image), free(data);
    return 0;
}
