// The bundle: a folder whose manifest, `bundle.json`, accounts for every other file by size and hash.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "engine.hpp"
#include "error.hpp"
#include "files.hpp"
#include "manifest.hpp"
#include "onnx_file.hpp"
#include "recipe.hpp"
#include "signature.hpp"

namespace clipspect {

class Bundle {
  public:
    // Everything is verified here, once: no engine sees a file that the exporter did not write. With a key, it must have
    // signed the manifest, and each recipe that is read later. Raises BundleError, SignatureError.
    explicit Bundle(const std::filesystem::path& root, const std::optional<PublicKey>& key = std::nullopt)
        : path(root), manifest(read(root, key)), key_(key) {
        std::vector<std::string> named = manifest.graph_files;
        named.insert(named.end(), manifest.other_files.begin(), manifest.other_files.end());
        for (const std::string& file : named)
            if (manifest.files.count(file) == 0)
                refuse("bundle.json names '" + file.substr(0, 200) + "' but not its hash: export the bundle again");
        for (const auto& [name, entry] : manifest.files) verify(name, entry);
        for (const std::string& file : manifest.graph_files) check_weights(file);
    }

    std::filesystem::path path;
    Manifest manifest;

    // Names of the recipes in the bundle, sorted.
    std::vector<std::string> recipe_names() const {
        std::vector<std::string> names;
        std::error_code none;  // no folder: no recipes
        for (const auto& entry : std::filesystem::directory_iterator(path / "recipes", none))
            if (entry.path().extension() == ".safetensors") names.push_back(entry.path().stem().string());
        std::sort(names.begin(), names.end());
        return names;
    }

    // The recipe of that name or, where it ends in .safetensors, in that file, proven to be made for this bundle;
    // without a name, the bundle's only one. Raises RecipeError.
    Recipe recipe(const std::string& name = {}) const {
        if (std::filesystem::path(name).extension() == ".safetensors") return own(read_recipe(name, key_));
        const std::vector<std::string> names = recipe_names();
        std::string listing;
        for (const std::string& known : names) listing += (listing.empty() ? "'" : ", '") + known + "'";
        if (names.empty())
            throw RecipeError(path.string() + ": the bundle has no recipe; make one with clipspect recipe");
        if (name.empty() && names.size() > 1)
            throw RecipeError(path.string() + ": the bundle has several recipes, name one of: " + listing);
        const std::string& chosen = name.empty() ? names.front() : name;
        if (std::find(names.begin(), names.end(), chosen) == names.end())
            throw RecipeError(path.string() + ": no recipe '" + chosen + "'; there are: " + listing);
        return own(read_recipe(path / "recipes" / (chosen + ".safetensors"), key_));
    }

    // The recipe itself, if it was made for this bundle. Raises RecipeError.
    Recipe own(Recipe recipe) const {
        const std::string who = "recipe '" + recipe.name + "'";
        const std::string again = ": make it again for this bundle";
        if (recipe.method != manifest.method)
            throw RecipeError(who + " was made for " + recipe.method + ", this bundle is " + manifest.method + again);
        if (recipe.encoder_sha256 != manifest.encoder_sha256)
            throw RecipeError(who + " was made for other encoder weights (" + recipe.encoder_sha256.substr(0, 12) +
                              ") than this bundle's (" + manifest.encoder_sha256.substr(0, 12) + ")" + again);
        if (!same_parameters(recipe.parameters, manifest.parameters))
            throw RecipeError(who + " was made for other parameters of the method" + again);
        serving(recipe);
        return recipe;
    }

    // The graph that takes the recipe's tensors. Raises RecipeError.
    const Graph& serving(const Recipe& recipe) const {
        const std::string who = "recipe '" + recipe.name + "'";
        const std::string judge = recipe.judge();
        const auto served = manifest.graphs.find(judge);
        if (served == manifest.graphs.end()) refuse_judge(who, judge);
        for (const auto& [name, spec] : served->second.inputs) {
            if (name == "image") continue;
            const auto found = recipe.tensors.find(name);
            if (found == recipe.tensors.end()) throw RecipeError(who + " lacks " + name + ", which the graph takes");
            if (spec.dtype != "float32" || !fits(found->second.shape, spec.shape))
                throw RecipeError(who + ": " + name + " has the shape " + detail::shape_text(found->second.shape) +
                                  ", which the graph does not take: make the recipe again for this bundle");
        }
        for (const auto& [name, tensor] : recipe.tensors)
            if (served->second.inputs.count(name) == 0 || name == "image")
                throw RecipeError(who + " holds " + name + ", which the graph does not take");
        return served->second;
    }

  private:
    [[noreturn]] void refuse_judge(const std::string& who, const std::string& judge) const {
        if (judge == "both")
            throw RecipeError(who + " has references, the bundle has no few-shot graph: export it with --few-shot");
        std::string listing;
        for (const auto& [role, graph] : manifest.graphs) listing += (listing.empty() ? "" : ", ") + role;
        throw RecipeError(who + " is judged by " + judge + ", for which the bundle has no graph, but for " + listing +
                          ": make the recipe again for this bundle");
    }

    static Manifest read(const std::filesystem::path& root, const std::optional<PublicKey>& key) {
        constexpr std::uintmax_t most = std::uintmax_t{1} << 24;  // bytes
        const std::filesystem::path file = root / "bundle.json", digest = root / "bundle.json.sha256";
        for (const auto& own : {file, digest})
            if (detail::is_link(own))
                throw BundleError(own.string() +
                                  ": is a link, and a bundle holds its files itself: copy it with cp -rL");
        if (!detail::is_plain_file(file))
            throw BundleError(root.string() + ": not a bundle, it has no bundle.json; clipspect export makes one");
        std::string line;  // of a bundle of schema 1 there is none
        if (detail::is_plain_file(digest)) line = detail::read_file<BundleError>(digest, most);
        const std::string content = detail::read_file<BundleError>(file, most);
        if (key.has_value()) key->require(file, content);
        return parse_manifest(content, line, file.string());
    }

    [[noreturn]] void refuse(const std::string& what) const { throw BundleError(path.string() + ": " + what); }

    void verify(const std::string& name, const FileEntry& entry) const {
        if (!detail::is_inner_path(name) || name == "bundle.json" || name == "bundle.json.sha256" ||
            name == "bundle.json.sig")
            refuse("bundle.json names '" + name.substr(0, 200) +
                   "', which is no path inside the bundle: do not use it");
        const std::filesystem::path file = path / name;
        if (detail::has_link(path, name))
            refuse("'" + name + "' is a link, and a bundle holds its files itself: copy it with cp -rL");
        if (!detail::is_plain_file(file)) refuse("'" + name + "' is missing: copy or export the bundle again");
        std::error_code wrong;
        const std::uintmax_t size = std::filesystem::file_size(file, wrong);
        if (wrong || size != static_cast<std::uintmax_t>(entry.size))
            refuse("'" + name + "' has " + std::to_string(size) + " bytes, expected " + std::to_string(entry.size) +
                   ": it was cut or changed; copy the bundle again");
        if (detail::sha256_of(file) != entry.sha256)
            refuse("'" + name + "' does not match its hash: it was changed; copy the bundle again");
    }

    // A graph, already verified, names no file for its weights that the manifest does not account for.
    void check_weights(const std::string& graph) const {
        const std::string content = detail::read_file<BundleError>(path / graph, std::uintmax_t{1} << 31);
        std::set<std::string> locations;
        try {
            locations = detail::OnnxFile::external_locations(content);
        } catch (const BundleError& error) {
            refuse("'" + graph + "' is no ONNX model that is read here (" + error.what() +
                   "): export the bundle again");
        }
        const std::string folder = graph.substr(0, graph.rfind('/') + 1);
        for (const std::string& location : locations)
            if (manifest.files.count(folder + location) == 0)
                refuse("'" + graph + "' reads its weights from '" + location.substr(0, 200) +
                       "', for which bundle.json has no hash: export the bundle again");
    }

    static bool fits(const std::vector<std::size_t>& found, const std::vector<std::int64_t>& shape) {
        return std::equal(found.begin(), found.end(), shape.begin(), shape.end(),
                          [](std::size_t side, std::int64_t wanted) {
                              return wanted == any_length ? side >= 1 : side == static_cast<std::size_t>(wanted);
                          });
    }

    // A key that is missing is as one that is null.
    static bool same_parameters(const Json& a, const Json& b) {
        const auto covered = [](const Json& one, const Json& other) {
            for (const auto& [name, value] : one.items())
                if (value != detail::member(other, name)) return false;
            return true;
        };
        return covered(a, b) && covered(b, a);
    }

    std::optional<PublicKey> key_;
};

}  // namespace clipspect
