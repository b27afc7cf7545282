// SHA-256 by OpenSSL's libcrypto, which uses the processor's own instructions for it.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "error.hpp"

namespace clipspect {

class Sha256 {
  public:
    Sha256() { require(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1); }

    void update(const void* data, std::size_t size) { require(EVP_DigestUpdate(context_.get(), data, size) == 1); }
    void update(std::string_view text) { update(text.data(), text.size()); }

    // In hexadecimal; ends the computation.
    std::string hex() {
        std::array<unsigned char, 32> digest{};
        require(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1);
        std::string out;
        for (const unsigned byte : digest) {
            out.push_back("0123456789abcdef"[byte >> 4]);
            out.push_back("0123456789abcdef"[byte & 0xFU]);
        }
        return out;
    }

  private:
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_{EVP_MD_CTX_new(), EVP_MD_CTX_free};

    static void require(bool done) {
        if (!done) throw Error("libcrypto does not compute SHA-256: check how OpenSSL is installed and configured");
    }
};

namespace detail {

inline bool is_sha256(std::string_view text) {  // 64 lower case hexadecimal digits
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace detail

}  // namespace clipspect
