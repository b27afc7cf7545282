// A document with the digest that its content has.
#pragma once

#include <clipspect/json.hpp>
#include <clipspect/sha256.hpp>
#include <string>

inline std::string with_digest(const clipspect::Json& document, const std::string& digest) {
    std::string text;
    clipspect::append_canonical(text, document, "sha256");
    if (text.size() < 2 || text.back() != '}') return text;
    text.pop_back();
    return text + (text.size() > 1 ? "," : "") + "\"sha256\":\"" + digest + "\"}";
}

inline std::string resealed(const clipspect::Json& document) {
    std::string rest;
    clipspect::append_canonical(rest, document, "sha256");
    clipspect::Sha256 digest;
    digest.update(rest);
    return with_digest(document, digest.hex());
}
